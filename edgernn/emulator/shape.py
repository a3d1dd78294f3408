"""GATHER, RESHAPE, CONCATENATION and STRIDED_SLICE: the same integers, elsewhere."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.graph import Tensor

Codes = NDArray[Any]


def gather(table: Tensor) -> Callable[[Codes], Codes]:
    """GATHER: rows of a constant table, shape (rows, units), by int32 ids of any shape."""
    rows = table.values
    return lambda ids: rows[ids]


def reshape(y: Tensor) -> Callable[[Codes], Codes]:
    """RESHAPE, the first dimension kept for the streams."""
    return lambda codes: codes.reshape(len(codes), *y.shape[1:])


def join(y: Tensor, axis: int) -> Callable[..., Codes]:
    """CONCATENATION on any axis but the first, which is the streams'."""
    axis = axis + len(y.shape) if axis < 0 else axis
    return lambda *parts: np.concatenate(parts, axis)


def block(bounds: Sequence[tuple[int, int, int]]) -> Callable[[Codes], Codes]:
    """STRIDED_SLICE of every stream; begin, end and step of each dimension."""
    inner = (slice(None), *(slice(*one) for one in bounds[1:]))
    return lambda codes: codes[inner]
