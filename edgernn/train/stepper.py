"""Driving a step over many sequences at once, with state reset or carried over."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgernn.step import StepModel

States = dict[str, NDArray[Any]]
S = TypeVar("S", bound="Stepper")


class Stepper(Protocol):
    """One step of a network on a batch of independent streams."""

    def initial(self, streams: int) -> States:
        """States of so many streams before their first frame."""

    def step(self, x: NDArray[Any], states: States) -> tuple[NDArray[np.float32], States]:
        """Scores (streams, labels) and new states from one frame of each stream."""


class Forks:
    """A model file in any backend as a `Stepper`: each stream is a fork of it.

    The forks keep their states; those that are handed round are empty.
    """

    def __init__(self, model: StepModel) -> None:
        self._model = model
        self._forks: list[StepModel] = []

    def initial(self, streams: int) -> States:
        """See `Stepper.initial`."""
        self._forks = [self._model.fork() for _ in range(streams)]
        return {}

    def step(self, x: NDArray[Any], states: States) -> tuple[NDArray[np.float32], States]:
        """See `Stepper.step`; x holds codes from the model's `encode`."""
        rows = [fork.step(row) for fork, row in zip(self._forks, x, strict=False)]
        return np.array(rows, np.float32), states


def drive(
    stepper: Stepper,
    streams: Sequence[NDArray[Any]],
    progress: Callable[[int], None] = lambda frames: None,
) -> list[NDArray[np.float32]]:
    """Scores of every frame of every stream, each stream begun from reset.

    Parameters
    ----------
    stepper : Stepper
    streams : sequence of arrays, shape (frames, width)
        Of any lengths, also 0.
    progress : callable
        Told how many frames each step did.

    Returns
    -------
    list of float32 arrays, shape (frames, labels)
        In the order of `streams`.
    """
    lengths = np.array([len(stream) for stream in streams], np.int64)
    # Longest first: the streams still running are then always the first ones, so that
    # ended streams cost nothing and padding never reaches the network.
    order = np.argsort(-lengths, kind="stable")
    states = stepper.initial(len(streams))
    collected: list[list[NDArray[np.float32]]] = [[] for _ in streams]
    for t in range(int(lengths.max(initial=0))):
        running = int(np.count_nonzero(lengths > t))
        x = np.stack([streams[i][t] for i in order[:running]])
        scores, states = stepper.step(x, {k: v[:running] for k, v in states.items()})
        for row, i in enumerate(order[:running]):
            collected[i].append(scores[row])
        progress(running)
    return [np.array(rows, np.float32) for rows in collected]


Summary = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""A sequence's scores, shape (frames, labels), in one row, shape (labels,)."""


def last(frames: int = 1) -> Summary:
    """Mean scores of the last so many frames: what a classifier says of a sequence."""
    def summary(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        mean: NDArray[np.float32] = rows[-frames:].mean(axis=0)
        return mean

    return summary


def peak(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Highest score of each label while the sequence lasts: what a spotter says of it."""
    highest: NDArray[np.float32] = rows.max(axis=0)
    return highest


def sequence_scores(
    stepper: Stepper,
    sequences: Sequence[NDArray[Any]],
    carry: bool,
    summary: Summary = last(),  # noqa: B008 - a pure function
    lanes: int = 16,
    progress: Callable[[int], None] = lambda frames: None,
) -> NDArray[np.float32]:
    """One row of scores for each sequence, shape (sequences, labels); see `all_scores`."""
    return np.array([summary(rows)
                     for rows in all_scores(stepper, sequences, carry, lanes, progress)])


def all_scores(
    stepper: Stepper,
    sequences: Sequence[NDArray[Any]],
    carry: bool,
    lanes: int = 16,
    progress: Callable[[int], None] = lambda frames: None,
) -> list[NDArray[np.float32]]:
    """Scores of every frame of each sequence, shape (frames, labels).

    With `carry`, sequences are dealt onto `lanes` endless streams in a fixed random
    order, and each begins with the state that the one before it left: what a
    microphone gives.  Without, every sequence begins from reset.
    """
    if not carry:
        return drive(stepper, sequences, progress)
    order = np.random.default_rng(0).permutation(len(sequences))
    dealt = [order[lane::lanes] for lane in range(min(lanes, len(order)))]
    streams = [np.concatenate([sequences[i] for i in lane]) for lane in dealt]
    result: list[Any] = [None] * len(sequences)
    for lane, rows in zip(dealt, drive(stepper, streams, progress), strict=True):
        starts = np.cumsum([0, *(len(sequences[i]) for i in lane)])
        for i, start in zip(lane, starts[:-1], strict=True):
            result[i] = rows[start : start + len(sequences[i])]
    return result
