"""Fixed-point arithmetic as TensorFlow Lite's reference kernels do it, on numpy int64.

`Qk` is a 32-bit number with k integer bits: raw / 2**(31 - k).  The rounding of each
primitive is that of gemmlowp (github.com/google/gemmlowp, fixedpoint/fixedpoint.h),
which the reference kernels are written in; the wheel of `tflite-micro` rounds twice in
a rescale (TFLITE_SINGLE_ROUNDING off), and so does this.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Int = NDArray[np.int64]
Real = type[float] | type[np.float32]
"""What a kernel computes with scales in, before they become whole numbers."""
INT32_MAX = 2**31 - 1
INT32_MIN = -(2**31)


@dataclass(frozen=True)
class Multiplier:
    """A positive real as m * 2**(shift - 31), m having 31 bits; or an array of them."""

    m: Any
    shift: Any

    @classmethod
    def of(cls, real: float) -> "Multiplier":
        """The nearest one to `real` (QuantizeMultiplier)."""
        if real == 0:
            return cls(0, 0)
        fraction, shift = math.frexp(real)
        m = math.floor(fraction * 2**31 + 0.5)
        if m == 2**31:
            m, shift = m // 2, shift + 1
        return cls(0, 0) if shift < -31 else cls(m, shift)

    @classmethod
    def each(cls, reals: NDArray[np.float64]) -> "Multiplier":
        """One per entry of `reals`."""
        found = [cls.of(float(real)) for real in reals]
        return cls(np.array([f.m for f in found], np.int64),
                   np.array([f.shift for f in found], np.int64))

    def times(self, x: Int) -> Int:
        """``x * self``, rounded twice, for sums of 32 bits."""
        left, right = np.maximum(self.shift, 0), np.maximum(np.negative(self.shift), 0)
        return divide_by_power(high_mul(x << left, self.m), right)

    def times_wide(self, x: Int) -> Int:
        """``x * self`` for sums of 64 bits: the multiplier is cut to 15 bits.

        The kernel returns 32 bits of the result, so one beyond them wraps.
        """
        reduced = np.where(np.less(self.m, 0x7FFF0000), (np.add(self.m, 1 << 15)) >> 16, 0x7FFF)
        shift = 15 - np.asarray(self.shift)
        result = (x * reduced + (np.int64(1) << (shift - 1))) >> shift
        return result.astype(np.int32).astype(np.int64)


def high_mul(a: Any, b: Any) -> Any:
    """``a * b / 2**31``, ties up (SaturatingRoundingDoublingHighMul)."""
    return np.minimum((a * b + (1 << 30)) >> 31, INT32_MAX)


def divide_by_power(x: Any, exponent: Any) -> Any:
    """``x / 2**exponent``, ties away from zero (RoundingDivideByPOT)."""
    exponent = np.asarray(exponent, np.int64)
    half = np.where(exponent > 0, np.int64(1) << np.maximum(exponent - 1, 0), 0)
    return (x + half - ((x < 0) & (exponent > 0))) >> exponent


def shift_left(x: Any, bits: int) -> Any:
    """``x * 2**bits``, saturated to 32 bits."""
    return np.clip(x << bits, INT32_MIN, INT32_MAX)


def exp_of_negative(a: Int, integer_bits: int) -> Int:
    """exp of a Q`integer_bits` that is at most 0, as Q0.

    What is left after taking quarters off is in [-1/4, 0) and done by a polynomial; each
    bit of the number of quarters multiplies by one constant, exp(-2**k).
    """
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    rest = (a & (quarter - 1)) - quarter
    result = _exp_of_less_than_a_quarter(shift_left(rest, integer_bits))
    quarters = rest - a
    for exponent in range(-2, min(integer_bits, 5)):
        constant = math.floor(math.exp(-(2.0**exponent)) * 2**31 + 0.5)
        bit = 1 << (fraction_bits + exponent)
        result = np.where(quarters & bit, high_mul(result, constant), result)
    return np.where(a == 0, INT32_MAX, result)


def _exp_of_less_than_a_quarter(a: Int) -> Int:
    """exp of a Q0 in [-1/4, 0): Taylor around -1/8 to the fourth power."""
    at_center = 1895147668  # exp(-1/8)
    third = 715827883  # 1/3
    x = a + (1 << 28)
    x2 = high_mul(x, x)
    x3, x4 = high_mul(x2, x), high_mul(x2, x2)
    higher = divide_by_power(high_mul(divide_by_power(x4, 2) + x3, third) + x2, 1)
    return np.minimum(at_center + high_mul(at_center, x + higher), INT32_MAX)


def _newton_reciprocal(a: Int) -> Int:
    """2 / (1 + a) of a Q0 in [0, 1], as Q2, by three Newton steps."""
    total = a + INT32_MAX
    half_denominator = (total + 1) >> 1
    x = 1515870810 + high_mul(half_denominator, -1010580540)  # 48/17 - 32/17 d
    for _ in range(3):
        error = (1 << 29) - high_mul(half_denominator, x)
        x = x + shift_left(high_mul(x, error), 2)
    return x


def one_over_one_plus(a: Int) -> Int:
    """1 / (1 + a) of a Q0 in [0, 1], as Q0."""
    return shift_left(_newton_reciprocal(a), 1)


def logistic(a: Int) -> Int:
    """1 / (1 + exp(-a)) of a Q4, as Q0."""
    positive = one_over_one_plus(exp_of_negative(-np.abs(a), 4))
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, INT32_MAX - positive))


def tanh(a: Int) -> Int:
    """tanh of a Q4, as Q0."""
    # Read as Q5 the same bits are 2a, and tanh(a) = (1 - exp(-2a)) / (1 + exp(-2a)).
    e = exp_of_negative(-np.abs(a), 5)
    size = shift_left(_newton_reciprocal(e) - (1 << 29), 2)
    return np.where(a == 0, 0, np.where(a < 0, -size, size))


def leading_zeros(x: Int) -> Int:
    """Leading zeros of positive 32-bit numbers."""
    return 32 - np.frexp(x.astype(np.float64))[1].astype(np.int64)
