"""What every source of audio is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import SourceError
from edgernn.frames import Frame

Self = TypeVar("Self", bound="Source")


class Source(ABC):
    """An iterable of `Frame`, mono int16, to be used once, in a `with` block.

    Parameters
    ----------
    rate_hz : int
        Samples per second it gives.
    block : int
        Samples per frame, a hop of the model; the last frame may be shorter.
    """

    overflows = 0
    """How often the system reported that it lost audio before we saw it."""
    dropped = 0
    """Samples lost because the model did not keep up."""
    live = False
    """Whether what is not taken in time is lost: nothing may then hold up the stream."""

    def __init__(self, rate_hz: int, block: int) -> None:
        if block < 1:
            raise SourceError(f"Blocks of {block} samples were asked for; 1 or more are needed. "
                              "Use the frontend's hop.")
        self.rate_hz = rate_hz
        self.block = block

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Give frames until the audio ends, for a microphone until `close`."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file or device; harmless when done twice."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def to_int16(samples: NDArray[Any], where: str) -> NDArray[np.int16]:
    """Mono int16 of floats in [-1, 1]: channels averaged, scaled by 32768, rounded, saturated.

    16-bit samples read as ``s / 32768`` come back unchanged.

    Parameters
    ----------
    samples : float64 array, shape (n,) or (n, channels)
    where : str
        What an error calls them, a path.

    Raises
    ------
    SourceError
        If a sample is NaN or infinite.
    """
    mono = samples.mean(axis=1) if samples.ndim == 2 else samples
    if not np.isfinite(mono).all():
        at = int(np.argmin(np.isfinite(mono)))
        raise SourceError(f"{where} holds {mono[at]} for a sample; audio is finite. "
                          "Make the file again.")
    return np.clip(np.rint(mono * 32768), -32768, 32767).astype(np.int16)
