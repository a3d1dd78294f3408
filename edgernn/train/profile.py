"""The three ways of spending bits, and the integer types that follow from them."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgernn.errors import ConfigError
from edgernn.quant import QType


@dataclass(frozen=True)
class Profile:
    """Which integers a step is made of.  Weights are int8 in all of them."""

    name: str
    matmul: str
    """Inputs of matmuls: int8, or int16."""
    gates: str
    """Gates and everything computed from them; an LSTM's are int16 always."""
    state: str
    """Hidden state; an LSTM's cell state is int16 always."""


PROFILES = {
    profile.name: profile
    for profile in (
        # Smallest, and all an Edge TPU can do.  A GRU state of 8 bits cannot integrate
        # slowly: what would change it by less than half a step is lost.
        Profile("int8", matmul="int8", gates="int8", state="int8"),
        # Matmuls stay cheap, the memory has 16 bits: the default.
        Profile("int8x16", matmul="int8", gates="int16", state="int16"),
        # Most accurate; slow on x86, where no int16 matmul is optimized.
        Profile("int16x8", matmul="int16", gates="int16", state="int16"),
    )
}

# What LOGISTIC, TANH and SOFTMAX kernels give is fixed by the TensorFlow Lite
# quantization specification; a state in [-1, 1] takes tanh's.
SIGMOID = {"int8": QType("int8", 1 / 256, -128), "int16": QType("int16", 1 / 32768)}
TANH = {"int8": QType("int8", 1 / 128), "int16": QType("int16", 1 / 32768)}
SOFTMAX = SIGMOID


def get_profile(name: str) -> Profile:
    """The profile of that name.

    Raises
    ------
    ConfigError
        If there is none.
    """
    try:
        return PROFILES[name]
    except KeyError:
        raise ConfigError(f"there is no profile {name!r}; choose one of "
                          f"{', '.join(PROFILES)}") from None


def short(scale: Any) -> Any:
    """Scales rounded to 12 bits, so that the product of two has the 24 of a float32.

    A matmul's sums have the scale of its input times that of its weights.  TensorFlow Lite
    Micro multiplied the two in float32 until October 2026 and in float64 since, LiteRT's
    optimized kernels still do it in float32: of such scales all get the same multiplier.
    """
    fraction, exponent = np.frexp(scale)
    return np.ldexp(np.rint(fraction * 2**12), exponent - 12)


def symmetric(low: float, high: float, dtype: str) -> QType:
    """Type with zero point 0 that holds [low, high]."""
    largest = max(-low, high) or 1.0
    return QType(dtype, float(short(largest / QType(dtype, 1.0).high)))


def asymmetric(low: float, high: float) -> QType:
    """int8 type that spends all 256 codes on [low, high], which holds 0."""
    if low == high:
        return symmetric(low, high, "int8")
    scale = float(short((high - low) / 255))
    return QType("int8", scale, round(-128 - low / scale))


def power_of_two(low: float, high: float) -> QType:
    """int16 type whose scale is a power of two, as kernels want a cell state's."""
    exponent = math.ceil(math.log2(max(-low, high, 2.0**-8)))
    return QType("int16", 2.0 ** (exponent - 15))
