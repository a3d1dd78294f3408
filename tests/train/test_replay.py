"""A detector over kept scores against the one that is pushed step by step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.detect import Detector
from edgernn.spec import DetectorSpec
from edgernn.train.replay import replay
from tests.test_detect import LABELS, STEP_MS, alike_or_not

pytestmark = pytest.mark.usefixtures("compiled_or_numpy")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 32768), st.integers(0, 32768)), max_size=120),
       alike_or_not())
def test_scores_that_were_kept_fire_as_they_did_step_by_step(scores, pair):
    spec = DetectorSpec.of(dict(zip(("yes", "no"), pair, strict=True)))
    rows = np.array([(0, *row) for row in scores], np.float32).reshape(-1, 3) / np.float32(32768)
    times = np.arange(len(rows)) / 50
    watch = Detector(spec, LABELS, STEP_MS)
    pushed = [watch.push(row, time_s) for row, time_s in zip(rows, times.tolist(), strict=True)]
    assert replay(spec, LABELS, STEP_MS, rows, times) == [d for d in pushed if d]
