"""Running a network over sequences twice at once: state carried over, and state reset."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgernn.train.blocks.ops import Array
from edgernn.train.network import Network
from edgernn.train.reference import FloatModel, TraceOps
from edgernn.train.stepper import States

LANES = 4
"""Streams that sequences are dealt onto: few, so that each is long."""


@dataclass(frozen=True)
class Moment:
    """One frame of every lane that is not over yet; arrays begin with a lane each."""

    frame: int
    """Since the streams began."""
    since: NDArray[np.int64]
    """Frames since each lane's sequence began, 0 at its first, shape (lanes,)."""
    parted: NDArray[np.bool_]
    """Whether the carried state is any other than the reset one: not in a lane's first
    sequence, shape (lanes,)."""
    carried: States
    """New states of streams that never reset."""
    before: States
    """Those they came from."""
    reset: States
    """New states where each sequence begins from zeros."""
    seen: dict[str, Array]
    """What the step computed with the state reset, by tensor name."""
    kinds: dict[str, str]
    """See `TraceOps`."""


def deal(count: int, lanes: int = LANES) -> list[NDArray[np.int64]]:
    """Sequences of each lane, in a fixed random order."""
    order = np.random.default_rng(0).permutation(count)
    return [order[lane::lanes] for lane in range(min(lanes, count))]


def walk(network: Network, sequences: Sequence[NDArray[np.float32]],
         progress: Callable[[int], None] = lambda frames: None) -> Iterator[Moment]:
    """Every frame of every sequence, laid end to end on lanes.

    Parameters
    ----------
    network : Network
    sequences : sequence of float32 arrays, shape (frames, features)
        One frame or more each.
    progress : callable
        Told how many frames each step did.
    """
    lanes = [[sequences[i] for i in lane] for lane in deal(len(sequences))]
    lanes.sort(key=lambda lane: -sum(map(len, lane)))  # those running are the first ones
    streams = [np.concatenate(lane) for lane in lanes]
    since = [np.concatenate([np.arange(len(rows)) for rows in lane]) for lane in lanes]
    ops = TraceOps()
    model = FloatModel(network, ops)
    carried, reset = model.initial(len(lanes)), model.initial(len(lanes))
    for t in range(len(streams[0])):
        n = sum(len(stream) > t for stream in streams)
        age = np.array([one[t] for one in since[:n]])
        x = np.stack([stream[t] for stream in streams[:n]])
        for value in reset.values():
            value[:n][age == 0] = 0
        before = {name: value[:n] for name, value in carried.items()}
        own = {name: value[:n] for name, value in reset.items()}
        both = {name: np.concatenate([before[name], own[name]]) for name in before}
        _, after = model.step(np.concatenate([x, x]), both)
        carried = {name: after[name][:n] for name in before}
        reset = {name: after[name][n:].copy() for name in before}
        first = np.array([t < len(lane[0]) for lane in lanes[:n]])
        yield Moment(t, age, ~first, carried, before, reset,
                     {name: value[n:] for name, value in ops.seen.items() if len(value) == 2 * n},
                     ops.kinds)
        progress(n)
