"""FULLY_CONNECTED, BATCH_MATMUL, ADD, SUB, MUL, QUANTIZE and CAST on int8 and int16."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.emulator.fixed import Multiplier, Real
from edgernn.errors import ModelError
from edgernn.graph import Tensor
from edgernn.quant import QType

Codes = NDArray[Any]


def fully_connected(x: QType, weights: Tensor, bias: Tensor | None, y: QType,
                    activation: str, real: Real = float) -> Callable[[Codes], Codes]:
    """``x @ weights.T + bias``; weights has shape (outputs, inputs).  `real` as in `add`."""
    if weights.data is None or (bias is not None and bias.data is None):
        raise ModelError(f"the matmul with {weights.name!r} has weights that are computed; "
                         "constants were needed. Make the model again: edgernn quantize")
    # Products of integers below 2**15 * 2**7, up to 2**16 of them, stay below 2**53: the
    # float64 matmul is exact, and much faster than numpy's integer one.
    matrix = weights.data.T.astype(np.float64)
    offset = np.zeros(matrix.shape[1], np.int64)
    if bias is not None and bias.data is not None:
        offset = bias.data.astype(np.int64)
    offset = offset - x.zero_point * weights.data.astype(np.int64).sum(axis=1)
    multiplier = matmul_multiplier(x, weights, y, real)
    rescale = multiplier.times_wide if x.dtype == "int16" else multiplier.times
    low = max(y.low, y.zero_point) if activation == "RELU" else y.low

    def run(codes: Codes) -> Codes:
        sums = np.rint(codes.astype(np.float64) @ matrix).astype(np.int64) + offset
        return np.clip(rescale(sums) + y.zero_point, low, y.high).astype(y.dtype)

    return run


def depthwise(x: QType, weights: Tensor, bias: Tensor, y: QType,
              activation: str) -> Callable[[Codes], Codes]:
    """DEPTHWISE_CONV_2D of one column: sum over rows of x * weights, channel by channel."""
    kernel = weights.values[0, :, 0].astype(np.int64)
    offset = bias.values.astype(np.int64)
    multiplier = Multiplier.each(x.scale * np.resize(np.array(weights.scales, np.float64),
                                                     kernel.shape[1]) / y.scale)
    rescale = multiplier.times_wide if x.dtype == "int16" else multiplier.times
    low = max(y.low, y.zero_point) if activation == "RELU" else y.low

    def run(codes: Codes) -> Codes:
        sums = ((codes[:, :, 0].astype(np.int64) - x.zero_point) * kernel).sum(axis=1) + offset
        found = np.clip(rescale(sums) + y.zero_point, low, y.high).astype(y.dtype)
        return found[:, None, None]

    return run


def matmul_multiplier(x: QType, weights: Tensor, y: QType, real: Real = float) -> Multiplier:
    """From sums of a FULLY_CONNECTED to codes of `y`: one for all outputs, or one for each.

    `real` as in `add`; a scale for each output was never multiplied in float32.
    """
    if len(weights.scales) > 1:
        return Multiplier.each(x.scale * np.array(weights.scales, np.float64) / y.scale)
    return Multiplier.of(float(real(x.scale) * real(weights.scales[0])) / y.scale)


def batch_matmul(a: QType, b: QType, y: QType, transpose: bool,
                 real: Real = float) -> Callable[[Codes, Codes], Codes]:
    """BATCH_MATMUL: ``p @ q`` per stream, q transposed first if told; `real` as in `add`."""
    multiplier = Multiplier.of(float(real(a.scale) * real(b.scale)) / y.scale)
    rescale = multiplier.times_wide if a.dtype == "int16" else multiplier.times

    def run(p: Codes, q: Codes) -> Codes:
        # In float64, as in `fully_connected`: exact up to 2**23 products of two int16.
        right = q.astype(np.float64) - b.zero_point
        if transpose:
            right = right.swapaxes(-1, -2)
        sums = np.rint((p.astype(np.float64) - a.zero_point) @ right).astype(np.int64)
        return np.clip(rescale(sums) + y.zero_point, y.low, y.high).astype(y.dtype)

    return run


def add(a: QType, b: QType, y: QType, activation: str = "NONE", sign: int = 1,
        real: Real = float) -> Callable[[Codes, Codes], Codes]:
    """ADD, or SUB with `sign` -1: both are brought to twice the larger scale first.

    Of the 32 bits, int16 leaves 15 to do so and int8 20.  `real` is what scales are divided in.
    """
    scales = [real(q.scale) for q in (a, b)]
    twice = real(2) * max(scales)
    bits = 15 if y.dtype == "int16" else 20
    to_a, to_b = (Multiplier.of(float(scale / twice)) for scale in scales)
    to_y = Multiplier.of(float(twice / (real(2**bits) * real(y.scale))))
    low = max(y.low, y.zero_point) if activation == "RELU" else y.low

    def run(p: Codes, q: Codes) -> Codes:
        total = (to_a.times((p.astype(np.int64) - a.zero_point) << bits)
                 + sign * to_b.times((q.astype(np.int64) - b.zero_point) << bits))
        return np.clip(to_y.times(total) + y.zero_point, low, y.high).astype(y.dtype)

    return run


def sub(a: QType, b: QType, y: QType, real: Real = float) -> Callable[[Codes, Codes], Codes]:
    """SUB; `real` as in `add`."""
    return add(a, b, y, sign=-1, real=real)


def mul(a: QType, b: QType, y: QType) -> Callable[[Codes, Codes], Codes]:
    """MUL."""
    multiplier = Multiplier.of(a.scale * b.scale / y.scale)

    def run(p: Codes, q: Codes) -> Codes:
        product = (p.astype(np.int64) - a.zero_point) * (q.astype(np.int64) - b.zero_point)
        return np.clip(multiplier.times(product) + y.zero_point, y.low, y.high).astype(y.dtype)

    return run


def quantize(x: QType, y: QType) -> Callable[[Codes], Codes]:
    """QUANTIZE between integers."""
    multiplier = Multiplier.of(x.scale / y.scale)

    def run(codes: Codes) -> Codes:
        moved = multiplier.times(codes.astype(np.int64) - x.zero_point) + y.zero_point
        return np.clip(moved, y.low, y.high).astype(y.dtype)

    return run


def cast(y: QType) -> Callable[[Codes], Codes]:
    """CAST: the same integer in another width."""
    return lambda codes: codes.astype(y.dtype)
