"""Durations in few numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

PER_OCTAVE = 4
"""Bars of a histogram for every doubling of the duration."""


def microseconds(seconds: NDArray[np.float64]) -> dict[str, float]:
    """Median, mean, 99th and 99.9th percentile, largest, and jitter, in microseconds.

    Jitter is how much a duration differs from the one before it, on average, as RFC 3550
    has it for the packets of a call.
    """
    p50, p99, p999, largest = 1e6 * np.percentile(seconds, (50, 99, 99.9, 100))
    jitter = 1e6 * np.abs(np.diff(seconds)).mean() if len(seconds) > 1 else 0.0
    return {"p50": round(p50, 2), "mean": round(1e6 * float(seconds.mean()), 2),
            "p99": round(p99, 2), "p99.9": round(p999, 2), "max": round(largest, 2),
            "jitter": round(float(jitter), 2)}


def histogram(seconds: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Counts of durations, in bars a quarter of an octave wide; only those that hold any."""
    places = np.floor(PER_OCTAVE * np.log2(np.maximum(1e6 * seconds, 1e-3))).astype(int)
    at, counts = np.unique(places, return_counts=True)
    return [{"from_us": round(float(2.0 ** (place / PER_OCTAVE)), 3),
             "to_us": round(float(2.0 ** ((place + 1) / PER_OCTAVE)), 3), "count": int(count)}
            for place, count in zip(at, counts, strict=True)]
