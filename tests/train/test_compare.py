"""A grid: its front, its points, and what happens to one that fails."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn.train.compare import COSTS, Point, compare, macs, mark, pareto
from edgernn.train.config import make

numbers = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=9)


@given(numbers)
def test_the_front_holds_a_point_as_good_as_any_other(points):
    costs, gains = zip(*points, strict=True)
    front = pareto(costs, gains)
    assert any(front)
    for cost, gain in points:
        assert any(on and c <= cost and g >= gain
                   for on, c, g in zip(front, costs, gains, strict=True))


@given(numbers)
def test_no_point_of_the_front_is_beaten(points):
    costs, gains = zip(*points, strict=True)
    for on, cost, gain in zip(pareto(costs, gains), costs, gains, strict=True):
        beaten = any(c <= cost and g >= gain and (c < cost or g > gain)
                     for c, g in points)
        assert on is not beaten


def test_an_error_is_no_point_of_the_front():
    line = {"integer": {"carry": 0.9}, **dict.fromkeys(COSTS, 1)}
    failed = {"cell": "gru", "units": 4, "error": "no room"}
    marked = mark([failed, dict(line)])
    assert "pareto" not in marked[0]
    assert all(marked[1]["pareto"].values())


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Thirty short sequences of two kinds."""
    path = tmp_path_factory.mktemp("grid") / "set.npz"
    rng = np.random.default_rng(0)
    y = np.arange(30) % 2
    np.savez(path, x=(rng.normal(size=(30, 8, 3)) + y[:, None, None]).astype(np.float32), y=y)
    return path


@pytest.mark.slow
def test_a_grid_is_trained_once_and_drawn(data, tmp_path):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    points = [Point("gru", 4), Point("simple_rnn", 6)]
    config = make({"epochs": 2})
    told = []
    lines = compare(data, tmp_path, points, config, "int8", 2, lambda p, line: told.append(p))
    assert set(told) == set(points)
    assert [(line["cell"], line["units"]) for line in lines] == [("gru", 4), ("simple_rnn", 6)]
    assert all(0 <= line["integer"]["carry"] <= 1 for line in lines)
    assert lines[1]["macs"] == 3 * 6 + 6 * 6 + 6 * 2
    assert macs(tmp_path / "gru-4-int8" / "model.tflite") == 3 * (3 * 4 + 4 * 4) + 4 * 2
    before = (tmp_path / "gru-4-int8" / "model.tflite").stat().st_mtime_ns
    again = compare(data, tmp_path, points, config, "int8", 1, lambda p, line: None)
    assert again == lines
    assert (tmp_path / "gru-4-int8" / "model.tflite").stat().st_mtime_ns == before

    from edgernn.train.compare_plot import draw

    draw(lines, tmp_path / "compare.png", "a grid")
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_point_that_fails_does_not_stop_the_others(data, tmp_path):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    # A folder in the way of the second point's run, which is no run of ours.
    (tmp_path / "gru-4-int8" / "run").mkdir(parents=True)
    lines = compare(data, tmp_path, [Point("gru", 4), Point("gru", 3)], make({"epochs": 1}),
                    "int8", 1, lambda p, line: None)
    assert "edgernn train" in lines[0]["error"]
    assert "error" not in lines[1]
    json.dumps(lines)
