"""Small pieces of signal processing that scenes are made with.

Samples are float32 at 16 kHz; `rng` is where all chance comes from.
"""

import numpy as np
import pedalboard
import soxr
from materials import RATE, Samples


def rms(x: Samples) -> float:
    """Root mean square, never 0."""
    return float(np.sqrt(np.mean(x * x) + 1e-9))


def faded(x: Samples, samples: int = 160) -> Samples:
    """With linear ramps at both ends, so that a cut does not click."""
    n = min(samples, len(x) // 2)
    ramp = np.linspace(0, 1, n, dtype=np.float32)
    x = x.copy()
    x[:n] *= ramp
    x[len(x) - n:] *= ramp[::-1]
    return x


def faster(x: Samples, ratio: float) -> Samples:
    """Played `ratio` times faster: higher, and with a shorter vocal tract."""
    return soxr.resample(x, 1000 * ratio, 1000, quality="LQ").astype(np.float32)


def paced(x: Samples, tempo: float) -> Samples:
    """Said `tempo` times faster by the same voice: not higher.  (Rubber Band, by pedalboard.)"""
    loudest = np.float32(np.abs(x).max() + 1)
    said = pedalboard.time_stretch(x / loudest, RATE, tempo, high_quality=False)
    return said[0] * loudest


def colored(rng: np.random.Generator, n: int) -> Samples:
    """Noise of unit rms with a spectrum anywhere from blue to red."""
    hz = np.fft.rfftfreq(n, 1 / RATE)
    hz[0] = hz[1]
    spectrum = rng.standard_normal(len(hz)) + 1j * rng.standard_normal(len(hz))
    x = np.fft.irfft(spectrum * hz ** -rng.uniform(-0.3, 1.2), n).astype(np.float32)
    return x / np.float32(rms(x))


def equalized(rng: np.random.Generator, x: Samples, db: float) -> Samples:
    """Through a random smooth filter: another microphone or room, now and then a telephone."""
    n = 1 << (len(x) - 1).bit_length()
    corners = np.array([0, 120, 300, 700, 1500, 3000, 5000, 8000])
    gain = rng.normal(0, db / 2, len(corners))
    if rng.random() < 0.5:
        gain += rng.uniform(-10, 10) * np.linspace(-0.5, 0.5, len(corners))
    if rng.random() < 0.08:
        gain[[0, 1, -2, -1]] -= 25
    curve = np.interp(np.sqrt(np.fft.rfftfreq(n, 1 / RATE)), np.sqrt(corners), gain)
    y = np.fft.irfft(np.fft.rfft(x, n) * 10 ** (curve / 20), n)
    return y[:len(x)].astype(np.float32)


def reverberated(rng: np.random.Generator, x: Samples) -> Samples:
    """In a room: an exponentially decaying tail, 60 dB in 0.1 to 0.6 s."""
    seconds = rng.uniform(0.1, 0.6)
    n = int(seconds * RATE * 0.8)
    tail = rng.standard_normal(n) * np.exp(-6.9 * np.arange(n) / RATE / seconds)
    tail[:int(rng.uniform(0.001, 0.006) * RATE)] = 0
    tail *= rng.uniform(0.1, 0.7) / np.sqrt((tail * tail).sum())
    tail[0] = 1
    size = 1 << (len(x) + n - 2).bit_length()
    y = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(tail, size), size)
    return y[:len(x)].astype(np.float32)


def impacts(rng: np.random.Generator, n: int) -> Samples:
    """Dishes, doors, keys: decaying modes and bursts, of unit rms in all."""
    x = np.zeros(n, np.float32)
    for _ in range(int(rng.integers(2, 26))):
        m = int(rng.uniform(0.02, 0.5) * RATE)
        t = np.arange(m) / RATE
        hit = np.zeros(m)
        for _ in range(int(rng.integers(0, 7))):
            hz = np.exp(rng.uniform(np.log(150), np.log(7000)))
            hit += (rng.normal() * np.sin(2 * np.pi * hz * t + rng.uniform(0, 6))
                    * np.exp(-t / rng.uniform(0.004, 0.12)))
        hit += (rng.standard_normal(m) * np.exp(-t / rng.uniform(0.002, 0.08))
                * rng.uniform(0, 1.5))
        rise = min(m, int(rng.uniform(0, 0.02) * RATE) + 1)
        hit[:rise] *= np.linspace(0, 1, rise)
        start = int(rng.integers(0, n - 1))
        kept = min(m, n - start)
        level = 10 ** (rng.uniform(-20, 0) / 20) / rms(hit)
        x[start:start + kept] += (hit[:kept] * level).astype(np.float32)
    return x / np.float32(rms(x))


def hum(rng: np.random.Generator, n: int) -> Samples:
    """Harmonics that swell and fade over a little noise: motors, music far away."""
    t = np.arange(n) / RATE
    x = np.zeros(n)
    base_hz = rng.uniform(50, 600)
    for k in range(1, int(rng.integers(2, 12))):
        swell = 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.1, 8) * t)
        x += (np.sin(2 * np.pi * base_hz * k * t + rng.uniform(0, 6))
              * rng.uniform(0.1, 1) / k * swell)
    x = x / rms(x) + colored(rng, n) * rng.uniform(0.05, 0.5)
    return x.astype(np.float32)
