"""Scale and zero point, to and from real numbers: the only Python that rounds.

real = (q - zero_point) * scale, as in Jacob et al. 2018 (arXiv 1712.05877), eq. 1,
and the TensorFlow Lite 8-bit quantization specification.
"""

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import add, multiply
from numpy.typing import NDArray

try:
    # What np.clip calls after a microsecond of preparation, which is as long as all the rest.
    from numpy._core.umath import clip  # type: ignore[attr-defined]
except ImportError:  # numpy 1
    from numpy.core.umath import clip  # type: ignore[no-redef]

INFINITY = float("inf")


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


def quantize_features(real: NDArray[Any], q: QType) -> NDArray[Any]:
    """Quantize features as every device does it: in float32, by the reciprocal of the scale.

    ``clip(round(real * (1 / scale)) + zero_point)``, ties to even.  Any shape.
    """
    scaled = np.asarray(real, np.float32) * np.float32(1 / q.scale)
    low, high = np.float32(q.low - q.zero_point), np.float32(q.high - q.zero_point)
    return (np.rint(np.clip(scaled, low, high)) + q.zero_point).astype(q.dtype)


class FeatureQuantizer:
    """`quantize_features` for one frame after another, without allocating.

    Adding 1.5 * 2**23 to a float32 rounds it to an integer, ties to even, and leaves that
    integer in its lowest bytes; adding that times a power of two rounds to multiples of
    it, so such scales (all log-mel inputs have one) need no multiplication.  Two or three
    ufuncs, no conversion: with `np.clip` and `np.round` this would cost more than the model.

    Parameters
    ----------
    q : QType
        int8 or int16.
    width : int
        Features of a frame.
    """

    MAGIC = 1.5 * 2.0**23

    def __init__(self, q: QType, width: int) -> None:
        unit = q.scale if math.frexp(q.scale)[0] == 0.5 else 1.0  # real units of `work`

        def row(value: float) -> NDArray[np.float32]:
            # Whole arrays: a scalar would be converted and broadcast again at every step.
            return np.full(width, value, np.float32)

        self._inverse = row(1 / q.scale) if unit != q.scale else None
        self._low = row((q.low - q.zero_point) * unit)
        self._high = row((q.high - q.zero_point) * unit)
        # Ties go to the even multiple of `unit`, so an odd zero point is added afterwards.
        odd = q.zero_point % 2
        self._magic = row((self.MAGIC + q.zero_point - odd) * unit)
        self._odd = np.ones((1, width), q.dtype) if odd else None
        self._work = np.empty(width, np.float32)
        step = 4 // np.dtype(q.dtype).itemsize
        low_byte_first = self._work.view(np.dtype(q.dtype))
        start = 0 if sys.byteorder == "little" else step - 1
        self._codes = low_byte_first[start::step].reshape(1, width)

    def __call__(self, real: NDArray[np.float32]) -> NDArray[Any] | None:
        """Codes of shape (1, width), overwritten by the next call; None if not all finite."""
        work = self._work
        scaled = real if self._inverse is None else multiply(real, self._inverse, work)
        # A NaN or an infinity makes the sum of squares one too; so may a huge number, which
        # is then looked at again.
        if not scaled.dot(scaled) < INFINITY and not np.isfinite(real).all():
            return None
        clip(scaled, self._low, self._high, work)
        add(work, self._magic, work)
        if self._odd is not None:
            add(self._codes, self._odd, self._codes)
        return self._codes


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
