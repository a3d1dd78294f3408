"""The constant integers of one log-mel frontend (`edgernn.frontend.logmel`).

Everything that needs a cosine or a logarithm is worked out here, once, and
rounded to integers; a device is given these arrays and computes no float.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ConfigError
from edgernn.spec import LogMelSpec

FIRST = 16
"""Points of the first of the two DFT stages (N1)."""
BANDS = FIRST // 2 + 1
"""Values of k1 that are computed, 0 to 8; the others are complex conjugates."""
SMALLEST = 128
"""Least points of the transform, so that both stages have an eighth of a circle."""
WEIGHT_BITS = 12
"""Fraction bits of a mel weight."""
LOG_BITS = 14
"""Fraction bits of the log2 table."""
LOG_STEPS = 64
"""Segments of the log2 table between 1 and 2."""
FLOOR_OCTAVES = 12
"""log2 of the energy that code 0 stands for."""
REFERENCE_WINDOW = 480
"""Samples in the window whose energies are the unit: 30 ms at 16 kHz."""


@dataclass(frozen=True, eq=False)
class LogMelTables:
    """Constants of one `LogMelSpec`; see `edgernn.frontend.logmel` for their use."""

    window: NDArray[np.int16]
    """Hann window, Q15, shape (window,)."""
    points: int
    """N, points of the transform: the power of two, 128 or more, that holds the window."""
    dft_first: NDArray[np.int16]
    """cos, sin of 2 pi k1 n1 / 16, Q15, shape (2, 9, 16)."""
    twiddle: NDArray[np.int16]
    """cos, sin of 2 pi k1 n2 / N, Q15, shape (2, 9, N2)."""
    dft_second: NDArray[np.int16]
    """cos, sin of 2 pi n2 k2 / N2, Q15, shape (2, N2, N2), symmetric."""
    mel: NDArray[np.int16]
    """Weight of each bin 0..N/2 in each filter, Q12, shape (N/2 + 1, mels)."""
    log2: NDArray[np.int32]
    """log2(1 + i/64), Q14, shape (65,)."""
    offset: int
    """Added to a code: every constant scale of the arithmetic, in 1/256 octave."""


def make_tables(spec: LogMelSpec) -> LogMelTables:
    """Work out the constants of a spec.

    Raises
    ------
    ConfigError
        If the spec makes no sense; the message says which value, and the remedy.
    """
    window, _ = lengths(spec)
    points = max(SMALLEST, 1 << (window - 1).bit_length())
    second = points // FIRST
    bands = np.arange(BANDS)
    return LogMelTables(
        window=hann(window),
        points=points,
        dft_first=circle(np.outer(bands, np.arange(FIRST)), FIRST),
        twiddle=circle(np.outer(bands, np.arange(second)), points),
        dft_second=circle(np.outer(np.arange(second), np.arange(second)), second),
        mel=_mel_weights(spec, points),
        log2=np.array([round(math.log2(1 + i / LOG_STEPS) * (1 << LOG_BITS))
                       for i in range(LOG_STEPS + 1)], np.int32),
        offset=_offset(window, second),
    )


def lengths(spec: LogMelSpec) -> tuple[int, int]:
    """Window and hop of a spec, in samples.

    Raises
    ------
    ConfigError
        If either is not a whole number of samples or out of range.
    """
    rate = spec.sample_rate_hz
    if not 8000 <= rate <= 48000:
        raise ConfigError(f"sample_rate_hz is {rate}; the log-mel frontend takes 8000 to 48000. "
                          "Resample the recordings to 16000.")
    for name in ("window_ms", "hop_ms"):
        if getattr(spec, name) < 1 or rate * getattr(spec, name) % 1000:
            # A hop of 220.5 samples would let the time of a frame drift.
            raise ConfigError(f"{name} {getattr(spec, name)} at {rate} Hz is not a whole number "
                              "of samples, one or more. Choose one that is, such as 30 "
                              "(window_ms) and 20 (hop_ms) at 16000 Hz.")
    window, hop = rate * spec.window_ms // 1000, rate * spec.hop_ms // 1000
    if not 32 <= window <= 4096:
        raise ConfigError(f"window_ms {spec.window_ms} is {window} samples at {rate} Hz; the "
                          "transform takes 32 to 4096. Choose 20 to 40 ms.")
    if hop > window:
        raise ConfigError(f"hop_ms {spec.hop_ms} is longer than window_ms {spec.window_ms}: the "
                          "samples between would never be heard. Make the hop shorter.")
    return window, hop


def hann(window: int) -> NDArray[np.int16]:
    """A periodic Hann window, Q15, shape (window,)."""
    return _q15([0.5 - 0.5 * math.cos(2 * math.pi * i / window) for i in range(window)])


def _q15(reals: list[float]) -> NDArray[np.int16]:
    """Round reals in [-1, 1] to multiples of 1/32767, halves away from zero."""
    scaled = np.asarray(reals, np.float64) * 32767
    return (np.sign(scaled) * np.floor(np.abs(scaled) + 0.5)).astype(np.int16)


def circle(turns: NDArray[np.int64], points: int) -> NDArray[np.int16]:
    """cos and sin of 2 pi turns / points, Q15, shape (2, *turns.shape).

    All come from one eighth of a circle, so that equal angles have equal
    integers and C may fold even and odd terms together without losing a bit.
    """
    eighth = [math.cos(2 * math.pi * i / points) for i in range(points // 8 + 1)]
    half = [math.sin(2 * math.pi * i / points) for i in range(points // 8 + 1)]
    quarter = np.concatenate([_q15(eighth), _q15(half)[::-1][1:]])  # cos from 0 to a quarter turn
    cos = np.concatenate([quarter, -quarter[-2::-1]])               # to half a turn
    cos = np.concatenate([cos, cos[-2:0:-1]])                       # to a whole turn
    at = turns % points
    return np.stack([cos[at], cos[(at - points // 4) % points]])


def _mel(hz: float) -> float:
    """The mel scale of O'Shaughnessy, as in HTK."""
    return 2595 * math.log10(1 + hz / 700)


def _mel_weights(spec: LogMelSpec, points: int) -> NDArray[np.int16]:
    """Triangles, evenly spaced and linear in mel, peak 1: Q12, shape (N/2 + 1, mels)."""
    rate, mels = spec.sample_rate_hz, spec.mels
    if not 8 <= mels <= 128:
        raise ConfigError(f"mels is {mels}; the log-mel frontend takes 8 to 128. Choose 40.")
    if not 0 <= spec.low_hz < spec.high_hz <= rate / 2:
        raise ConfigError(f"the mel filters reach from low_hz {spec.low_hz} to high_hz "
                          f"{spec.high_hz}; they must rise, and end at or below {rate / 2:g} Hz, "
                          "half the sample rate.")
    bins = np.array([_mel(k * rate / points) for k in range(points // 2 + 1)])[:, None]
    low = _mel(spec.low_hz)
    step = (_mel(spec.high_hz) - low) / (mels + 1)
    centre = low + step * np.arange(1, mels + 1)
    height = np.maximum(0.0, 1 - np.abs(bins - centre) / step)
    weights = np.floor(height * (1 << WEIGHT_BITS) + 0.5).astype(np.int16)
    # A frequency of 0 is only the microphone's offset, and the proof that sums
    # fit in 53 bits counts each bin with its mirror image, which these two lack.
    weights[[0, -1]] = 0
    empty = np.flatnonzero(~weights.any(axis=0))
    if empty.size:
        raise ConfigError(f"mel filter {empty[0]} of {mels} falls between two bins of the "
                          f"{points}-point transform, {rate / points:g} Hz apart. Take fewer mels, "
                          "a longer window_ms, or a wider low_hz to high_hz.")
    return weights


def _offset(window: int, second: int) -> int:
    """Scales of window (2 x 15 bits), weights and transform, the floor, and the window's sum."""
    transform = 2 * ((second - 1).bit_length() - 4)
    octaves = transform - 30 - WEIGHT_BITS - FLOOR_OCTAVES
    return round(256 * (octaves - 2 * math.log2(window / REFERENCE_WINDOW)))
