"""Sounds to listen to, and ways to cut them."""

import numpy as np

from edgernn.frames import Frame

RATE = 16000


def wandering(seconds=3.0, seed=0):
    """Noise whose loudness and color wander, so that scores do too; int16 at 16 kHz."""
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE)
    noise = rng.normal(size=n) + 3 * np.sin(np.cumsum(rng.uniform(0.01, 0.6, n)))
    loudness = 10 ** np.interp(np.arange(n), np.linspace(0, n, 12), rng.uniform(1, 3.5, 12))
    return np.clip(noise * loudness, -32768, 32767).astype(np.int16)


def cut(samples, sizes):
    """Frames of these sizes, and one of what is left."""
    at = 0
    for size in sizes:
        if at < len(samples):
            yield Frame(samples[at : at + size], at / RATE)
            at += size
    if at < len(samples):
        yield Frame(samples[at:], at / RATE)
