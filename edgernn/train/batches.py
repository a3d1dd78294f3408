"""Lessons of many lengths as padded batches of nearly one length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PADDING = -1e9
"""In every feature of a padded frame.  No frontend gives it, zeros any of them may."""


@dataclass(frozen=True)
class Lesson:
    """One stretch of frames to learn from, the state reset at its start only."""

    features: NDArray[Any]
    """float32 features or int32 tokens, shape (frames, features)."""
    targets: NDArray[Any]
    """Index of the right label on each frame, int64, shape (frames,); or the right numbers,
    float32, shape (frames, k)."""
    weights: NDArray[np.float32]
    """What each frame counts, shape (frames,); 0 where no label is right or wrong."""


@dataclass(frozen=True)
class Batch:
    """Lessons side by side, padded to the longest."""

    features: NDArray[Any]
    """Shape (batch, frames, features), after a lesson's end `PADDING`, or 0 for tokens."""
    targets: NDArray[Any]
    """Shape (batch, frames) or (batch, frames, k)."""
    weights: NDArray[np.float32]
    """Shape (batch, frames), 0 after a lesson's end."""
    lengths: NDArray[np.int64]
    """Frames of each lesson, shape (batch,)."""


def pad(lessons: Sequence[Lesson]) -> Batch:
    """Lay one or more lessons side by side."""
    lengths = np.array([len(lesson.targets) for lesson in lessons], np.int64)
    frames = int(lengths.max())
    first = lessons[0]
    tokens = first.features.dtype.kind == "i"
    features = np.full((len(lessons), frames, first.features.shape[1]),
                       0 if tokens else PADDING, first.features.dtype)
    targets = np.zeros((len(lessons), frames, *first.targets.shape[1:]), first.targets.dtype)
    weights = np.zeros((len(lessons), frames), np.float32)
    for row, (lesson, length) in enumerate(zip(lessons, lengths, strict=True)):
        features[row, :length] = lesson.features
        targets[row, :length] = lesson.targets
        weights[row, :length] = lesson.weights
    return Batch(features, targets, weights, lengths)


def batches(
    lessons: Sequence[Lesson], size: int, rng: np.random.Generator
) -> Iterator[Batch]:
    """All lessons once, `size` at a time, in random order; lengths in a batch are alike.

    Lessons are ordered by length with a tenth of jitter, cut into batches, and the
    batches shuffled: little padding, yet no batch has the same members each time.
    """
    lengths = np.array([len(lesson.targets) for lesson in lessons], np.float64)
    order = np.argsort(lengths * rng.uniform(0.95, 1.05, len(lengths)), kind="stable")
    cuts = [order[start:start + size] for start in range(0, len(order), size)]
    for i in rng.permutation(len(cuts)):
        yield pad([lessons[int(k)] for k in cuts[i]])
