"""How good a step is at its task, with its state reset for each sequence and carried over."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.train.architecture import Architecture
from edgernn.train.predictions import predictions
from edgernn.train.sequences import Sequences
from edgernn.train.stepper import Stepper, all_scores

SURE = 2.0**-17
"""Probabilities are taken as at least this, and at most one less: half of an int16's step."""


@dataclass(frozen=True)
class Metric:
    """What is measured."""

    name: str
    higher_is_better: bool
    form: str
    """Of the number, for people."""


ACCURACY = Metric("accuracy", True, ".2%")
METRICS = {
    "classify": ACCURACY,
    "spot": ACCURACY,
    "label": Metric("accuracy per frame", True, ".2%"),
    "regress": Metric("root mean square error", False, ".4g"),
    "transduce": Metric("token error rate", False, ".2%"),
    "next": Metric("negative log-likelihood per step, nats", False, ".3f"),
}
"""By task; the error is in the number's own unit."""


def measure(
    architecture: Architecture,
    stepper: Stepper,
    rows: Sequence[NDArray[Any]],
    truth: Sequences,
    progress: Callable[[int], None] = lambda frames: None,
) -> dict[str, float]:
    """The task's metric over sequences, as ``reset`` and ``carry``.

    Parameters
    ----------
    architecture : Architecture
    stepper : Stepper
    rows : sequence of arrays
        The rows of `truth` as `stepper` takes them.
    truth : Sequences
        What is right: labels, or targets where the task asks about every frame.
    progress : callable
        Told how many frames each step did.
    """
    return {name: _measured(architecture, stepper, rows, truth, carry, progress)
            for name, carry in (("reset", False), ("carry", True))}


def _measured(
    architecture: Architecture, stepper: Stepper, rows: Sequence[NDArray[Any]],
    truth: Sequences, carry: bool, progress: Callable[[int], None],
) -> float:
    if truth.targets is None:
        found = predictions(architecture, stepper, rows, carry, progress)
        return float(np.mean(found == truth.labels))
    scores = np.concatenate(all_scores(stepper, rows, carry, progress=progress))
    targets = truth.targets
    if targets.ndim == 1:
        asked = targets >= 0
        scores, targets = scores[asked], targets[asked]
        if architecture.task == "next":
            right = scores[np.arange(len(targets)), targets]
            return float(-np.log(np.maximum(right, SURE)).mean())
        return float(np.mean(scores.argmax(axis=1) == targets))
    asked = ~np.isnan(targets[:, 0])
    scores, targets = scores[asked], targets[asked]
    if architecture.task == "regress":
        return float(np.sqrt(np.mean((scores - targets) ** 2)))
    p = np.clip(scores.astype(np.float64), SURE, 1 - SURE)
    return float(-(targets * np.log(p) + (1 - targets) * np.log(1 - p)).sum(axis=1).mean())
