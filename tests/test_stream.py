"""The loop: nothing depends on how audio is cut, and time never shifts."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.errors import FeatureError
from edgernn.frames import Frame
from edgernn.frontend.logmel import LogMel
from edgernn.latency import LatencyHistogram
from edgernn.spec import DetectorSpec, LogMelSpec
from edgernn.step import StepModel
from edgernn.stream import HOLD_S, Listener, listen
from tests.sounds import cut, wandering

RATE, HOP, WINDOW = 16000, 320, 480
SENSITIVE = DetectorSpec({"label1": 0.26, "label2": 0.26, "label3": 0.26}, smoothing_ms=40,
                         hysteresis=0.01, refractory_ms=60)


@pytest.fixture(scope="module")
def model(model_files):
    return StepModel.open(model_files["kws"])


def run(model, frames):
    """Detections, and the score and time of every step."""
    steps = []
    listener = Listener(model.fork(), SENSITIVE,
                        lambda scores, t: steps.append((scores.tolist(), t)))
    return list(listen(frames, listener)), steps, listener.summary


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 9000), max_size=30))
def test_detections_do_not_depend_on_how_audio_is_cut(model, sizes):
    samples = wandering()
    expected = run(model, [Frame(samples, 0.0)])
    assert expected[0], "the test's audio fires nothing"
    found = run(model, cut(samples, sizes))
    assert found[:2] == expected[:2]


def test_a_step_is_timed_by_the_end_of_its_window(model):
    _, steps, summary = run(model, [Frame(wandering(1.0), 0.0)])
    assert [t for _, t in steps] == [(WINDOW + i * HOP) / RATE for i in range(len(steps))]
    assert summary.steps == len(steps) == 1 + (RATE - WINDOW) // HOP
    assert summary.heard_s == 1.0


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3 * RATE), st.integers(1, RATE))
def test_time_never_shifts_over_a_gap(model, lost, before):
    samples = wandering(2.0)
    frames = [Frame(samples[:before], 0.0),
              Frame(samples[before + lost :] if before + lost + WINDOW <= len(samples) else samples,
                    (before + lost) / RATE, lost)]
    _, steps, summary = run(model, frames)
    after = [t for _, t in steps if t > (before + lost) / RATE]
    assert after[0] == pytest.approx((before + lost + WINDOW) / RATE, abs=1 / RATE) or \
        summary.held
    assert summary.missing_s == pytest.approx(lost / RATE)
    times = [t for _, t in steps]
    assert all(b > a for a, b in itertools.pairwise(times))
    assert steps[-1][1] == pytest.approx(
        (before + lost + WINDOW + HOP * ((len(frames[1].samples) - WINDOW) // HOP)) / RATE)


def test_a_short_gap_holds_and_a_long_one_resets(model):
    samples = wandering(2.0)
    short, long = int(0.2 * RATE), int((HOLD_S + 0.1) * RATE)
    held = run(model, [Frame(samples[:RATE], 0.0), Frame(samples[RATE:], 1.2, short)])[2]
    # Windows that would have ended in the gap, and those that it breaks.
    assert held.held == pytest.approx(short / HOP + WINDOW / HOP, abs=2)
    assert held.resets == 0
    _, steps, summary = run(model, [Frame(samples[:RATE], 0.0), Frame(samples[RATE:], 1.6, long)])
    assert (summary.held, summary.resets) == (0, 1)
    fresh = run(model, [Frame(samples[RATE:], 0.0)])[1]
    assert [s for s, _ in steps[-len(fresh):]] == [s for s, _ in fresh]


def test_sensor_rows_with_nan_never_reach_the_model(model_files):
    step = StepModel.open(model_files["gru"])
    listener = Listener(step)
    rows = np.zeros((3, step.width), np.float32)
    rows[1, 4] = np.nan
    with pytest.raises(FeatureError, match="NaN"):
        list(listener.push(Frame(rows, 0.0)))
    assert listener.summary.steps == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(2e-7, 10), min_size=1, max_size=300), st.floats(0.01, 1))
def test_percentiles_are_within_a_tenth(durations, share):
    histogram = LatencyHistogram()
    for duration in durations:
        histogram.add(duration)
    exact = sorted(durations)[max(0, int(np.ceil(share * len(durations))) - 1)]
    assert histogram.percentile_s(share) == pytest.approx(exact, rel=0.1)
    assert histogram.largest_s == max(durations)


def test_the_loop_adds_nothing_to_frontend_and_model(model):
    samples = wandering(1.0, seed=3)
    by_hand = model.fork()
    rows = LogMel(LogMelSpec()).whole(samples)
    expected = [by_hand.step(codes).tolist() for codes in model.encode(rows)]
    assert [scores for scores, _ in run(model, [Frame(samples, 0.0)])[1]] == expected


def test_a_held_step_repeats_the_scores_before_it(model):
    samples, lost = wandering(2.0), 5 * HOP
    _, steps, summary = run(model, [Frame(samples[:RATE], 0.0),
                                    Frame(samples[RATE:], 1 + lost / RATE, lost)])
    heard = 1 + (RATE - WINDOW) // HOP
    assert summary.held > 0
    for scores, _ in steps[heard : heard + summary.held]:
        assert scores == steps[heard - 1][0]
    assert steps[heard + summary.held][0] != steps[heard - 1][0]


@pytest.mark.parametrize(("rows_lost", "resets"), [(1, 0), (3, 0), (4, 1)])
def test_a_slow_sensor_may_miss_a_row(model_files, rows_lost, resets):
    # One row a second, as this model does not say: half a second is shorter than any gap.
    step = StepModel.open(model_files["gru"])
    times = []
    listener = Listener(step, on_scores=lambda _, t: times.append(t))
    row = np.ones((1, step.width), np.float32)
    list(listen([Frame(row, 0.0), Frame(row, 1.0 + rows_lost, rows_lost)], listener))
    assert listener.summary.resets == resets
    assert (times[0], times[-1]) == (1.0, 2.0 + rows_lost)
    assert len(times) == (2 if resets else 2 + rows_lost)
