"""When the state of an endless stream begins anew."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.drift import carrier
from edgernn.errors import ConfigError, ModelError
from edgernn.frames import Frame
from edgernn.spec import DriftSpec
from edgernn.step import StepModel
from edgernn.stream import Listener, listen
from tests.sounds import RATE, cut, wandering

STEP_S = 0.02


@pytest.fixture(scope="module")
def model(model_files):
    return StepModel.open(model_files["kws"])


def frames(model, steps, seed=0):
    x = model.graph.tensor("x")
    return np.random.default_rng(seed).integers(
        x.qtype.low, x.qtype.high + 1, (steps, model.width)).astype(x.dtype)


def scores(carried, rows):
    return np.array([carried.step(row).copy() for row in rows])


def heard(model, sound, drift, sizes=()):
    steps = []
    listener = Listener(model.fork(), on_scores=lambda s, t: steps.append((t, *s.tolist())),
                        drift=drift)
    list(listen(cut(sound, sizes), listener))
    return steps


def test_never_is_the_model_itself(model):
    assert carrier(model, DriftSpec(), STEP_S) is model


def test_after_an_overlap_the_answers_are_those_of_a_state_that_heard_no_more(model):
    rows = frames(model, 50)
    found = scores(carrier(model.fork(), DriftSpec("overlap", period_s=0.4, overlap_s=0.1),
                           STEP_S), rows)
    # 20 steps of one state; then 20 of one that began 5 steps before them; and so on.
    np.testing.assert_array_equal(found[:20], scores(model.fork(), rows[:20]))
    np.testing.assert_array_equal(found[20:40], scores(model.fork(), rows[15:40])[5:])
    np.testing.assert_array_equal(found[40:], scores(model.fork(), rows[35:])[5:])
    assert not np.array_equal(found[20:], scores(model.fork(), rows)[20:])


def test_a_silence_resets_once_before_what_comes_after_it(model):
    sound = wandering(4.0)
    quiet = np.random.default_rng(1).normal(0, 3, RATE).astype(np.int16)
    drift = DriftSpec("silence", silence_ms=500)
    whole = heard(model, np.concatenate([quiet, sound, quiet, sound]), drift)
    again = [row[1:] for row in whole if row[0] > 6.0 + 0.5 + 0.1]
    # From the reset on, half a second into the pause, nothing before it is remembered: it is
    # the same with another sound there.
    other = heard(model, np.concatenate([quiet, wandering(4.0, 5), quiet, sound]), drift)
    assert again == [row[1:] for row in other if row[0] > 6.0 + 0.5 + 0.1]
    kept = heard(model, np.concatenate([quiet, sound, quiet, sound]), DriftSpec())
    assert again != [row[1:] for row in kept if row[0] > 6.0 + 0.5 + 0.1]


def test_a_room_that_grows_louder_is_silent_again_after_a_while(model):
    rng = np.random.default_rng(0)
    hum = np.concatenate([rng.normal(0, 10, 4 * RATE), rng.normal(0, 100, 40 * RATE)])
    listener = Listener(model.fork(), drift=DriftSpec("silence", silence_ms=500))
    resets = []
    listener.carrier._model = Counted(listener.carrier._model, resets)
    list(listener.push(Frame(hum[:4 * RATE].astype(np.int16), 0.0)))
    assert len(resets) == 1  # once for all of the silence
    list(listener.push(Frame(hum[4 * RATE:14 * RATE].astype(np.int16), 4.0)))
    assert len(resets) == 1  # 20 dB louder, which for 14 seconds is sound
    list(listener.push(Frame(hum[14 * RATE:].astype(np.int16), 14.0)))
    assert len(resets) == 2


class Counted:
    """A model whose resets are noted."""

    def __init__(self, model, resets):
        self._model, self._resets = model, resets
        self.step = model.step

    def reset(self):
        self._resets.append(True)
        self._model.reset()


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 9000), max_size=30), st.sampled_from(["silence", "overlap"]))
def test_no_policy_depends_on_how_audio_is_cut(model, sizes, policy):
    sound = np.concatenate([wandering(2.0), np.zeros(RATE, np.int16), wandering(1.0, 1)])
    drift = DriftSpec(policy, silence_ms=300, period_s=0.5, overlap_s=0.2)
    assert heard(model, sound, drift, sizes) == heard(model, sound, drift)


def test_a_policy_that_makes_no_sense_is_refused(model, model_files):
    for drift, message in ((DriftSpec("sometimes"), "never, silence, overlap"),
                           (DriftSpec("overlap", period_s=1, overlap_s=2), "at most the period"),
                           (DriftSpec("silence", silence_ms=0), "above 0")):
        with pytest.raises(ConfigError, match=message):
            carrier(model, drift, STEP_S)
    with pytest.raises(ModelError, match="silence means nothing"):
        carrier(StepModel.open(model_files["gru"]), DriftSpec("silence"), STEP_S)


def test_the_policy_stored_with_a_model_is_the_one_that_is_followed(model):
    spec = dataclasses.replace(model.spec, drift=DriftSpec("overlap", period_s=0.5, overlap_s=0.2))
    stored = StepModel(spec, model.graph, model.runtime)
    sound = wandering(2.0)
    assert heard(stored, sound, None) == heard(model, sound, spec.drift)
    assert heard(stored, sound, None) != heard(model, sound, None)
    assert heard(stored, sound, DriftSpec()) == heard(model, sound, None)


def test_a_saved_state_goes_on_whatever_the_policy(model):
    rows = frames(model, 40)
    for drift in (DriftSpec("silence"), DriftSpec("overlap")):
        first, second = (carrier(model.fork(), drift, STEP_S) for _ in range(2))
        scores(first, rows[:20])
        second.restore(first.state())
        np.testing.assert_array_equal(scores(first, rows[20:]), scores(second, rows[20:]))
