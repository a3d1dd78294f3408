"""A piece of what a source heard, and when."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Frame:
    """Consecutive samples; what follows the frame before it, unless `gap` says otherwise."""

    samples: NDArray[Any]
    """int16 of shape (n,) for audio, float of shape (n, columns) for sensor rows; n >= 1."""
    time_s: float
    """When the first sample was heard, seconds since the source began, gaps included."""
    gap: int = 0
    """Samples lost just before this frame; 0 where nothing is missing."""
