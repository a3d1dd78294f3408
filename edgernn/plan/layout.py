"""Orders of a weight matrix in memory, one for each way in which kernels walk through it.

They are the ERNN_LAYOUT of firmware_export/c/ernn_target.h.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.int8]


def rows(matrix: Bytes) -> Bytes:
    """Row after row."""
    return matrix.reshape(-1)


def pairs(matrix: Bytes) -> Bytes:
    """Tiles of 4 rows by 4 columns, padded with zeros, two rows to a 16-bit half: b * 256 + a.

    Weights are -127 to 127, so no half overflows (`edgernn.plan.lower` has looked).
    """
    padded = _padded(matrix, 4).astype(np.int16).reshape(-1, 2, 2, _groups(matrix), 4)
    halves = padded[:, :, 1] * 256 + padded[:, :, 0]          # (tile, pair, group, column)
    order = halves[..., [0, 2, 1, 3]].transpose(0, 2, 1, 3)   # (tile, group, pair, column)
    return np.ascontiguousarray(order).astype("<i2").view(np.int8).reshape(-1)


def tiles(matrix: Bytes) -> Bytes:
    """Tiles of 16 rows by 4 columns, padded with zeros; a row of a tile is a 32-bit word."""
    return _padded(matrix, 16).reshape(-1, 16, _groups(matrix), 4).swapaxes(1, 2).reshape(-1)


def offsets(offset: NDArray[np.int32], matrix: Bytes, x_plus: int) -> NDArray[np.int32]:
    """What sums begin with, for kernels that add `x_plus` to every input."""
    return (offset - x_plus * matrix.sum(axis=1, dtype=np.int64)).astype(np.int32)


def _groups(matrix: Bytes) -> int:
    """How many times four columns there are, the last ones padded."""
    return -(-matrix.shape[1] // 4)


def _padded(matrix: Bytes, rows_of_a_tile: int) -> Bytes:
    outputs, inputs = matrix.shape
    padded = np.zeros((-(-outputs // rows_of_a_tile) * rows_of_a_tile,
                       4 * _groups(matrix)), np.int8)
    padded[:outputs, :inputs] = matrix
    return padded


LAYOUTS: Mapping[str, Callable[[Bytes], Bytes]] = {"ERNN_ROWS": rows, "ERNN_PAIRS": pairs,
                                                       "ERNN_TILES": tiles}
"""By the name that ernn_target.h gives them."""
X_PLUS = (0, 128)
"""What ERNN_X_PLUS can be."""
