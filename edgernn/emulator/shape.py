"""GATHER, RESHAPE, CONCATENATION and STRIDED_SLICE: the same integers, elsewhere."""

from collections.abc import Callable
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


def below(upper: Codes, lower: Codes) -> Codes:
    """CONCATENATION of rows, the first dimension kept for the streams."""
    return np.concatenate([upper, lower], axis=1)


def block(begin: Codes, end: Codes) -> Callable[[Codes], Codes]:
    """STRIDED_SLICE by ones, of every stream."""
    inner = (slice(None), *(slice(a, b) for a, b in zip(begin[1:], end[1:], strict=True)))
    return lambda codes: codes[inner]
