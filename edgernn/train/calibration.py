"""A detector for a wanted rate of false alarms, and whether the data can support it."""

import dataclasses
import itertools
import math
from dataclasses import dataclass

from edgernn.spec import DetectorSpec, WatchSpec
from edgernn.train.evaluation import Outcome, Track, compare, detect
from edgernn.train.intervals import poisson_bound
from edgernn.train.waking import Quiet

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


@dataclass(frozen=True)
class Heard:
    """What a detector is chosen on."""

    words: Track
    """Of words that are said."""
    others: Track
    """Of what is no word."""
    labels: tuple[str, ...]
    """The model's."""
    step_ms: float

    def tried(self, spec: DetectorSpec) -> Calibrated:
        """What a detector comes to."""
        return Calibrated(spec, *(compare(track, detect(track, spec, self.labels, self.step_ms))
                                  for track in (self.words, self.others)))

    def alone(self, label: str, watch: WatchSpec) -> Calibrated:
        """What the detector of one label comes to."""
        return self.tried(DetectorSpec.of({label: watch}))


def calibrate(heard: Heard, spec: DetectorSpec, per_hour: float) -> Calibrated:
    """The detector that misses least with at most so many false alarms an hour.

    Every label gets an equal part of the rate, and is tried alone first.  Of the thresholds that
    keep to its part it takes those that miss fewest of its words, and of these the highest: where
    there is little to mistake, a low one proves nothing; of several lengths of smoothing the one
    that does best.  Then all listen together, and each label in turn takes, of several
    hystereses and refractory times, those that miss least, then fire least twice, then are least
    mistaken; where the data see no difference, those that it had.  A label of which no word was
    said stays as it is: any threshold misses none of it.

    Parameters
    ----------
    heard : Heard
    spec : DetectorSpec
        What to begin from; its labels are those that are calibrated.
    per_hour : float
        False alarms wanted at most.
    """
    share = per_hour / len(spec.thresholds)
    said = {word.label for word in heard.words.said}
    watches = {label: _smoothed(heard, label, spec.watch(label), share) if label in said
               else spec.watch(label) for label in spec.thresholds}
    best = heard.tried(DetectorSpec.of(watches))
    for label in filter(said.__contains__, watches):
        # Thresholds were chosen label by label; these two say how a detection of one label keeps
        # others, and itself, from firing.
        for hysteresis, refractory_ms in itertools.product(HYSTERESES, REFRACTORIES_MS):
            own = dataclasses.replace(watches[label], hysteresis=hysteresis,
                                      refractory_ms=refractory_ms)
            other = heard.tried(DetectorSpec.of({**watches, label: own}))
            if _cost(other, per_hour) < _cost(best, per_hour):
                best = other
        watches[label] = best.detector.watch(label)
    return best


def harmless(spec: DetectorSpec, step_ms: float) -> Quiet:
    """At what no detector that `calibrate` tries could wake."""
    watches = [spec.watch(label) for label in spec.thresholds]
    averaged = max(*SMOOTHINGS_MS, *(watch.smoothing_ms for watch in watches))
    paused = max(*REFRACTORIES_MS, *(watch.refractory_ms for watch in watches))
    return Quiet(THRESHOLDS[0], math.ceil(averaged / step_ms), math.ceil(paused / step_ms))


def _smoothed(heard: Heard, label: str, watch: WatchSpec, per_hour: float) -> WatchSpec:
    """A label's best average, with the threshold that goes with it."""
    found = []
    for smoothing_ms in dict.fromkeys((watch.smoothing_ms, *SMOOTHINGS_MS)):  # its own, of equals
        own = dataclasses.replace(watch, smoothing_ms=smoothing_ms)
        own = dataclasses.replace(own, threshold=_threshold(heard, label, own, per_hour))
        found.append((_cost(heard.alone(label, own), per_hour), own))
    return min(found, key=lambda each: each[0])[1]


def _threshold(heard: Heard, label: str, watch: WatchSpec, per_hour: float) -> float:
    """Of one label alone; the highest there is if none keeps to its rate."""
    def tried(track: Track, threshold: float) -> Outcome:
        spec = DetectorSpec.of({label: dataclasses.replace(watch, threshold=threshold)})
        return compare(track, detect(track, spec, heard.labels, heard.step_ms))

    low, high = 0, len(THRESHOLDS) - 1
    while low < high:  # false alarms fall as it rises
        middle = (low + high) // 2
        alarms = tried(heard.others, THRESHOLDS[middle]).false_alarms
        low, high = (low, middle) if 3600 * alarms <= per_hour * heard.others.seconds else (
            middle + 1, high)
    misses = [tried(heard.words, threshold).missed_by[label] for threshold in THRESHOLDS[low:]]
    return max(threshold for threshold, missed in zip(THRESHOLDS[low:], misses, strict=True)
               if missed == min(misses))


def _cost(found: Calibrated, per_hour: float) -> tuple[float, ...]:
    """Lower is better; words of labels that do not listen are not missed."""
    over = max(0.0, 3600 * found.others.false_alarms / found.others.seconds - per_hour)
    missed = sum(found.words.missed_by[label] for label in found.detector.thresholds)
    return (over, missed, found.words.doubles,
            found.words.false_alarms + found.others.false_alarms)
