import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.detect import Detection
from edgernn.errors import DataError
from edgernn.spec import DetectorSpec
from edgernn.train.spotting import (
    LATE_S,
    Passage,
    Said,
    compare,
    listen,
    match,
    mix,
    poisson_bound,
)

LABELS = ("reject", "yes", "no")
DETECTOR = DetectorSpec({"yes": 0.5, "no": 0.5}, smoothing_ms=20, refractory_ms=200)


class Echo:
    """A stepper whose scores are its input, and whose state counts its steps."""

    def __init__(self):
        self.counts = []

    def initial(self, streams):
        return {"steps": np.zeros((streams, 1), np.int64)}

    def step(self, x, states):
        self.counts.append(states["steps"][:, 0].copy())
        return x.astype(np.float32), {"steps": states["steps"] + 1}


def passage(frames, said=(), fire=()):
    """Scores of 1 for `reject`, but for label i around the frames (frame, i) of `fire`."""
    rows = np.tile(np.float32([1, 0, 0]), (frames, 1))
    for frame, label in fire:
        rows[frame:frame + 5] = np.eye(3, dtype=np.float32)[label]
    return Passage(rows, said)


def same(rows):
    return rows


@pytest.mark.parametrize(("count", "bound"), [(0, 2.996), (1, 4.744), (2, 6.296), (10, 16.962)])
def test_the_poisson_bound_is_garwoods(count, bound):
    # Garwood 1936, one-sided 95 %; half the 90th percentile table of chi squared.
    assert poisson_bound(count) == pytest.approx(bound, abs=5e-4)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(0, 40))
def test_no_more_events_than_seen_are_as_unlikely_at_the_bound_as_was_asked(count):
    rng = np.random.default_rng(count)
    drawn = rng.poisson(poisson_bound(count, 0.9), 40_000)
    assert np.mean(drawn <= count) == pytest.approx(0.1, abs=0.01)  # 6 standard errors


@settings(max_examples=40, deadline=None)
@given(snr_db=st.floats(-5, 30), seed=st.integers(0, 99), loud=st.floats(50, 3000))
def test_noise_is_as_far_below_the_word_as_asked(snr_db, seed, loud):
    rng = np.random.default_rng(seed)
    clip = np.zeros(8000)
    clip[3000:6000] = rng.standard_normal(3000) * loud
    noise = rng.standard_normal(60000) * 100
    mixed, (start, end) = mix(clip, (3000, 6000), noise, snr_db, rng, lead=5000, tail=4000)
    assert len(mixed) == 17000
    assert (start, end) == (8000, 11000)
    before = np.mean(mixed[:8000].astype(float) ** 2)
    # The word's power is what the noise, steady here, does not explain.
    word = np.mean(mixed[start:end].astype(float) ** 2) - before
    if word / before > 0.3 and before > 25:  # else rounding and chance are larger
        assert 10 * math.log10(word / before) == pytest.approx(snr_db, abs=1.5)


def test_mixing_never_wraps_around():
    loud = np.full(2000, 32767, np.int16)
    mixed, _ = mix(loud, (0, 2000), np.full(9000, 32767), 0, np.random.default_rng(0), 500, 500)
    assert mixed.min() >= 0
    assert mixed.max() <= 32000


def test_noise_that_is_too_short_is_refused():
    with pytest.raises(DataError, match="500 samples; 2100 were needed"):
        mix(np.ones(100), (0, 100), np.ones(500), 10, np.random.default_rng(0), 1000, 1000)


def test_a_detection_belongs_to_a_word_that_began_and_ended_not_long_before():
    word = Said("yes", 1.0, 1.5)
    for time_s, own in ((0.9, False), (1.0, True), (1.5, True), (1.5 + LATE_S, True),
                        (1.6 + LATE_S, False)):
        unheard, wrong = match([word], [Detection("yes", 0.9, time_s)])
        assert (unheard, len(wrong)) == (([], 0) if own else ([word], 1))


def test_another_words_label_is_both_a_miss_and_a_false_alarm():
    unheard, wrong = match([Said("yes", 1.0, 1.5)], [Detection("no", 0.9, 1.4)])
    assert len(unheard) == len(wrong) == 1


def test_a_word_detected_twice_counts_once_and_raises_one_false_alarm():
    found = [Detection("yes", 0.9, 1.4), Detection("yes", 0.9, 1.7)]
    unheard, wrong = match([Said("yes", 1.0, 1.5)], found)
    assert unheard == []
    assert wrong == found[1:]


@pytest.mark.parametrize("carry", [False, True])
def test_misses_and_false_alarms_are_counted_where_they_are(carry):
    passages = [
        passage(100, (Said("yes", 0.4, 0.8),), [(40, 1)]),                  # heard
        passage(100, (Said("no", 0.4, 0.8),), [(40, 1)]),                   # misheard
        passage(100, (Said("no", 0.4, 0.8), Said("no", 1.2, 1.5)), [(40, 2)]),  # one of two
        passage(150, (), [(10, 1), (100, 2)]),                              # nothing was said
    ]
    scores = listen(Echo(), same, passages, carry)
    found = compare(passages, scores, DETECTOR, LABELS, carry)
    assert found.said == {"yes": 1, "no": 3}
    assert found.missed == {"no": 2}
    assert found.false_alarms == 3
    assert found.miss_rate == 0.5
    assert found.seconds == pytest.approx(450 * 0.02)
    assert found.false_alarms_per_hour == pytest.approx(3 * 3600 / 9)
    assert found.false_alarms_per_hour_below > found.false_alarms_per_hour


def test_carrying_never_resets_a_lane_and_resetting_begins_every_passage_anew():
    passages = [passage(10)] * 40
    carried, reset = Echo(), Echo()
    listen(carried, same, passages, carry=True)
    listen(reset, same, passages, carry=False)
    assert max(counts.max() for counts in carried.counts) == 10 * math.ceil(40 / 16) - 1
    assert max(counts.max() for counts in reset.counts) == 9


@settings(max_examples=25, deadline=None)
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=40), carry=st.booleans())
def test_every_passage_gets_the_scores_of_its_own_frames(lengths, carry):
    rng = np.random.default_rng(len(lengths))
    passages = [Passage(rng.random((n, 3)).astype(np.float32)) for n in lengths]
    for own, scores in zip(passages, listen(Echo(), same, passages, carry), strict=True):
        np.testing.assert_array_equal(own.rows, scores)
