"""Scale and zero point, to and from real numbers: the only Python that rounds.

real = (q - zero_point) * scale, as in Jacob et al. 2018 (arXiv 1712.05877), eq. 1,
and the TensorFlow Lite 8-bit quantization specification.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class QType:
    """How one tensor stores real numbers."""

    dtype: str
    """numpy name: int8, int16 or int32."""
    scale: float
    """Real units per step of the integer."""
    zero_point: int = 0
    """The integer that stands for 0.0; always 0 for int16 and int32."""

    @property
    def low(self) -> int:
        """Smallest integer it can hold."""
        return int(np.iinfo(self.dtype).min)

    @property
    def high(self) -> int:
        """Largest integer it can hold."""
        return int(np.iinfo(self.dtype).max)


def quantize(real: NDArray[Any], q: QType) -> NDArray[Any]:
    """Round reals to the nearest integer code, ties to even, saturating."""
    codes = np.rint(np.asarray(real, np.float64) / q.scale) + q.zero_point
    return np.clip(codes, q.low, q.high).astype(q.dtype)


def dequantize(codes: NDArray[Any], q: QType) -> NDArray[np.float32]:
    """Reals that the codes stand for."""
    return ((np.asarray(codes, np.float64) - q.zero_point) * q.scale).astype(np.float32)


def shift_codes(
    codes: NDArray[np.int16], code_zero: int, shift: int, zero_point: int, dtype: str
) -> NDArray[Any]:
    """Requantize integer features to a scale `2**shift` times coarser, integers only.

    ``(code - code_zero + 2**(shift-1)) >> shift``, plus `zero_point`, saturated: ties go up.
    A model whose input scale is the frontend's times a power of two takes its
    features this way, so that a device without floats hears the same thing.

    Parameters
    ----------
    codes : int16 array, any shape
    code_zero : int
        The code that stands for the real 0.0.
    shift : int
        log2 of the ratio of scales, 0 or more.
    zero_point, dtype
        Of the model's input tensor.
    """
    half = (1 << shift) >> 1
    moved = ((codes.astype(np.int32) - code_zero + half) >> shift) + zero_point
    info = np.iinfo(dtype)
    return np.clip(moved, info.min, info.max).astype(dtype)
