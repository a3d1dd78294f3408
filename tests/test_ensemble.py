"""Several models at one source, and a gate before them."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.ensemble import Ensemble, Gate
from edgernn.errors import ConfigError, ModelError
from edgernn.frames import Frame
from edgernn.spec import DetectorSpec
from edgernn.step import StepModel
from edgernn.stream import Listener, listen
from tests.sounds import RATE, cut, wandering

SENSITIVE = DetectorSpec({"label1": 0.26, "label2": 0.26, "label3": 0.26}, smoothing_ms=40,
                         hysteresis=0.01, refractory_ms=60)


@pytest.fixture(scope="module")
def model(model_files):
    return StepModel.open(model_files["kws"])


class Loud:
    """What a gate's model might be: the score of label1 is 1 for a loud frame, else 0."""

    def step(self, codes):
        return np.array([0, codes.mean() > 0, 0, 0], np.float32)

    def hold(self):
        return np.zeros(4, np.float32)

    def reset(self):
        pass


def gate(model, **options):
    made = Gate(model.fork(), **options)
    made.listener.carrier = Loud()
    made._thresholds[:] = 0.5 / made._recent.maxlen  # one loud step is enough
    return made


def bursts(*at, seconds=12.0):
    """Quiet, and a second of noise at each of these times."""
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 2, int(seconds * RATE))
    for begin in at:
        sound[int(begin * RATE):int((begin + 1) * RATE)] = rng.normal(0, 6000, RATE)
    return np.clip(sound, -32768, 32767).astype(np.int16)


def gated(model, frames, **options):
    steps = []
    listener = Listener(model.fork(), SENSITIVE, lambda s, t: steps.append((t, *s.tolist())))
    ensemble = Ensemble({"": listener}, gate(model, **options))
    return list(listen(frames, ensemble)), steps, ensemble


def test_behind_a_closed_gate_nothing_is_stepped_and_time_goes_on(model):
    found, steps, ensemble = gated(model, cut(bursts(2, 8), ()), open_s=0.5, before_s=0.25)
    times = np.array([row[0] for row in steps])
    assert len(times) == len(set(times))
    for begin in (2, 8):
        heard = times[(times > begin - 1) & (times < begin + 2.5)]
        # A window of 30 ms begins 0.25 s before the first loud step's end.
        assert begin - 0.25 <= heard[0] < begin - 0.1
        assert begin + 1.4 < heard[-1] < begin + 1.6
    assert ((times < 4) | (times > 7)).all()
    assert ensemble.let_through_s == pytest.approx(len(times) * 0.02, abs=0.1)
    assert ensemble.summary.heard_s == 12
    assert all(1.7 < each.time_s < 3.6 or 7.7 < each.time_s < 9.6 for each in found)


def test_what_a_gate_lets_through_is_heard_as_from_the_beginning_of_a_stream(model):
    sound = bursts(5)
    _, steps, _ = gated(model, cut(sound, ()), open_s=0.5, before_s=0.25)
    alone = []
    listener = Listener(model.fork(), on_scores=lambda s, t: alone.append(s.tolist()))
    begin = round((steps[0][0] - 0.03) * RATE)
    list(listen([Frame(sound[begin:], 0.0)], listener))
    assert [list(row[1:]) for row in steps] == alone[:len(steps)]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 20000), max_size=30), st.integers(0, 9), st.floats(0, 2),
       st.floats(0.02, 2))
def test_a_gate_does_not_depend_on_how_audio_is_cut(model, sizes, at, before_s, open_s):
    sound = bursts(at, 11)
    options = {"open_s": open_s, "before_s": before_s}
    assert gated(model, cut(sound, sizes), **options)[:2] == gated(
        model, cut(sound, ()), **options)[:2]


def test_a_gap_in_the_audio_keeps_the_clocks_of_gated_models_right(model):
    sound = bursts(2, 8)
    pieces = [Frame(sound[:3 * RATE], 0.0), Frame(sound[5 * RATE:], 5.0, 2 * RATE)]
    _, steps, _ = gated(model, pieces, open_s=0.5, before_s=0.25)
    _, whole, _ = gated(model, cut(sound, ()), open_s=0.5, before_s=0.25)
    late = [row for row in steps if row[0] > 6]
    # Windows begin where the gap ended, so they are those of the whole but for that.
    assert abs(late[0][0] - next(row[0] for row in whole if row[0] > 6)) < 0.04
    assert abs(late[-1][0] - whole[-1][0]) < 0.04


def test_a_gate_opens_at_the_smoothed_scores_that_its_model_stores_thresholds_for(model):
    sound, alone = wandering(3.0), []
    stored = DetectorSpec({"label1": 0.15, "label3": 0.3}, smoothing_ms=60)
    spec = dataclasses.replace(model.spec, detector=stored)
    list(listen([Frame(sound, 0.0)], Listener(model.fork(), DetectorSpec({}),
                                              lambda s, t: alone.append((round(t * RATE), *s)))))
    opened = Gate(StepModel(spec, model.graph, model.runtime)).push(Frame(sound, 0.0))
    scores = np.array([row[1:] for row in alone])
    smooth = np.array([scores[max(0, i - 2):i + 1].sum(axis=0) / 3 for i in range(len(scores))])
    want = [row[0] for row, (_, one, _, three) in zip(alone, smooth, strict=True)
            if one >= 0.15 or three >= 0.3]
    assert 0 < len(want) < len(alone), "the thresholds of this test part nothing"
    assert opened == want


def test_several_models_detect_what_each_would_alone_and_say_which(model, model_files):
    sound = wandering(3.0)
    other = StepModel.open(model_files["kws"], "emulator")
    strict = DetectorSpec({"label2": 0.27}, smoothing_ms=40, hysteresis=0.01, refractory_ms=60)
    alone = [list(listen([Frame(sound, 0.0)], Listener(each.fork(), spec)))
             for each, spec in ((model, SENSITIVE), (other, strict))]
    both = list(listen(cut(sound, itertools.repeat(700, 10)), Ensemble({
        "a": Listener(model.fork(), SENSITIVE), "b": Listener(other.fork(), strict)})))
    for name, want in zip("ab", alone, strict=True):
        assert want, "fires nothing"
        assert [(d.label, d.score, d.time_s) for d in both if d.model == name] == [
            (d.label, d.score, d.time_s) for d in want]


def test_models_of_different_input_are_refused(model, model_files):
    with pytest.raises(ModelError, match="the same input"):
        Ensemble({"a": Listener(model.fork()), "b": Listener(StepModel.open(model_files["gru"]))})
    with pytest.raises(ConfigError, match="opens for"):
        Gate(model.fork(), open_s=0)
