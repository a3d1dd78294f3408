"""Audio as it might have been: other levels, speeds, rooms' noise, missing bands.

Samples are float32 in int16 units throughout, so that nothing is clipped until the
frontend, and every choice comes from the generator handed in: same seed, same audio.
"""

import math

import numpy as np
from numpy.typing import NDArray

from edgernn.frontend.logmel import CODE_HIGH
from edgernn.train.config import Range, TrainConfig

Audio = NDArray[np.float32]
FADE = 80
"""Samples over which a cut recording rises and falls; a step would click in every band."""


def rms(samples: NDArray[np.generic]) -> float:
    """Root mean square; at least 1e-3, so that it can be divided by."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(power**0.5, 1e-3)


def drawn(span: Range, rng: np.random.Generator) -> float:
    """A value between the two, all equally likely."""
    return float(rng.uniform(*span))


def decibels(level_db: float) -> float:
    """Factor on samples: 20 dB is 10."""
    return float(10 ** (level_db / 20))


def varied(samples: NDArray[np.generic], config: TrainConfig, rng: np.random.Generator) -> Audio:
    """A clip at another speed (and so pitch and length), level, trim, and a little shifted."""
    factor = drawn(config.speed, rng)
    start, stop = (int(len(samples) * rng.uniform(0, config.trim)) for _ in range(2))
    clip = at_speed(samples[start:len(samples) - stop].astype(np.float32), factor)
    if config.fade_db and rng.random() < 0.5:
        clip = clip * trailing(len(clip), rng.uniform(0, config.fade_db), rng)
    lead, tail = (int(rng.uniform(0, config.shift_ms) * config.sample_rate_hz / 1000)
                  for _ in range(2))
    return np.pad(clip * np.float32(decibels(drawn(config.gain_db, rng))), (lead, tail))


def trailing(length: int, depth_db: float, rng: np.random.Generator) -> Audio:
    """Factors, shape (length,), that sink by `depth_db` over a drawn last part."""
    begin = int(length * rng.uniform(0.5, 0.9))
    sunk = np.interp(np.arange(length), [begin, max(begin + 1, length)], [0.0, -depth_db])
    return (10 ** (sunk / 20)).astype(np.float32)


def at_speed(samples: Audio, factor: float) -> Audio:
    """Faster by `factor`: shorter and higher, as tape is.  Rounded to a thousandth."""
    thousandths = round(1000 * factor)
    if thousandths == 1000 or not len(samples):
        return samples
    import soxr

    faster: Audio = soxr.resample(samples, thousandths, 1000, quality="LQ")
    return faster.astype(np.float32)


def faded(samples: Audio, length: int = FADE) -> Audio:
    """The same, rising from and falling to zero over `length` samples."""
    n = min(length, len(samples) // 2)
    if not n:
        return samples
    ramp = np.linspace(0, 1, n, dtype=np.float32)
    out = samples.astype(np.float32, copy=True)
    out[:n] *= ramp
    out[len(out) - n:] *= ramp[::-1]
    return out


def cut(sources: tuple[NDArray[np.int16], ...], length: int, rng: np.random.Generator) -> Audio:
    """`length` samples from anywhere in one of the recordings, repeated if it is shorter."""
    source = sources[int(rng.integers(len(sources)))]
    start = int(rng.integers(max(1, len(source) - length)))
    return np.resize(source[start:start + length], length).astype(np.float32)


def coloured(length: int, rng: np.random.Generator) -> Audio:
    """Noise whose power falls with frequency by a drawn exponent: from hiss to rumble; rms 1."""
    # A power of two: transforms of odd lengths take ten times as long.
    bins = np.arange(1, (1 << (length - 1).bit_length()) // 2 + 2, dtype=np.float64)
    shape = bins ** -rng.uniform(-0.3, 1.0)
    spectrum = (rng.standard_normal(len(bins)) + 1j * rng.standard_normal(len(bins))) * shape
    noise = np.fft.irfft(spectrum, norm="forward")[:length]
    return (noise / rms(noise)).astype(np.float32)


def noise(
    sources: tuple[NDArray[np.int16], ...], length: int, rng: np.random.Generator,
) -> Audio:
    """Background of rms 1: from the recordings, or synthetic, half the time each."""
    if sources and rng.random() < 0.5:
        found = cut(sources, length, rng)
        return found / np.float32(rms(found))
    return coloured(length, rng)


def noised(
    samples: Audio, level: float, sources: tuple[NDArray[np.int16], ...], config: TrainConfig,
    rng: np.random.Generator,
) -> Audio:
    """With noise laid under the whole, at a drawn SNR, in a share `config.noisy` of cases.

    Parameters
    ----------
    samples : Audio
    level : float
        rms of the speech in it, pauses left out.
    """
    if not len(samples) or rng.random() >= config.noisy:
        return samples
    loudness = level * decibels(-drawn(config.snr_db, rng))
    return samples + np.float32(loudness) * noise(sources, len(samples), rng)


def saturated(samples: Audio) -> NDArray[np.int16]:
    """As a microphone would give it: rounded and clipped to int16."""
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


CODES_PER_OCTAVE = 256
"""Log-mel codes in twice the energy, 3 dB."""
CODES_PER_DB = CODES_PER_OCTAVE / (10 * math.log10(2))


def revoiced(
    codes: NDArray[np.int16], config: TrainConfig, rng: np.random.Generator,
) -> NDArray[np.int16]:
    """The same words from another throat, into another microphone.

    The mel axis is stretched (VTLP: Jaitly and Hinton 2013) and moved by up to one mel,
    and a smooth random curve is added: codes are logarithms, so a filter is a sum.

    Parameters
    ----------
    codes : int16 array, shape (frames, mels)
        Log-mel codes; not changed.

    Returns
    -------
    int16 array, shape (frames, mels)
    """
    mels = codes.shape[1]
    out = codes.astype(np.float32)
    if config.warp:
        stretch = 1 + rng.uniform(-config.warp, config.warp)
        at = np.clip(np.arange(mels) * stretch + rng.uniform(-1, 1), 0, mels - 1.001)
        low = at.astype(np.int64)
        part = (at - low).astype(np.float32)
        out = out[:, low] * (1 - part) + out[:, low + 1] * part
    if config.tilt_db:
        tilt = rng.uniform(-config.tilt_db, config.tilt_db) * CODES_PER_DB
        out += np.linspace(-tilt, tilt, mels, dtype=np.float32)
    if config.equalize_db:
        knots = rng.normal(0, config.equalize_db * CODES_PER_DB, 6)
        out += np.interp(np.arange(mels), np.linspace(0, mels - 1, 6), knots).astype(np.float32)
    return np.clip(np.rint(out), 0, CODE_HIGH).astype(np.int16)


def blotted(
    codes: NDArray[np.int16], config: TrainConfig, rng: np.random.Generator,
    per_frames: int = 50,
) -> NDArray[np.int16]:
    """SpecAugment (Park et al. 2019, arXiv 1904.08779): bands and moments go missing.

    Parameters
    ----------
    codes : int16 array, shape (frames, mels)
        Log-mel codes; not changed.
    per_frames : int
        One moment and one band per so many frames, so that long lessons lose as much as
        short ones.

    Returns
    -------
    int16 array, shape (frames, mels)
        A missing band has the mean code, a missing moment the frame before it: what noise
        and lost packets leave.
    """
    frames, mels = codes.shape
    out = codes.copy()
    if not frames:
        return out
    mean = int(codes.mean())
    for start in range(0, frames, per_frames):
        stop = min(frames, start + per_frames)
        height = int(rng.integers(0, min(config.mask_mels, mels - 1) + 1))
        low = int(rng.integers(0, mels - height + 1))
        out[start:stop, low:low + height] = mean
        span = int(rng.integers(0, config.mask_frames + 1))
        at = int(rng.integers(start, stop))
        out[at:min(stop, at + span)] = out[max(0, at - 1)]
    return out
