"""What `tools/bench_bucketing.py` counts, on lengths small enough to count by hand."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.bench_bucketing import (
    BATCH,
    WAYS,
    computed,
    lengths,
    lesson,
    measured,
    padded_to_longest,
    timed,
)

PROJECT = Path(__file__).resolve().parent.parent.parent


def test_frames_are_counted_as_they_are_computed():
    each = np.array([2] * BATCH + [10] * BATCH)
    assert computed(each, "longest") == 2 * BATCH * 10
    assert computed(each, "bucketed") == BATCH * 2 + BATCH * 10
    assert measured(each)["longest_padding"] == pytest.approx(1 - 12 / 20)
    assert measured(each)["bucketed_padding"] == 0


@given(st.lists(st.integers(1, 300), min_size=1, max_size=80))
def test_no_way_computes_fewer_frames_than_there_are_or_more_than_the_longest_asks(found):
    each = np.array(found)
    for way in WAYS:
        assert each.sum() <= computed(each, way) <= computed(each, "longest")


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40))
def test_padding_to_the_longest_holds_every_lesson_once(found):
    made = padded_to_longest([lesson(n) for n in found], np.random.default_rng(0))
    assert sorted(np.concatenate([batch.lengths for batch in made])) == sorted(found)
    assert {batch.features.shape[1] for batch in made} == {max(found)}
    assert sum(batch.weights.sum() for batch in made) == sum(found)


def test_data_that_is_not_there_is_said(tmp_path):
    assert lengths(tmp_path) == {}
    done = subprocess.run([sys.executable, "tools/bench_bucketing.py", "--data", str(tmp_path)],
                          cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    for word in ("JapaneseVowels", "C-MAPSS FD001", "--data"):
        assert word in done.stderr


@pytest.mark.slow
def test_an_epoch_is_timed_both_ways():
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    found = timed(np.array([2, 3, 8, 5] * 5), turns=1)
    assert found["time_longest_over_bucketed"] > 0  # how large it is fails no test
