"""Rooms to speak in: what a wall adds to a voice, by image sources.

Allen and Berkley 1979, as pyroomacoustics computes it (MIT licence).
"""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import DataError

WIDTH_M, HEIGHT_M = (2.5, 8.0), (2.3, 3.2)
REVERBERATION_S = (0.15, 0.6)
"""RT60: from a furnished bedroom to a bare kitchen."""
WALL_M = 0.4
"""Nobody speaks or listens nearer to a wall."""
MOUTH_M, DEVICE_M = (1.0, 1.8), (0.5, 1.6)
"""Heights."""
NEAREST_M = 0.4


@functools.lru_cache(maxsize=64)
def response(seed: int, number: int, rate_hz: int) -> NDArray[np.float32]:
    """What a device in a random room hears of a click.

    Parameters
    ----------
    seed, number : int
        Draw the room, who stands where, and how long it echoes.
    rate_hz : int

    Returns
    -------
    float32 array, shape (n,)
        From the direct sound on, whose peak is 1.

    Raises
    ------
    DataError
        If pyroomacoustics is missing.
    """
    pra = load()
    rng = np.random.default_rng([seed, 17, number])
    while True:
        size = np.array([rng.uniform(*WIDTH_M), rng.uniform(*WIDTH_M), rng.uniform(*HEIGHT_M)])
        try:
            absorption, order = pra.inverse_sabine(rng.uniform(*REVERBERATION_S), size)
        except ValueError:  # so large a room echoes longer, whatever it is made of
            continue
        mouth, device = (np.array([*rng.uniform(WALL_M, size[:2] - WALL_M), rng.uniform(*heights)])
                         for heights in (MOUTH_M, DEVICE_M))
        if np.linalg.norm(mouth - device) >= NEAREST_M:
            break
    room = pra.ShoeBox(size, fs=rate_hz, materials=pra.Material(absorption), max_order=order)
    room.add_source(mouth)
    room.add_microphone(device)
    room.compute_rir()
    found = np.asarray(room.rir[0][0], np.float32)
    peak = int(np.abs(found).argmax())
    return found[max(0, peak - 8):] / np.abs(found[peak])


def heard(samples: NDArray[np.float32], room: NDArray[np.float32]) -> NDArray[np.float32]:
    """A voice in a room, as loud as before, its echo at the end included."""
    from scipy.signal import fftconvolve  # pyroomacoustics needs it too

    wet = fftconvolve(samples, room)
    louder = np.abs(samples).max() / max(float(np.abs(wet).max()), 1e-9)
    result: NDArray[np.float32] = (wet * louder).astype(np.float32)
    return result


def load() -> Any:
    """pyroomacoustics, or a `DataError` that says how to install it."""
    try:
        import pyroomacoustics
    except ImportError as problem:
        raise DataError("pyroomacoustics was not found, and rooms were asked for. Install it: "
                        'pip install "edgernn[synth]", or give --rooms 0') from problem
    return pyroomacoustics
