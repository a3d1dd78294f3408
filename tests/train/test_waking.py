"""A stream without what no detector could wake at, against the whole of it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.spec import DetectorSpec, WatchSpec
from edgernn.train.calibration import HYSTERESES, THRESHOLDS, harmless
from edgernn.train.evaluation import Track, detect
from edgernn.train.waking import waking
from tests.test_detect import LABELS, STEP_MS

USUAL = DetectorSpec({"yes": 0.5, "no": 0.5})


def mostly_quiet(seed, steps):
    """Scores of which now and then some are not next to nothing, and seldom for long."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0, 0.0199, (steps, 3))
    for begin in rng.integers(0, steps, max(1, steps // 300)):
        label, height = rng.integers(3), rng.choice([0.02, 0.03, 0.05, 0.3, 0.9, 1.0])
        scores[begin:begin + rng.integers(1, 40), label] = height
    return scores.astype(np.float32)


watches = st.builds(WatchSpec, st.sampled_from(THRESHOLDS), st.integers(0, 320),
                    st.sampled_from(HYSTERESES), st.integers(0, 2000))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3000), watches, watches,
       st.frozensets(st.integers(1, 2000), max_size=3))
def test_what_no_detector_wakes_at_can_be_left_out(seed, steps, yes, no, begins):
    scores = mostly_quiet(seed, steps)
    track = Track(scores, np.arange(1, steps + 1) / 50, (), frozenset(
        begin for begin in begins if begin < steps), steps / 50)
    kept = waking(track, [1, 2], harmless(USUAL, STEP_MS))
    spec = DetectorSpec.of({"yes": yes, "no": no})
    assert detect(kept, spec, LABELS, STEP_MS) == detect(track, spec, LABELS, STEP_MS)


def test_an_hour_in_which_little_happens_is_kept_in_a_few_steps():
    scores = np.zeros((180_000, 3), np.float32)
    scores[[5000, 100_000], 1] = 0.5
    scores[:, 0] = 1.0  # of a label that nobody listens for
    track = Track(scores, np.arange(1, 180_001) / 50, (), frozenset(), 3600.0)
    kept = waking(track, [1, 2], harmless(USUAL, STEP_MS))
    assert kept.seconds == 3600.0
    assert len(kept.scores) == 2 * (16 + 1 + 16 + 100)
