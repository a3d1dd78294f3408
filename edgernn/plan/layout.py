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


def tiles(matrix: Bytes) -> Bytes:
    """Tiles of 16 rows by 4 columns, padded with zeros; a row of a tile is a 32-bit word."""
    outputs, inputs = matrix.shape
    padded = np.zeros((-(-outputs // 16) * 16, -(-inputs // 4) * 4), np.int8)
    padded[:outputs, :inputs] = matrix
    return padded.reshape(-1, 16, padded.shape[1] // 4, 4).swapaxes(1, 2).reshape(-1)


LAYOUTS: Mapping[str, Callable[[Bytes], Bytes]] = {"ERNN_ROWS": rows, "ERNN_TILES": tiles}
"""By the name that ernn_target.h gives them."""
