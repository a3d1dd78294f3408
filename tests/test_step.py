"""One frame at a time, in every interpreter that is installed here."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn import bundle, interpreter, step, tflite
from edgernn.errors import BackendError, FeatureError, ModelError
from edgernn.step import StepModel
from tests import networks

BACKENDS = [*interpreter.available(), "emulator"]


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture(scope="module", params=networks.CELLS)
def path(request, model_files, backend):
    if request.param in networks.NORMALIZED and backend == "tflite-runtime":
        pytest.skip("its RSQRT knows no int16")
    return model_files[request.param]


@pytest.fixture(scope="module")
def model(path, backend):
    return StepModel.open(path, backend)


def frames(count, width, seed=0):
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def run(model, rows):
    return np.array([model.step(row).copy() for row in rows])


def test_scores_are_one_probability_per_label(model):
    model.reset()
    scores = run(model, frames(20, model.width))
    assert scores.shape == (20, len(model.labels))
    # Each of four scores is rounded to 1/256, or to 1/32768.
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=4 / 256)


def test_reset_forgets_everything(model):
    rows = frames(10, model.width)
    model.reset()
    first = run(model, rows)
    model.reset()
    np.testing.assert_array_equal(run(model, rows), first)


def test_state_is_carried_from_step_to_step(model):
    model.reset()
    row = frames(1, model.width)[0]
    first = model.step(row).copy()
    assert not np.array_equal(model.step(row), first)


def test_held_frames_leave_the_state_alone_and_repeat_the_scores(model):
    rows = frames(8, model.width)
    model.reset()
    assert not model.hold().any()  # zeros before the first step, as Keras has it
    expected = run(model, rows)
    model.reset()
    found = []
    for row in rows:
        found.append(model.step(row).copy())
        before = model.state()
        np.testing.assert_array_equal(model.hold(), found[-1])
        assert step._equal(model.state(), before)
    np.testing.assert_array_equal(found, expected)


def test_a_restored_state_goes_on_as_if_nothing_had_been(model):
    rows = frames(12, model.width)
    model.reset()
    expected = run(model, rows)
    model.reset()
    run(model, rows[:6])
    saved = model.state()
    run(model, frames(5, model.width, seed=9))
    model.restore(saved)
    np.testing.assert_array_equal(run(model, rows[6:]), expected[6:])


def test_a_state_of_another_model_is_refused_and_changes_nothing(model):
    model.reset()
    run(model, frames(3, model.width))
    before = model.state()
    wrong = {name: value[..., :-1] for name, value in before.items()}
    with pytest.raises(ModelError, match="saved state"):
        model.restore(wrong)
    assert step._equal(model.state(), before)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_interleaved_forks_equal_each_stream_alone(model_files, turns):
    first = StepModel.open(model_files["gru"])
    streams = [first, first.fork(), first.fork()]
    rows = frames(len(turns), first.width)
    together: dict[int, list] = {0: [], 1: [], 2: []}
    for turn, row in zip(turns, rows, strict=True):
        together[turn].append(streams[turn].step(row).copy())
    for number, scores in together.items():
        alone = first.fork()
        chosen = rows[[i for i, turn in enumerate(turns) if turn == number]]
        np.testing.assert_array_equal(run(alone, chosen), np.array(scores))


def test_codes_and_real_features_give_the_same_scores(model):
    rows = frames(10, model.width)
    model.reset()
    expected = run(model, rows)
    model.reset()
    np.testing.assert_array_equal(run(model, model.encode(rows)), expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_feature_that_is_not_finite_is_refused_and_the_state_kept(model, bad):
    model.reset()
    run(model, frames(3, model.width))
    before = model.state()
    row = frames(1, model.width)[0]
    row[2] = bad
    with pytest.raises(FeatureError, match="feature 2"):
        model.step(row)
    assert step._equal(model.state(), before)


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((1, 10)), [], "text", None, 1.0])
def test_a_frame_of_another_shape_is_refused(model, bad):
    with pytest.raises(FeatureError):
        model.step(bad)


def test_codes_of_another_type_are_refused_not_taken_for_real_features(model):
    other = np.zeros(model.width, "int8" if model.encode(frames(1, model.width)).dtype != "int8"
                     else "int16")
    with pytest.raises(FeatureError, match="encode"):
        model.step(other)


def test_doubles_lists_and_strided_rows_count_as_features(model):
    rows = frames(6, model.width)
    model.reset()
    expected = run(model, rows)
    for same in (rows.astype(float), rows.tolist(), np.asfortranarray(rows)):
        model.reset()
        np.testing.assert_array_equal(run(model, same), expected)


def test_features_beyond_the_range_saturate(model):
    model.reset()
    largest = model.step(np.full(model.width, 1e9, np.float32)).copy()
    x = model.graph.tensor("x").qtype
    model.reset()
    codes = np.full(model.width, x.high, x.dtype)
    np.testing.assert_array_equal(model.step(codes), largest)


class Forgetful:
    """A runtime that clears the state it is given, as TFLM with CMSIS-NN does an LSTM's."""

    name = "forgetful"

    def __init__(self, runtime):
        self.runtime = runtime

    def invoke(self, inputs):
        return self.runtime.invoke([inputs[0], *(np.zeros_like(s) for s in inputs[1:])])


class Hoarder(Forgetful):
    """A runtime that adds a memory of its own."""

    def __init__(self, runtime):
        super().__init__(runtime)
        self.steps = 0

    def invoke(self, inputs):
        self.steps += 1
        outputs = self.runtime.invoke(inputs)
        return [outputs[0], *(s ^ (self.steps & 1) for s in outputs[1:])]


@pytest.mark.parametrize("broken", [Forgetful, Hoarder])
def test_a_runtime_that_does_not_carry_the_state_is_found_at_open(model, broken):
    faulty = StepModel(model.spec, model.graph, broken(model.runtime))
    with pytest.raises(BackendError):
        step.prove_state_is_carried(faulty)


def rewritten(path, tmp_path, **changes):
    """The model with another edgernn.json."""
    whole = bundle.read(path)
    changed = tmp_path / "changed.tflite"
    changed.write_bytes(bundle.attach(whole.flatbuffer, dataclasses.replace(whole.spec, **changes)))
    return changed


def test_parts_that_do_not_fit_are_refused(model_files, tmp_path):
    path = model_files["gru"]
    spec = bundle.read(path).spec
    for changes in ({"labels": ("a",)}, {"input": "y"}, {"output": "nothing"}, {"states": ()},
                    {"frontend": dataclasses.replace(spec.frontend, mean=(0.0,), std=(1.0,))}):
        with pytest.raises(ModelError, match="edgernn quantize"):
            StepModel.open(rewritten(path, tmp_path, **changes))


def test_a_state_pair_of_unequal_scale_is_refused(model_files):
    whole = bundle.read(model_files["lstm"])
    read = tflite.read(whole.flatbuffer)
    pair = whole.spec.states[1]
    tensors = tuple(dataclasses.replace(t, scales=(t.scales[0] * 1.04,))
                    if t.name == pair.output else t for t in read.tensors)
    with pytest.raises(ModelError, match="must be equal"):
        step.check(whole.spec, dataclasses.replace(read, tensors=tensors))


def test_an_unknown_or_missing_backend_says_what_there_is(model_files):
    with pytest.raises(BackendError, match="choose one of"):
        StepModel.open(model_files["gru"], "gpu")
