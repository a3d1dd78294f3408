"""Which label a step gives each sequence."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.detect import smoothed_steps
from edgernn.spec import LogMelSpec, ModelSpec
from edgernn.train.architecture import Architecture
from edgernn.train.stepper import Stepper, all_scores, last, peak


def predictions(
    architecture: Architecture,
    stepper: Stepper,
    sequences: Sequence[NDArray[Any]],
    carry: bool,
    progress: Callable[[int], None] = lambda frames: None,
) -> NDArray[np.int64]:
    """Index of the label that the step gives each sequence, shape (sequences,).

    A classifier's label is the highest score on the last frame, for audio smoothed as
    the detector smooths it.  A spotter's is the label with the highest peak, if that
    reaches the detector's threshold; label 0, "nothing", if none does.
    """
    return np.array([label_of(architecture, scores) for scores in
                     all_scores(stepper, sequences, carry, progress=progress)], np.int64)


def label_of(model: Architecture | ModelSpec, scores: NDArray[np.float32]) -> int:
    """Index of the label that a classifier's or a spotter's scores give a sequence.

    Parameters
    ----------
    model : Architecture or ModelSpec
    scores : float32 array, shape (frames, labels)
    """
    if model.task == "classify":
        return int(last(_smoothed(model))(scores).argmax())
    peaks = peak(scores)
    thresholds = model.detector.thresholds if model.detector else {}
    needed = np.array([thresholds.get(label, 2.0) for label in model.labels])
    eligible = np.where(peaks >= needed, peaks, -1.0)
    return int(eligible.argmax()) if eligible.max() >= 0 else 0


def _smoothed(model: Architecture | ModelSpec) -> int:
    """Frames that the detector averages, of labels that differ the most; 1 of sensor rows, whose
    rate may be unknown."""
    frontend, detector = model.frontend, model.detector
    if not isinstance(frontend, LogMelSpec) or detector is None:
        return 1
    return max(smoothed_steps(detector, label, frontend.hop_ms) for label in model.labels)
