"""A detector for a wanted rate of false alarms, and whether the data can support it."""

import dataclasses
import itertools
from dataclasses import dataclass

from edgernn.spec import DetectorSpec
from edgernn.train.evaluation import Outcome, Track, compare, detect
from edgernn.train.intervals import poisson_bound

SMOOTHINGS_MS = (40, 60, 100, 160, 240, 320)
"""Lengths of the average over scores that are tried."""
HYSTERESES = (0.05, 0.1, 0.2, 0.3, 0.5)
REFRACTORIES_MS = (250, 500, 1000, 1500, 2000)
"""Pauses after a detection that are tried, milliseconds."""
THRESHOLDS = tuple(round(0.02 * i, 2) for i in range(2, 50))


@dataclass(frozen=True)
class Calibrated:
    """A detector, and what it came to on the data that chose it."""

    detector: DetectorSpec
    words: Outcome
    others: Outcome

    def bound_per_hour(self) -> float:
        """Rate of false alarms that the data leave possible, 95 %, one-sided."""
        return poisson_bound(self.others.false_alarms) * 3600 / self.others.seconds


def calibrate(words: Track, others: Track, spec: DetectorSpec, labels: tuple[str, ...],
              step_ms: float, per_hour: float) -> Calibrated:
    """The detector that misses least with at most so many false alarms an hour.

    Every label gets an equal part of the rate.  Of the thresholds that keep to it by themselves
    it takes those that miss fewest of its words, and of these the highest: where there is little
    to mistake, a low one proves nothing.  Of several lengths of smoothing the one that misses
    least, all labels together.  With these, of several hystereses and refractory times, which all
    labels share, those that miss least, then fire least twice, then are least mistaken; where the
    data see no difference, those that the detector had.

    Parameters
    ----------
    words, others : Track
        Of words that are said, and of what is no word.
    spec : DetectorSpec
        What to begin from; its labels are those that get thresholds.
    labels : tuple of str
        The model's.
    step_ms : float
    per_hour : float
        False alarms wanted at most.
    """
    best: Calibrated | None = None
    for smoothing_ms in SMOOTHINGS_MS:
        smoothed = dataclasses.replace(spec, smoothing_ms=smoothing_ms)
        chosen = dataclasses.replace(smoothed, thresholds={
            label: _threshold(words, others, smoothed, label, labels, step_ms,
                              per_hour / len(spec.thresholds)) for label in spec.thresholds})
        found = _tried(words, others, chosen, labels, step_ms)
        if best is None or _cost(found, per_hour) < _cost(best, per_hour):
            best = found
    assert best is not None
    return _settled(best, words, others, labels, step_ms, per_hour)


def _tried(words: Track, others: Track, spec: DetectorSpec, labels: tuple[str, ...],
           step_ms: float) -> Calibrated:
    return Calibrated(spec, *(compare(track, detect(track, spec, labels, step_ms))
                              for track in (words, others)))


def _settled(found: Calibrated, words: Track, others: Track, labels: tuple[str, ...],
             step_ms: float, per_hour: float) -> Calibrated:
    """The same with the hysteresis and the refractory time that do best, its own if none do better.

    Thresholds were chosen label by label, each alone; these two say how a detection of one label
    keeps others, and itself, from firing.
    """
    best = found
    for hysteresis, refractory_ms in itertools.product(HYSTERESES, REFRACTORIES_MS):
        spec = dataclasses.replace(found.detector, hysteresis=hysteresis,
                                   refractory_ms=refractory_ms)
        other = _tried(words, others, spec, labels, step_ms)
        if _cost(other, per_hour) < _cost(best, per_hour):
            best = other
    return best


def _threshold(words: Track, others: Track, spec: DetectorSpec, label: str,
               labels: tuple[str, ...], step_ms: float, per_hour: float) -> float:
    """Of one label alone; the highest there is if none keeps to its rate."""
    def alone(threshold: float) -> DetectorSpec:
        return dataclasses.replace(spec, thresholds={label: threshold})

    low, high = 0, len(THRESHOLDS) - 1
    while low < high:  # false alarms fall as it rises
        middle = (low + high) // 2
        alarms = len(detect(others, alone(THRESHOLDS[middle]), labels, step_ms))
        low, high = (low, middle) if 3600 * alarms <= per_hour * others.seconds else (
            middle + 1, high)
    misses = [compare(words, detect(words, alone(threshold), labels, step_ms)).missed_by[label]
              for threshold in THRESHOLDS[low:]]
    return max(threshold for threshold, missed in zip(THRESHOLDS[low:], misses, strict=True)
               if missed == min(misses))


def _cost(found: Calibrated, per_hour: float) -> tuple[float, ...]:
    over = max(0.0, 3600 * found.others.false_alarms / found.others.seconds - per_hour)
    return (over, found.words.missed, found.words.doubles,
            found.words.false_alarms + found.others.false_alarms, found.detector.smoothing_ms)
