"""What many live streams of audio cost."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.batch_stream import BatchListener
from edgernn.cost.durations import microseconds
from edgernn.cost.machine import machine
from edgernn.cost.path import generated

SOUND_S = 2.0
"""Seconds of generated audio; every stream hears another piece of it, over and over."""


def streams_cost(path: Path, streams: int, seconds: float) -> dict[str, Any]:
    """Drive live streams in real time on one core: a hop of each, every hop.

    Parameters
    ----------
    path : path
        A model that hears log-mel frames.
    streams : int
        How many.
    seconds : float
        For how long.

    Returns
    -------
    dict
        ``busy``, the share of the core's time; ``tick_us``, how long a hop of all streams took;
        ``late_ticks``, those that took longer than a hop; ``megabytes`` resident.

    Raises
    ------
    ModelError, BackendError
        See `BatchListener`.
    """
    _stay_on_one_core()
    listener = BatchListener.open(path, streams)
    sound = generated(listener.model, SOUND_S)
    hop, period_s = listener.hop, listener.hop / listener.rate_hz
    begin = np.random.default_rng(0).integers(0, len(sound) - hop, streams)[:, None]
    places = begin + np.arange(hop)
    for _ in range(3):  # buffers are made, caches fill
        listener.push(sound[places % len(sound)])
    ticks = max(1, round(seconds / period_s))
    took, steps = np.empty(ticks), 0
    start, busy = time.perf_counter(), time.process_time()
    for tick in range(ticks):
        # What arrives is made outside of the clock: a server would have it from its network.
        samples = sound[(places + tick * hop) % len(sound)]
        wait = start + tick * period_s - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        now = time.perf_counter()
        listener.push(samples)
        took[tick] = time.perf_counter() - now
        steps += streams
    return {"machine": machine(), "model": str(path), "streams": streams, "ticks": ticks,
            "seconds": round(ticks * period_s, 3), "steps": steps,
            "busy": round(float(took.sum()) / (ticks * period_s), 4),
            "process_busy": round((time.process_time() - busy) / (time.perf_counter() - start), 4),
            "tick_us": microseconds(took), "late_ticks": int((took > period_s).sum()),
            "megabytes": round(resident_mb(), 1)}


def _stay_on_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def resident_mb() -> float:
    """Resident memory of this process, in megabytes."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024
