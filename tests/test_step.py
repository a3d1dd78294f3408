"""One frame at a time, in every interpreter that is installed here."""

import dataclasses
import re
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn import bundle, interpreter, step, tflite
from edgernn.errors import BackendError, FeatureError, ModelError
from edgernn.quant import QType, dequantize, quantize
from edgernn.spec import StandardizeSpec, StatePair
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
    with pytest.raises(FeatureError, match=re.escape(
            f"feature 2 is {bad}; finite numbers were needed. Leave the frame out with hold(), or "
            "repair it before it comes here")):
        model.step(row)
    assert step._equal(model.state(), before)


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((1, 10)), [], None, 1.0])
def test_a_frame_of_another_shape_is_refused(model, bad):
    shape = np.shape(bad) if bad is not None else ()
    said = (f"the frame has shape {shape}; ({model.width},) was needed. Give one row of the "
            "frontend this model was trained with (edgernn info shows it)")
    with pytest.raises(FeatureError, match=f"^{re.escape(said)}$"):
        model.step(bad)


def test_a_frame_that_is_no_numbers_is_refused(model):
    with pytest.raises(FeatureError, match=f"^the frame is 'text'; {model.width} numbers were "
                                           "needed. Give one row of features$"):
        model.step("text")


def test_codes_of_another_type_are_refused_not_taken_for_real_features(model):
    own = model.encode(frames(1, model.width)).dtype
    other = "int8" if own != "int8" else "int16"
    said = (f"the frame is of {other}; the codes of this model are {own}. Give those "
            "(StepModel.encode makes them), or float32 features")
    with pytest.raises(FeatureError, match=f"^{re.escape(said)}$"):
        model.step(np.zeros(model.width, other))


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


MISFITS = {
    "labels": ({"labels": ("a",)}, "edgernn.json has 1 labels, but the model has 4. "),
    "frontend": ({"frontend": StandardizeSpec((0.0,), (1.0,))},
                 "edgernn.json has 1 frontend features, but the model has 10. "),
    "input": ({"input": "y"}, "edgernn.json names the input 'y', which the model does not have; "
              "it has lstm0_c_in, lstm0_h_in, x. "),
    "output": ({"output": "y"}, "edgernn.json names the output 'y', which the model does not "
               "have; it has lstm0_c_out, lstm0_h_out, scores. "),
    "state": ({"states": (StatePair("y", "lstm0_h_out"),)},
              "edgernn.json names the input 'y', which"),
    "next state": ({"states": (StatePair("lstm0_h_in", "y"),)},
                   "edgernn.json names the output 'y', which"),
    "context": ({"context": {"memory": "y"}}, "edgernn.json names the input 'y', which"),
    "states": ({"states": ()}, "the model has the inputs lstm0_c_in, lstm0_h_in, x, of which "
               "edgernn.json explains only 1. "),
    "states and contexts": ({"states": (), "context": {"memory": "x"}}, "explains only 2. "),
}


@pytest.mark.parametrize("name", MISFITS)
def test_parts_that_do_not_fit_are_refused_by_what_differs(model_files, tmp_path, name):
    changes, said = MISFITS[name]
    with pytest.raises(ModelError, match=re.escape(said) + ".*edgernn quantize"):
        StepModel.open(rewritten(model_files["lstm"], tmp_path, **changes))


def test_a_state_pair_of_unequal_scale_is_refused(model_files):
    whole = bundle.read(model_files["lstm"])
    read = tflite.read(whole.flatbuffer)
    pair = whole.spec.states[1]
    tensors = tuple(dataclasses.replace(t, scales=(t.scales[0] * 1.04,))
                    if t.name == pair.output else t for t in read.tensors)
    before = read.tensor(pair.input)
    kind, scale = f"int16{list(before.shape)} scale ", before.scales[0]
    with pytest.raises(ModelError, match=re.escape(
            f"the state {pair.input!r} is {kind}{scale:.9g} zero point 0, but its next value "
            f"{pair.output!r} is {kind}{scale * 1.04:.9g} zero point 0; they must be equal")):
        step.check(whole.spec, dataclasses.replace(read, tensors=tensors))


def test_an_unknown_or_missing_backend_says_what_there_is(model_files):
    with pytest.raises(BackendError, match="choose one of"):
        StepModel.open(model_files["gru"], "gpu")


def test_the_codes_of_the_last_step_are_its_scores_and_a_copy(model):
    scores = model.graph.tensor(model.spec.output)
    model.reset()
    np.testing.assert_array_equal(model.codes, np.full(scores.shape, scores.qtype.zero_point))
    found = model.step(frames(1, model.width)[0]).copy()
    codes = model.codes
    assert codes.dtype == scores.dtype
    np.testing.assert_array_equal(dequantize(codes, scores.qtype)[0], found)
    codes[:] = 1
    np.testing.assert_array_equal(dequantize(model.codes, scores.qtype)[0], found)


def test_a_restored_stream_repeats_the_scores_it_was_saved_with(model):
    model.reset()
    expected = model.step(frames(1, model.width)[0]).copy()
    saved = model.state()
    assert model.spec.input not in saved
    model.reset()
    model.restore(saved)
    np.testing.assert_array_equal(model.hold(), expected)


def test_a_missing_state_is_named(model):
    saved = model.state()
    name = model.spec.states[-1].input
    del saved[name]
    with pytest.raises(ModelError, match=f"{name}.*is missing"):
        model.restore(saved)


def test_a_model_without_contexts_says_so(model):
    with pytest.raises(ModelError, match="no context 'memory'; it has none"):
        model.set_context("memory", np.zeros(3, np.int8))


@pytest.fixture(scope="module")
def read(model_files):
    """A model's description and its graph."""
    whole = bundle.read(model_files["lstm"])
    return whole.spec, tflite.read(whole.flatbuffer)


def changed(read, name, **changes):
    """The graph with one tensor changed."""
    return dataclasses.replace(read[1], tensors=tuple(
        dataclasses.replace(t, **changes) if t.name == name else t for t in read[1].tensors))


def test_a_state_of_a_model_from_elsewhere_may_be_written_in_another_scale_but_not_type(read):
    spec, graph = read
    name = spec.states[1].output
    scale = graph.tensor(name).scales[0]
    step.check(spec, changed(read, name, scales=(scale * 1.04,)), foreign=True)
    for changes in ({"dtype": "int32"}, {"shape": (1, 3)}, {"scales": (), "zero_points": ()}):
        with pytest.raises(ModelError, match="must be equal"):
            step.check(spec, changed(read, name, **changes), foreign=True)


@pytest.mark.parametrize("name", ["x", "scores"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_only_models_from_elsewhere_have_frames_and_scores_of_other_types(read, name, dtype):
    graph = changed(read, name, dtype=dtype)
    step.check(read[0], graph, foreign=True)
    with pytest.raises(ModelError, match="int8 or int16 of shape"):
        step.check(read[0], graph)
    with pytest.raises(ModelError, match="of shape"):
        step.check(read[0], changed(read, name, dtype="int64"), foreign=True)


@pytest.mark.parametrize("name", ["x", "scores"])
def test_only_models_from_elsewhere_have_frames_and_scores_of_other_dimensions(read, name):
    graph = changed(read, name, shape=(1, 1, *read[1].tensor(name).shape[1:]))
    step.check(read[0], graph, foreign=True)
    for shape, foreign in (((1, 1, *read[1].tensor(name).shape[1:]), False),
                           ((2, *read[1].tensor(name).shape[1:]), True)):
        with pytest.raises(ModelError, match=r"of shape \[1, n\]"):
            step.check(read[0], changed(read, name, shape=shape), foreign=foreign)


def test_an_input_that_nothing_explains_is_refused(read):
    spec = dataclasses.replace(read[0], states=read[0].states[1:])
    with pytest.raises(ModelError, match=f"explains only {len(spec.states) + 1}"):
        step.check(spec, read[1])


def test_a_state_of_another_scale_is_moved_at_every_step(read, model_files):
    spec, graph = read
    pair = spec.states[0]
    before, after = graph.tensor(pair.input).qtype, graph.tensor(pair.output).qtype
    written = dataclasses.replace(after, scale=after.scale * 1.3)
    plain = StepModel.open(model_files["lstm"], "emulator")
    moving = StepModel(spec, changed(read, pair.output, scales=(written.scale,)), plain.runtime)
    for frame in frames(20, plain.width):
        plain.restore(moving.state())
        np.testing.assert_array_equal(moving.step(frame), plain.step(frame))
        expected = plain.state()
        expected[pair.input] = quantize(dequantize(expected[pair.input], written), before)
        assert step._equal(moving.state(), expected)
    assert np.abs(moving.state()[pair.input]).max() > 100


@pytest.mark.parametrize("written", [QType("int8", 0.011, 5), QType("uint8", 0.012, 130),
                                     QType("int16", 1 / 30000)])
def test_a_state_written_in_another_scale_is_moved_to_the_nearest_code(written):
    read = QType(written.dtype, written.scale * 1.04, written.zero_point and 3)
    codes = np.arange(written.low, written.high + 1).astype(written.dtype)
    moved = step._mover(written, read)(codes)
    assert moved.dtype == codes.dtype
    np.testing.assert_array_equal(moved, quantize(dequantize(codes, written), read))


def test_the_score_of_every_code_is_in_the_table():
    for q in (QType("int8", 1 / 256, -128), QType("int16", 1 / 32768), QType("uint8", 1 / 256)):
        codes = np.arange(q.low, q.high + 1).astype(q.dtype)
        np.testing.assert_array_equal(step._score_table(q).take(codes, mode="wrap"),
                                      dequantize(codes, q))


def test_the_frames_that_prove_a_runtime_differ_and_fill_the_range(model):
    found = step._any_frames(model)
    x = model.graph.tensor("x")
    assert (found.shape, found.dtype) == ((3, model.width), x.dtype)
    assert len(np.unique(found, axis=0)) == 3
    wide = x.qtype.high - x.qtype.low
    assert found.min() < x.qtype.low + wide / 4
    assert found.max() > x.qtype.high - wide / 4


def test_frames_of_reals_that_prove_a_runtime_are_such_as_features_are(read):
    model = types.SimpleNamespace(graph=changed(read, "x", dtype="float32"), spec=read[0],
                                  width=10, _tokens=0)
    found = step._any_frames(model)
    assert (found.shape, found.dtype) == ((3, 10), np.float32)
    assert -2 <= found.min() < -1 < 1 < found.max() <= 2
    assert len(np.unique(found)) > 25


class Deaf(Forgetful):
    """A runtime that says nothing, whatever the frame."""

    def invoke(self, inputs):
        return [np.zeros_like(output) for output in self.runtime.invoke(inputs)]


def test_a_runtime_is_told_apart_by_what_it_does_wrong(model):
    for broken, said in ((Forgetful, "does not read it"), (Hoarder, "memory of its own"),
                         (Deaf, "does not read it")):
        faulty = StepModel(model.spec, model.graph, broken(model.runtime))
        with pytest.raises(BackendError, match=f"forgetful gave.*{said}"):
            step.prove_state_is_carried(faulty)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_states_of_any_short_integer_may_be_moved(read, dtype):
    before = dataclasses.replace(read[1].tensor(read[0].states[0].input), dtype=dtype)
    after = dataclasses.replace(before, scales=(before.scales[0] * 1.04,))
    assert step.movable(before, after)
    for changes in ({"dtype": "int32"}, {"scales": (1.0, 2.0)}, {"scales": ()}):
        assert not step.movable(dataclasses.replace(before, **changes),
                                dataclasses.replace(after, **changes))


def test_codes_in_an_array_of_a_subclass_are_codes(model):
    rows = model.encode(frames(6, model.width))
    model.reset()
    expected = run(model, rows)
    model.reset()
    np.testing.assert_array_equal(run(model, rows.view(np.recarray)), expected)


def test_reals_are_taken_as_they_are_or_refused():
    np.testing.assert_array_equal(step._finite(np.array([1.5, -2], np.float32)), [[1.5, -2]])
    assert step._finite(np.array([1.5, np.nan], np.float32)) is None


def test_reals_that_are_scores_are_copied():
    given, out = np.array([[0.25, 0.75]], np.float32), np.zeros((1, 2), np.float32)
    step._copied(given, None, out, "wrap")
    np.testing.assert_array_equal(out, given)
