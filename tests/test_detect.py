"""From scores to detections."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.detect import Detector, DetectorConstants, native_detectors
from edgernn.errors import ModelError
from edgernn.spec import DetectorSpec, WatchSpec

LABELS = ("_other_", "yes", "no")
STEP_MS = 20

pytestmark = pytest.mark.usefixtures("compiled_or_numpy")


def detector(**changes):
    spec = {"thresholds": {"yes": 0.6, "no": 0.8}, "smoothing_ms": 60, "hysteresis": 0.2,
            "refractory_ms": 200} | changes
    return Detector(DetectorSpec(**spec), LABELS, STEP_MS)


def heard(watch, yes, no=None):
    """Steps at which something fired, with its label."""
    no = np.zeros(len(yes)) if no is None else no
    found = []
    for i, (y, n) in enumerate(zip(yes, no, strict=True)):
        detection = watch.push(np.array([1 - y - n, y, n], np.float32), i * STEP_MS / 1000)
        if detection:
            found.append((i, detection.label))
    return found


def test_a_score_that_stays_fires_once_when_its_average_gets_there():
    # 0.7 over three steps averages 0.23, 0.47, 0.7: the third reaches 0.6.
    assert heard(detector(), [0.7] * 100) == [(2, "yes")]


def test_a_detection_tells_the_average_that_fired_and_when():
    watch = detector()
    for i, yes in enumerate((0.5, 0.7, 0.9)):  # whose mean is 0.7
        found = watch.push(np.array([1 - yes, yes, 0], np.float32), 3.0 + i)
    assert (found.label, found.time_s) == ("yes", 5.0)
    assert found.score == pytest.approx(0.7, abs=1e-4)


def test_a_spike_shorter_than_the_smoothing_does_not_fire():
    assert heard(detector(), [0, 0, 1.0, 0, 0, 0]) == []


def test_it_fires_again_only_after_falling_below_the_hysteresis():
    # Between 0.4 and 0.6 it is neither: 0.5 does not arm it again, 0.3 does.
    assert heard(detector(), [0.7] * 20 + [0.5] * 20 + [0.7] * 20) == [(2, "yes")]
    assert heard(detector(), [0.7] * 20 + [0.3] * 20 + [0.7] * 20) == [(2, "yes"), (42, "yes")]


def test_nothing_fires_in_the_refractory_time():
    yes = [0.0] * 5 + [0.95] * 3 + [0.0] * 4 + [0.95] * 3 + [0.0] * 20
    found = heard(detector(refractory_ms=400), yes)
    assert found == [(6, "yes")]
    assert heard(detector(refractory_ms=0), yes) == [(6, "yes"), (13, "yes")]


def test_of_two_labels_the_one_farther_above_its_threshold_fires():
    assert heard(detector(smoothing_ms=0, thresholds={"yes": 0.3, "no": 0.3}),
                 [0.4] * 3, [0.5] * 3) == [(0, "no")]


def test_a_detector_of_no_label_never_fires():
    assert heard(detector(thresholds={}), [1.0] * 50) == []


def test_a_label_without_a_threshold_never_fires():
    watch = detector(thresholds={"yes": 0.5})
    assert heard(watch, [0.0] * 50, [1.0] * 50) == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_reset_forgets_everything(scores):
    watch = detector()
    first = heard(watch, scores)
    watch.reset()
    assert heard(watch, scores) == first


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=80), st.integers(0, 500))
def test_detections_are_apart_by_the_refractory_time(scores, refractory_ms):
    steps = [i for i, _ in heard(detector(refractory_ms=refractory_ms, smoothing_ms=0), scores)]
    assert all(b - a >= round(refractory_ms / STEP_MS)
               for a, b in itertools.pairwise(steps))


@pytest.mark.parametrize(("changes", "what"), [
    ({"thresholds": {"maybe": 0.5}},
     "set for 'maybe', which is no label; the model has _other_, yes, no. Name one of those"),
    ({"thresholds": {"yes": 0.0}},
     "threshold of 'yes' is 0.0; a score above 0 and up to 1 was needed. Choose such a one$"),
    ({"thresholds": {"yes": 1.5}}, "threshold of 'yes' is 1.5"),
    ({"smoothing_ms": -1}, "smoothing_ms is -1; 0 to 3600000 was needed"),
    ({"hysteresis": -0.1}, "hysteresis is -0.1; 0 to 1 was needed"),
    ({"smoothing_ms": {"maybe": 60}}, "smoothing_ms is set for 'maybe', which is no label"),
    ({"refractory_ms": {"yes": 0, "no": -1}}, "refractory_ms of 'no' is -1; 0 to 86400000"),
    ({"refractory_ms": 10**30}, "refractory_ms is 10{30}; 0 to 86400000 was needed"),
    ({"hysteresis": {"no": float("nan")}}, "hysteresis of 'no' is nan; 0 to 1 was needed")])
def test_a_detector_that_makes_no_sense_is_refused_by_what_is_wrong(changes, what):
    with pytest.raises(ModelError, match=what):
        detector(**changes)


BELOW = 1 / 32768
"""The least that a score can be below another."""


def test_a_score_of_exactly_the_threshold_fires_and_the_one_below_it_does_not():
    watch = detector(thresholds={"yes": 0.5}, smoothing_ms=0)
    assert heard(watch, [0.5 - BELOW, 0.5]) == [(1, "yes")]


def test_a_score_of_exactly_where_it_is_armed_again_does_not_arm_it():
    low = {"thresholds": {"yes": 0.5}, "hysteresis": 0.25, "smoothing_ms": 0, "refractory_ms": 0}
    assert heard(detector(**low), [0.5, 0.25, 0.5]) == [(0, "yes")]
    assert heard(detector(**low), [0.5, 0.25 - BELOW, 0.5]) == [(0, "yes"), (2, "yes")]


def test_a_label_that_waits_fires_on_the_very_step_that_ends_the_refractory_time():
    both = {"thresholds": {"yes": 0.3, "no": 0.3}, "smoothing_ms": 0, "refractory_ms": 200}
    assert heard(detector(**both), [0.5] * 30, [0.4] * 30) == [(0, "yes"), (10, "no")]


def test_scores_of_any_float_and_of_a_column_are_scores():
    rows = np.asfortranarray(np.tile([[0.25, 0.7, 0.05]], (4, 1)))
    watch = detector()
    assert [watch.push(row, 0.0) is not None for row in rows] == [False, False, True, False]


def test_an_average_too_long_for_a_devices_sums_is_made_in_numpy():
    def compiled(steps):
        spec = DetectorSpec({"yes": 0.5}, smoothing_ms=steps)
        return native_detectors(DetectorConstants.of(spec, LABELS, 1), 3, 1, Recorder)

    assert compiled(65535) is not None  # 65535 * 32768 is below 2**31
    assert compiled(65536) is None


def test_a_detector_is_one_stream_of_the_module_it_is_given():
    watch = Detector(DetectorSpec({"no": 0.5}, 60, refractory_ms=200), LABELS, STEP_MS,
                     Recorder)
    numbers, tables = watch._state._native.given[:4], watch._state._native.given[4:6]
    assert numbers == (1, 3, 1, 3)
    assert [table.tolist() for table in tables] == [[2], [3]]


class Recorder:
    """A compiled module that keeps what it was given."""

    class Detector:
        def __init__(self, *given):
            self.given = given


def by_hand(scores, watches):
    """The docstring's arithmetic again, in plain integers as a device would have it."""
    one, history, armed, last, found = 32768, [], [True] * len(watches), None, []
    for step, row in enumerate(scores):
        history.append([min(score, one - 1) for score in row])
        best, best_margin = None, -1
        for i, watch in enumerate(watches):
            p, n = watch.threshold, max(1, watch.smoothing_ms // STEP_MS)
            total = sum(past[i] for past in history[-n:])
            armed[i] = armed[i] or total < n * round(one * max(p - watch.hysteresis, p / 2))
            margin = total - n * min(round(one * p), one - 1)
            if armed[i] and margin > best_margin:
                best, best_margin = i, margin
        pause = watches[found[-1][1]].refractory_ms // STEP_MS if found else 0
        if best is not None and (last is None or step - last >= pause):
            armed[best], last = False, step
            found.append((step, best))
    return found


def watches():
    """How a label may be watched."""
    return st.builds(WatchSpec, st.floats(0.01, 1), st.integers(0, 8).map(lambda n: n * STEP_MS),
                     st.floats(0, 1), st.integers(0, 12).map(lambda n: n * STEP_MS))


def alike_or_not():
    """The same for both labels but for the threshold, or whatever comes."""
    return st.one_of(st.tuples(watches(), watches()), st.tuples(watches(), st.floats(0.01, 1)).map(
        lambda pair: (pair[0], dataclasses.replace(pair[0], threshold=pair[1]))))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 32768), st.integers(0, 32768)), max_size=80),
       alike_or_not())
def test_it_computes_what_its_docstring_says(scores, pair):
    thresholds = [each.threshold for each in pair]
    watch = Detector(DetectorSpec.of(dict(zip(("yes", "no"), pair, strict=True))), LABELS, STEP_MS)
    found = []
    for step, row in enumerate(scores):
        detection = watch.push(np.array([0, *row], np.float32) / np.float32(32768), step / 50)
        if detection:
            found.append((step, LABELS.index(detection.label) - 1))
            assert detection.time_s == step / 50
            assert detection.score >= thresholds[found[-1][1]] - 1 / 32768  # of rounding it
    assert found == by_hand(scores, pair)


def test_what_labels_share_is_said_once_and_what_differs_by_label():
    yes, no = WatchSpec(0.5, 60, 0.1, 1000), WatchSpec(0.7, 60, 0.2, 1000)
    spec = DetectorSpec.of({"yes": yes, "no": no})
    assert spec == DetectorSpec({"yes": 0.5, "no": 0.7}, 60, {"yes": 0.1, "no": 0.2}, 1000)
    assert (spec.watch("yes"), spec.watch("no")) == (yes, no)
    assert spec.watch("_other_") == WatchSpec(float("inf"), 60, 0.1, 1000)  # 0.1: said of none


def test_each_label_is_averaged_over_its_own_time_and_silences_all_for_its_own():
    own = {"thresholds": {"yes": 0.5, "no": 0.5}, "smoothing_ms": {"yes": 0, "no": 80},
           "refractory_ms": {"yes": 40, "no": 400}}
    # "no" takes four steps to be sure, "yes" none, and neither hurries the other.
    assert heard(detector(**own), [0.6] + [0.0] * 9, [0.0] + [0.6] * 9) == [(0, "yes"), (4, "no")]
    # The silence after "yes" is over in two steps, that after "no" in twenty.
    assert heard(detector(**own), [0.0] * 6 + [0.6] * 40, [0.6] * 6 + [0.0] * 40) == [
        (3, "no"), (23, "yes")]


def test_a_low_threshold_fires_again_whatever_the_hysteresis():
    watch = detector(thresholds={"yes": 0.1}, smoothing_ms=0, hysteresis=0.5, refractory_ms=0)
    assert heard(watch, [0.2, 0.2, 0.06, 0.2, 0.04, 0.2]) == [(0, "yes"), (5, "yes")]
