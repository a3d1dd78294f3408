"""Rows at their own times, on the model's grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn.sources.resample import BACKWARD, Resampler, Seconds
from edgernn.sources.row_text import Stamp

RATE = 50.0


def rows_at(times):
    """A row of two values for each time: the time itself, and a zigzag."""
    return [np.array([t, (-1) ** i], np.float32) for i, t in enumerate(times)]


def resampled(times, rate_hz=RATE, **options):
    """Numbers of the points that are given, and their rows."""
    grid, points, given_rows, point = Resampler(rate_hz, **options), [], [], -1
    for time_s, row in zip(times, rows_at(times), strict=True):
        for gap, values in grid.push(time_s, row):
            point += gap + 1
            points.append(point)
            given_rows.append(values)
    return points, np.array(given_rows).reshape(-1, 2), grid.faults


# Distances between rows in periods of the grid, none of which hides a missing row.
steady = st.lists(st.floats(0.2, 1.7), min_size=1, max_size=60)
any_times = st.lists(st.floats(-4, 8), min_size=1, max_size=60)


@given(steady)
def test_points_are_the_line_between_their_neighbours_as_numpy_draws_it(apart):
    times = 7.0 + np.cumsum([0, *apart]) / RATE
    points, rows, faults = resampled(times)
    assert points == list(range(len(points)))
    grid = times[0] + np.arange(len(points)) / RATE
    truth = np.array(rows_at(times), np.float64)
    expected = np.stack([np.interp(grid, times, truth[:, i]) for i in range(2)], axis=1)
    # A point within 0.001 periods of a row is that row; the zigzag climbs 2 in 0.2 periods.
    np.testing.assert_allclose(rows, expected, atol=0.0101, rtol=1e-5)
    assert (times[-1] - grid[-1]) * RATE < 1
    assert faults.late == faults.duplicate == 0


@given(any_times, st.integers(0, 60))
def test_later_rows_never_change_what_was_given(apart, cut):
    times = np.cumsum(apart) / RATE
    points, rows, _ = resampled(times)
    some_points, some_rows, _ = resampled(times[:cut])
    assert points[:len(some_points)] == some_points
    np.testing.assert_array_equal(rows[:len(some_rows)], some_rows)


@given(any_times)
def test_a_reset_grid_knows_nothing_of_what_was(apart):
    times = np.cumsum(apart) / RATE
    fresh, used = Resampler(RATE), Resampler(RATE)
    for time_s, row in zip(times, rows_at(times), strict=True):
        used.push(time_s, row)
    used.reset()
    for time_s, row in zip(times, rows_at(times), strict=True):
        one, other = fresh.push(time_s, row), used.push(time_s, row)
        assert [gap for gap, _ in one] == [gap for gap, _ in other]
        for (_, a), (_, b) in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert fresh.faults == used.faults


@given(any_times)
def test_no_time_is_lost_or_made_up(apart):
    """Up to the first clock that is set, the last point is the last one due, gaps included."""
    times = np.cumsum(apart) / RATE
    points, _, faults = resampled(times)
    if not faults.restarts:
        seen = np.maximum.accumulate(times)
        due = int(np.floor((seen[-1] - times[0]) * RATE + 1e-3))
        assert points[-1] <= due
        # What is missing at the very end comes with the next row.
        assert due - points[-1] <= max(1.0, (seen - np.roll(seen, 1))[1:].max(initial=0) * RATE)
    assert points == sorted(set(points))


def test_rows_on_the_grid_come_out_as_they_went_in():
    times = np.round(np.arange(200) * 0.02, 6) + 1.7e9
    points, rows, _ = resampled(times)
    assert points == list(range(200))
    np.testing.assert_array_equal(rows, np.array(rows_at(times)))


@pytest.mark.parametrize("missing", [1, 2, 10])
def test_missing_rows_are_gaps_and_shift_no_time(missing):
    times = np.delete(np.arange(60) * 0.02, slice(30, 30 + missing))
    points, rows, _ = resampled(times)
    assert points == [*range(30), *range(30 + missing, 60)]
    np.testing.assert_allclose(rows[:, 0], times, rtol=1e-6)


def test_jitter_is_no_gap():
    rng = np.random.default_rng(0)
    points, *_ = resampled(np.arange(2000) * 0.02 + rng.uniform(-0.006, 0.006, 2000))
    assert points == list(range(len(points)))
    assert len(points) >= 1999


@pytest.mark.parametrize("source_hz", [20.0, 25.0, 49.9, 104.0, 1000.0])
def test_a_sensor_of_another_rate_is_brought_to_the_models(source_hz):
    seconds = np.arange(0, 10, 1 / source_hz)
    points, rows, _ = resampled(seconds)
    assert points == list(range(len(points)))
    assert len(points) == pytest.approx(10 * RATE, abs=RATE / source_hz + 1)
    np.testing.assert_allclose(rows[:, 0], np.arange(len(points)) / RATE, atol=1e-5)


def test_late_rows_and_duplicates_are_left_out_and_counted():
    points, rows, faults = resampled([0, 0.02, 0.02, 0.04, 0.03, 0.06])
    assert points == [0, 1, 2, 3]
    np.testing.assert_allclose(rows[:, 0], [0, 0.02, 0.04, 0.06])
    assert (faults.duplicate, faults.late, faults.restarts) == (1, 1, 0)


@pytest.mark.parametrize("jump_s", [-1000.0, 1e8])
def test_a_clock_that_was_set_begins_anew_behind_a_gap_that_resets_the_model(jump_s):
    begin, then = np.arange(100) * 0.02, np.arange(100) * 0.02
    points, _, faults = resampled([*begin, *(then + 2 + jump_s)])
    assert faults.restarts == 1
    assert faults.late == (BACKWARD - 1 if jump_s < 0 else 0)
    gaps = np.diff(points) - 1
    assert (gaps > 0).sum() == 1
    assert gaps.max() == 26, "just over half a second"
    assert len(points) == 200 - faults.late


def test_times_of_arrival_may_be_bunched_up_to_what_resets_the_model():
    """Four rows at once every 80 ms."""
    times = [block * 0.08 + i * 1e-4 for block in range(50) for i in range(4)]
    points, *_ = resampled(times, bridge_s=0.5)
    assert points == list(range(len(points)))
    assert resampled([0, 0.02, 0.9], bridge_s=0.5)[0] == [0, 1, 45]


@pytest.mark.parametrize(("stamps", "rate_hz", "seconds"), [
    ([0, 16, 32], 62.5, [0, 0.016, 0.032]),
    ([5, 5.016], 62.5, [0, 0.016]),
    ([100, 20100], 50, [0, 0.02]),
    ([3, 4], 1, [0, 1]),
    ([1, 61], 1 / 60, [0, 60]),
    ([0, 60000], 1 / 60, [0, 60]),
    ([7, 7, 6], 50, [0, 0, -1]),
    ([1700000000, 1700000001], 0, [0, 1]),
    ([1700000000000, 1700000001000], 0, [0, 1]),
    ([1700000000000000, 1700000001000000], 0.001, [0, 1]),
])
def test_the_unit_of_a_time_is_the_one_that_fits(stamps, rate_hz, seconds):
    clock = Seconds(rate_hz)
    assert [clock.since_first(Stamp(stamp, 0.0)) for stamp in stamps] == pytest.approx(seconds)


def test_a_unit_that_was_said_is_not_guessed():
    clock = Seconds(50.0)
    assert [clock.since_first(Stamp(t, 1e-6)) for t in (0, 20)] == pytest.approx([0, 2e-5])
