"""GATHER and RESHAPE: the same integers, elsewhere."""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from edgernn.graph import Tensor

Codes = NDArray[Any]


def gather(table: Tensor) -> Callable[[Codes], Codes]:
    """GATHER: rows of a constant table, shape (rows, units), by int32 ids of any shape."""
    assert table.data is not None, "the graph's reader lets no other pass"
    rows = table.data
    return lambda ids: rows[ids]


def reshape(y: Tensor) -> Callable[[Codes], Codes]:
    """RESHAPE, the first dimension kept for the streams."""
    return lambda codes: codes.reshape(len(codes), *y.shape[1:])
