"""Which label a step gives each sequence."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.detect import smoothed_steps
from edgernn.spec import LogMelSpec
from edgernn.train.architecture import Architecture
from edgernn.train.stepper import Stepper, last, peak, sequence_scores


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
    if architecture.task == "classify":
        answer = last(_smoothed(architecture))
        return sequence_scores(stepper, sequences, carry, answer, progress=progress).argmax(axis=1)
    peaks = sequence_scores(stepper, sequences, carry, peak, progress=progress)
    thresholds = architecture.detector.thresholds if architecture.detector else {}
    needed = np.array([thresholds.get(label, 2.0) for label in architecture.labels])
    eligible = np.where(peaks >= needed, peaks, -1.0)
    return np.where(eligible.max(axis=1) >= 0, eligible.argmax(axis=1), 0)


def _smoothed(architecture: Architecture) -> int:
    """Frames that the detector averages; 1 of sensor rows, whose rate may be unknown."""
    frontend, detector = architecture.frontend, architecture.detector
    if not isinstance(frontend, LogMelSpec) or detector is None:
        return 1
    return smoothed_steps(detector, frontend.hop_ms)
