"""The constants of a log-mel frontend in the compact form that `ernn_logmel.h` takes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ModelError
from edgernn.frontend.tables import (
    FIRST,
    WEIGHT_BITS,
    LogMelTables,
    circle,
    lengths,
    make_tables,
)
from edgernn.spec import LogMelSpec


@dataclass(frozen=True, eq=False)
class LogMelConstants:
    """The fields of an ``ernn_logmel_t``."""

    arrays: dict[str, NDArray[np.int16] | NDArray[np.uint16]]
    numbers: dict[str, int]

    @classmethod
    def of(cls, spec: LogMelSpec) -> "LogMelConstants":
        """Work them out.

        Raises
        ------
        ConfigError
            If the spec makes no sense.
        ModelError
            If its tables have no compact form; no spec is known that has none.
        """
        tables, (window, hop) = make_tables(spec), lengths(spec)
        points, mel = tables.points, MelRuns.of(tables)
        half, greater = half_window(tables.window)
        quarter = circle(np.arange(points // 4 + 1), points)[0]
        return cls({"window": half, "quarter": quarter, "cosines": cosines(points // FIRST),
                    "rise": mel.rise, "bins": mel.bins},
                   {"length": window, "greater": greater, "hop": hop, "points": points,
                    "mels": spec.mels, "first_bin": mel.first_bin, "offset": tables.offset})

    @property
    def table_bytes(self) -> int:
        """Bytes of all arrays."""
        return sum(values.nbytes for values in self.arrays.values())


@dataclass(frozen=True)
class MelRuns:
    """Mel weights by bin: between the middles of two filters one rises as the other falls."""

    rise: NDArray[np.uint16]
    """Weight of each bin in the filter that rises, Q12; in the one that falls, 4096 less that."""
    bins: NDArray[np.uint16]
    """How many bins lie before the middle of filter 0, 1, .., and after that of the last."""
    first_bin: int

    @classmethod
    def of(cls, tables: LogMelTables) -> "MelRuns":
        """From a whole matrix.

        Raises
        ------
        ModelError
            If two filters do not add up to 4096 at a bin.
        """
        whole, one = tables.mel, 1 << WEIGHT_BITS
        mels = whole.shape[1]
        heard = np.flatnonzero(whole.any(axis=1))
        at = np.arange(heard[0], heard[-1] + 1)
        # The highest filter that hears a bin rises there; past its middle the last one falls.
        rising = mels - 1 - np.argmax(whole[at, ::-1] > 0, axis=1)
        rise = whole[at, rising]
        falls = (rising == mels - 1) & (rise < one) & (whole[at, mels - 2] == 0)
        rise = np.where(falls, one - rise, rise).astype(np.uint16)
        rising = np.where(falls, mels, rising)
        found = cls(rise, np.bincount(rising, minlength=mels + 1).astype(np.uint16),
                    int(at[0]))
        if not np.array_equal(found.matrix(whole.shape), whole):
            raise ModelError("two mel filters do not add up to 1 at a bin; such filters were "
                             "needed for the C frontend. Move low_hz or high_hz by 1 Hz and train "
                             "again")
        return found

    def matrix(self, shape: tuple[int, ...]) -> NDArray[np.int16]:
        """Weight of each bin in each filter: what the C adds up, of `LogMelTables.mel`'s shape."""
        whole = np.zeros((shape[0], shape[1] + 2), np.int16)
        at = self.first_bin + np.arange(len(self.rise))
        rising = np.repeat(np.arange(len(self.bins)), self.bins)
        whole[at, rising + 1] = self.rise
        whole[at, rising] = (1 << WEIGHT_BITS) - self.rise
        return whole[:, 1:-1]


def half_window(window: NDArray[np.int16]) -> tuple[NDArray[np.int16], int]:
    """The first half of a window, middle included, and the place of the value that is greater.

    At a quarter and three quarters of its length a Hann window is 16383.5, which rounds up on
    one side where the cosine is a hair off: one value may be 1 more than its mirror image.

    Raises
    ------
    ModelError
        If more than that differs.
    """
    half = window[:len(window) // 2 + 1]
    mirrored = np.concatenate([half, half[1:(len(window) + 1) // 2][::-1]])
    unequal = np.flatnonzero(window != mirrored)
    if not unequal.size:
        return half, -1
    place = int(unequal[0])
    if unequal.size == 1 and window[place] == mirrored[place] + 1:
        return half, place
    if unequal.size == 1 and window[place] == mirrored[place] - 1:
        # The greater one is in the first half.
        half = half.copy()
        half[len(window) - place] -= 1
        return half, len(window) - place
    raise ModelError(f"a window of {len(window)} samples is not symmetric at {unequal.size} "
                     "places; 0 or 1 was needed for the C frontend. Choose another window_ms")


def cosines(points: int) -> NDArray[np.int16]:
    """What multiplies the folded values of a DFT, in the order of its loops."""
    return np.concatenate([
        circle(np.outer(np.arange(1, m // 4, 2), np.arange(m // 4)), m)[0].reshape(-1)
        for m in (1 << np.arange(3, points.bit_length()))])
