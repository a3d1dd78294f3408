"""LOGISTIC, TANH, SOFTMAX and RSQRT on int8 and int16.

Functions of one value are tabulated once for every code, so that a step only looks up.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgernn.emulator import fixed
from edgernn.emulator.fixed import Int, Multiplier, Real
from edgernn.errors import ModelError
from edgernn.quant import QType

Codes = NDArray[np.integer]
Function = Callable[[Codes], Codes]



def _sigmoid_table() -> Int:
    """sigmoid(i / 24) with 16 fractional bits, i = 0..255: what the int16 kernels interpolate.

    Each entry is raised by half of what the chord to the next one lacks in mid-interval,
    which halves the largest error; the last is 1.
    """
    def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return 65536 / (1 + np.exp(-x))

    here, step = np.arange(256) / 24, 1 / 24
    chord = (sigmoid(here) + sigmoid(here + step)) / 2
    raised = sigmoid(here) + (sigmoid(here + step / 2) - chord) / 2
    table = np.floor(raised + 0.5).astype(np.int64)
    table[-1] = 65535
    return table


SIGMOID_TABLE = _sigmoid_table()

LOGISTIC_EXACT, TANH_EXACT = (2.0**-12,), (2.0**-12, 2.0**-11)
"""Scales of int16 inputs that the kernels bring to the table's grid without rounding."""


def all_codes(q: QType) -> Int:
    """Every integer that a type can hold, lowest first."""
    return np.arange(q.low, q.high + 1, dtype=np.int64)


def lookup(table: Codes, q: QType) -> Function:
    """A function of one code given by its value for every code."""
    low = q.low
    return lambda x: table[x.astype(np.int64) - low]


def logistic(x: QType) -> Function:
    """LOGISTIC; the output has scale 1/256, zero point -128, or 1/32768."""
    table = _logistic16(x) if x.dtype == "int16" else _table8(x, fixed.logistic, 8, -128)
    return lookup(table.astype(x.dtype), x)


def tanh(x: QType) -> Function:
    """TANH; the output has scale 1/128 or 1/32768."""
    table = _tanh16(x) if x.dtype == "int16" else _table8(x, fixed.tanh, 7, 0)
    return lookup(table.astype(x.dtype), x)


def _table8(x: QType, function: Callable[[Int], Int], bits: int, zero_point: int) -> Int:
    """Int8 in, through a function of Q4, to `bits` fractional bits."""
    multiplier = Multiplier.of(x.scale * 2.0**27)
    radius = math.floor(15 * 2.0**27 / 2.0**multiplier.shift)
    real = all_codes(x) - x.zero_point
    inside = np.clip(real, -radius + 1, radius - 1)
    result = fixed.divide_by_power(function(multiplier.times(inside)), 31 - bits) + zero_point
    result = np.where(real <= -radius, -128, np.where(real >= radius, 127, result))
    return np.clip(result, -128, 127)


def table_multiplier(x: QType, powers: tuple[float, ...]) -> tuple[int, int]:
    """From int16 codes to units of 1 / (3 * 4096), the grid of the interpolation: ``* m >> s``.

    For scales among `powers` the kernels multiply exactly, and take what is within
    0.07 % of one for it (CheckedLog2); for others by a 15-bit multiplier, cut, not rounded.
    """
    near = round(math.log2(x.scale))
    if abs(math.log2(x.scale) - near) < 1e-3 and 2.0**near in powers:
        return 3 * round(2.0**near * 4096), 0
    multiplier, shift = x.scale * 4096.0 * 3.0, 0
    while multiplier <= 32767.0 / 2.0 and shift <= 30:
        multiplier, shift = multiplier * 2.0, shift + 1
    return int(multiplier), shift


def _table_input(x: QType, powers: tuple[float, ...]) -> Int:
    """Every int16 code on that grid."""
    multiplier, shift = table_multiplier(x, powers)
    rounding = 1 << (shift - 1) if shift else 0
    return (all_codes(x) * multiplier + rounding) >> shift


def _interpolate(size: Int, bits: int) -> Int:
    """SIGMOID_TABLE at `size` / 2**bits, with 16 + `bits` fractional bits."""
    index = np.minimum(size >> bits, 254)
    part = size & ((1 << bits) - 1)
    low, high = SIGMOID_TABLE[index], SIGMOID_TABLE[index + 1]
    return (low << bits) + part * (high - low)


def _logistic16(x: QType) -> Int:
    value = _table_input(x, LOGISTIC_EXACT)
    size = np.abs(value)
    y = np.where(size >> 9 >= 255, 0x7FFF << 10, _interpolate(size, 9))
    return np.where(value >= 0, y + (1 << 9), (1 << 25) - y + (1 << 9) - 1) >> 10


def _tanh16(x: QType) -> Int:
    value = _table_input(x, TANH_EXACT)
    size = np.abs(value)
    y = np.where(size >> 8 >= 255, 0xFFFF << 8, _interpolate(size, 8))
    return np.where(value >= 0, y - (1 << 23) + (1 << 7), -y + (1 << 23) + (1 << 7) - 1) >> 8


def rsqrt(x: QType, y: QType, real: Real = float) -> Function:
    """RSQRT on int16; an input of 0 gives the largest output.

    `real` is what the scales are multiplied in.
    """
    multiplier = Multiplier.of(1.0 / float(real(np.sqrt(real(x.scale))) * real(y.scale)))
    codes = np.arange(1, x.high + 1, dtype=np.int64)
    root, shift = _inverse_root(codes)
    # 20 bits are borrowed between the two rescales, to keep the value an integer.
    data = Multiplier(root, shift + 20).times(np.ones_like(codes))
    table = np.clip(Multiplier(multiplier.m, multiplier.shift - 20).times(data), y.low, y.high)
    table = np.concatenate([[y.high], table]).astype(y.dtype)

    def run(codes: Codes) -> Codes:
        if codes.min(initial=0) < 0:
            raise ModelError("RSQRT was given a negative number; the model's variance overflowed. "
                             "Quantize it again, calibrated on frames like these")
        return table[codes]

    return run


def _inverse_root(x: Int) -> tuple[Int, Int]:
    """1 / sqrt(x) of integers, 1 or more, as raw * 2**(shift - 31)."""
    pairs = (fixed.leading_zeros(x) - 1) // 2 - 1
    value = (x << (2 * pairs)) >> 1
    half = fixed.divide_by_power(value, 1)
    three_halves = (1 << 28) + (1 << 27)
    root = np.full_like(x, 1 << 28)  # 1, as Q3
    for _ in range(5):
        cube = fixed.shift_left(fixed.high_mul(fixed.high_mul(root, root), root), 6)
        root = fixed.shift_left(fixed.high_mul(three_halves, root)
                                - fixed.high_mul(half, cube), 3)
    root = fixed.high_mul(root, 1518500250)  # sqrt(2) / 2
    right = 11 - pairs
    root = np.where(right < 0, root << np.maximum(-right, 0), root)
    return np.where(x == 1, fixed.INT32_MAX, root), np.where(x == 1, 0, -np.maximum(right, 0))


def softmax(x: QType, beta: float) -> Function:
    """SOFTMAX over the last axis."""
    return _softmax16(x, beta) if x.dtype == "int16" else _softmax8(x, beta)


def _softmax8(x: QType, beta: float) -> Function:
    multiplier = Multiplier.of(min(beta * x.scale * 2.0**26, 2.0**31 - 1.0))
    lowest = -math.floor(31 * 2.0**26 / 2.0**multiplier.shift)
    differences = np.arange(-255, 1, dtype=np.int64)
    kept = np.maximum(differences, lowest)
    exps = fixed.exp_of_negative(fixed.high_mul(kept << max(multiplier.shift, 0), multiplier.m), 5)
    exps = np.where(differences >= lowest, exps, 0)
    terms = np.where(differences >= lowest, fixed.divide_by_power(exps, 12), 0)

    def run(codes: Codes) -> Codes:
        index = codes.astype(np.int64)
        index = index - index.max(axis=-1, keepdims=True) + 255
        total = terms[index].sum(axis=-1, keepdims=True)
        headroom = fixed.leading_zeros(total)
        scale = fixed.one_over_one_plus((total << headroom) - (1 << 31))
        share = fixed.divide_by_power(fixed.high_mul(scale, exps[index]), 12 - headroom + 23)
        return np.clip(share - 128, -128, 127).astype(np.int8)

    return run


def _softmax16(x: QType, beta: float) -> Function:
    multiplier = Multiplier.of(float(x.scale) * float(beta) / (10.0 / 65535.0))
    exps = _exp_table()
    reciprocals = _reciprocal_table()

    def run(codes: Codes) -> Codes:
        difference = codes.astype(np.int64)
        difference = difference - difference.max(axis=-1, keepdims=True)
        scaled = np.clip(multiplier.times(difference) + 32767, -32768, 32767)
        e = _look_up16(exps, scaled)
        total = e.sum(axis=-1, keepdims=True)
        headroom = fixed.leading_zeros(total)
        centered = (((total << (headroom - 1)) + (1 << 13)) >> 14) - ((1 << 15) + (1 << 16))
        reciprocal = _look_up16(reciprocals, np.clip(centered, -32768, 32767))
        right = 31 - headroom
        share = (e * reciprocal + (np.int64(1) << (right - 1))) >> right
        return np.clip(share, 0, 32767).astype(np.int16)

    return run


def _look_up16(table: Int, x: Int) -> Int:
    """A 513-entry table at an int16, linearly interpolated over its low 7 bits."""
    index = 256 + (x >> 7)
    return table[index] + (((table[index + 1] - table[index]) * (x & 0x7F) + 64) >> 7)


def _exp_table() -> Int:
    """exp over [-10, 0]."""
    scale = np.float32(10.0) / np.float32(65535)
    return _table513(scale, 32767, np.exp)


def _reciprocal_table() -> Int:
    """1 / (1 + x) over [0, 1]."""
    scale = np.float32(1.0) / np.float32(65535)
    return _table513(scale, -32768, lambda x: np.float32(1) / (np.float32(1) + x))


def _table513(scale: np.float32, zero_point: int,
              function: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Int:
    """512 samples of a function in Q15, each shifted by half the error in mid-interval.

    All in float32, in the order of the kernel (LUTPopulateInt16).
    """
    f = np.float32
    low, high = scale * f(-32768 - zero_point), scale * f(32767 - zero_point)
    out_scale = f(2.0) / f(65535)
    inverse = f(65536) / (out_scale * f(32767) - out_scale * f(-32768))
    step = (high - low) / f(512)
    i = np.arange(512, dtype=np.float32)
    value, middle, after = (function(low + i * step), function(low + i * step + step / f(2)),
                            function(low + (i + f(1)) * step))
    sample = _round(value * inverse)
    error = _round((after * inverse + sample) / f(2)) - _round(middle * inverse)
    last = _round(function(np.array([high], np.float32)) * inverse)
    table = np.concatenate([sample - _round(error / f(2)), last])
    return np.clip(table, -32768, 32767).astype(np.int64)


def _round(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """To the nearest, ties away from zero, as C's round."""
    return np.copysign(np.floor(np.abs(x) + np.float32(0.5)), x)
