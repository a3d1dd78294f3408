"""From scores to detections, in integers that a device computes alike."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ModelError
from edgernn.spec import DetectorSpec

ONE = 32768
"""A score of 1.0."""


@dataclass(frozen=True)
class Detection:
    """Something was heard."""

    label: str
    score: float
    """Smoothed score when it fired, 0 to 1."""
    time_s: float
    """End of the frame that fired, seconds since the stream began."""


def smoothed_steps(spec: DetectorSpec, step_ms: float) -> int:
    """How many steps' scores the detector averages."""
    return max(1, round(spec.smoothing_ms / step_ms))


@dataclass(frozen=True)
class DetectorConstants:
    """The whole numbers of a detector, as a device needs them."""

    watched: list[int]
    """Index, among the labels, of each that can fire."""
    n: int
    """Steps whose scores are averaged."""
    pause: int
    """Steps after a detection in which nothing fires."""
    fire: NDArray[np.int64]
    """Sum of n scores, 1.0 being 32768, at which each watched label fires."""
    rearm: NDArray[np.int64]
    """Sum below which it may fire again."""


class Detector:
    """Fire when a smoothed score reaches its threshold, once per event.

    The arithmetic, exactly, per step:

    1. s[i] = round(32768 * score[i]), ties to even; sum[i] = s[i] of the last n steps added, steps
       before the first counting 0; n = max(1, round(smoothing_ms / step_ms)).
    2. A label is disarmed when it fires, and armed again when sum[i] < n *
       round(32768 * low), where low = max(threshold[i] - hysteresis, threshold[i] / 2):
       a hysteresis as large as the threshold would let it fire only once.
    3. Of the armed labels with sum[i] >= n * round(32768 * threshold[i]), the one that
       is farthest above its threshold fires (the first of equals), unless fewer than
       round(refractory_ms / step_ms) steps have passed since the last one fired.

    A label that would fire during the refractory time fires after it if it is still
    above its threshold then.

    Parameters
    ----------
    spec : DetectorSpec
    labels : tuple of str
        What each score means.  Labels without a threshold never fire.
    step_ms : float
        Milliseconds from one step to the next.

    Attributes
    ----------
    constants : DetectorConstants

    Raises
    ------
    ModelError
        If a threshold is for no label, or a value makes no sense.
    """

    def __init__(self, spec: DetectorSpec, labels: tuple[str, ...], step_ms: float) -> None:
        _check(spec, labels)
        self.spec, self.labels = spec, labels
        watched = [i for i, label in enumerate(labels) if label in spec.thresholds]
        wanted = [spec.thresholds[labels[i]] for i in watched]
        n = smoothed_steps(spec, step_ms)
        self.constants = DetectorConstants(
            watched, n, round(spec.refractory_ms / step_ms),
            np.array([n * round(ONE * p) for p in wanted], np.int64),
            np.array([n * round(ONE * max(p - spec.hysteresis, p / 2)) for p in wanted],
                     np.int64))
        self.reset()

    def reset(self) -> None:
        """Forget everything; all labels are armed."""
        count = len(self.constants.watched)
        self._window = np.zeros((self.constants.n, count), np.int64)
        self._sum = np.zeros(count, np.int64)
        self._armed = np.ones(count, bool)
        self._at, self._since = 0, self.constants.pause

    def push(self, scores: NDArray[Any], time_s: float) -> Detection | None:
        """Take the scores of one step.

        Parameters
        ----------
        scores : float array, shape (labels,)
            0 to 1.
        time_s : float
            End of the step's frame, seconds since the stream began.

        Returns
        -------
        Detection or None
        """
        c = self.constants
        new = np.rint(scores[c.watched] * ONE).astype(np.int64)
        self._sum += new - self._window[self._at]
        self._window[self._at] = new
        self._at = (self._at + 1) % c.n
        self._armed |= self._sum < c.rearm
        self._since += 1
        margin = np.where(self._armed, self._sum - c.fire, -1)
        if self._since < c.pause or margin.max(initial=-1) < 0:
            return None
        best = int(margin.argmax())
        self._armed[best] = False
        self._since = 0
        return Detection(self.labels[c.watched[best]],
                         float(self._sum[best]) / (ONE * c.n), time_s)


def _check(spec: DetectorSpec, labels: tuple[str, ...]) -> None:
    unknown = sorted(set(spec.thresholds) - set(labels))
    if unknown:
        raise ModelError(f"a threshold is set for {unknown[0]!r}, which is no label; the model has "
                         f"{', '.join(labels)}. Name one of those")
    for label, p in spec.thresholds.items():
        if not 0 < p <= 1:
            raise ModelError(f"the threshold of {label!r} is {p}; a score above 0 and up to 1 was "
                             "needed. Choose such a one")
    for name in ("smoothing_ms", "refractory_ms", "hysteresis"):
        if getattr(spec, name) < 0:
            raise ModelError(f"{name} is {getattr(spec, name)}; 0 or more was needed")
