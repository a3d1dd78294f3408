"""The backend `c`: every compiled module, and what happens where there is none."""

import dataclasses
import shutil
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn import bundle, detect, interpreter, tflite
from edgernn.detect import DetectorConstants, native_detectors
from edgernn.errors import BackendError
from edgernn.frontend.compact import LogMelConstants
from edgernn.frontend.logmel import LogMel, native_logmel
from edgernn.native import NativeRuntime, kernels
from edgernn.spec import DetectorSpec, LogMelSpec
from edgernn.step import StepModel
from tests import networks

needs_c = pytest.mark.skipif("c" not in interpreter.available(),
                             reason="edgernn was installed without a compiler")
NAMES = [f"{name}{profile}" for name in (*networks.CELLS, *networks.STACKS)
         for profile in ("", "-int8", "-int16x8")]


def read(path):
    whole = bundle.read(path)
    return whole, tflite.read(whole.flatbuffer)


def frames(graph, steps):
    x = graph.tensor("x")
    return np.random.default_rng(0).integers(x.qtype.low, x.qtype.high + 1,
                                             (steps, x.shape[1])).astype(x.dtype)


def test_where_there_is_a_compiler_there_is_a_backend_c():
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if not header.exists() or not (shutil.which("gcc") or shutil.which("cc")):
        pytest.skip("no compiler, or no headers of this Python")
    assert "c" in interpreter.available(), "run: python setup.py build_ext --inplace"


@needs_c
@pytest.mark.parametrize("name", NAMES)
def test_every_compiled_module_gives_the_bytes_of_the_emulator(model_files, name):
    whole, graph = read(model_files[name])
    rows = frames(graph, 60)
    oracle = StepModel.load(whole, "emulator")
    expected = [(oracle.step(row).copy(), oracle.state()) for row in rows]
    for module in kernels.compiled().values():
        model = StepModel(whole.spec, graph, NativeRuntime(graph, whole.spec, module))
        for row, (scores, state) in zip(rows, expected, strict=True):
            np.testing.assert_array_equal(model.step(row), scores)
            found = model.state()
            assert all(np.array_equal(found[key], state[key]) for key in state), module


@needs_c
def test_what_a_step_gave_stays_when_the_next_one_is_made(model_files):
    model = StepModel.open(model_files["gru"], "c")
    rows = frames(model.graph, 2)
    model.step(rows[0])
    codes, state = model.codes, model.state()
    kept = codes.copy(), {key: value.copy() for key, value in state.items()}
    model.step(rows[1])
    np.testing.assert_array_equal(codes, kept[0])
    assert all(np.array_equal(state[key], kept[1][key]) for key in state)


@needs_c
def test_a_fork_outlives_the_model_it_came_from(model_files):
    model = StepModel.open(model_files["gru"], "c")
    row = frames(model.graph, 1)[0]
    expected = model.step(row).copy()
    fork = model.fork()
    del model
    np.testing.assert_array_equal(fork.step(row), expected)


def without_kernel(graph):
    """The graph with a first op that nobody has heard of."""
    return dataclasses.replace(graph, ops=(dataclasses.replace(graph.ops[0], name="FFT"),
                                           *graph.ops[1:]))


@needs_c
def test_a_model_with_an_op_without_a_kernel_is_refused_by_its_name(model_files):
    whole, graph = read(model_files["gru"])
    with pytest.raises(BackendError, match="the op FFT"):
        interpreter.open_runtime("c", whole.flatbuffer, without_kernel(graph), whole.spec)


@needs_c
def test_such_a_model_goes_to_the_next_backend_by_itself(model_files):
    others = [name for name in interpreter.available() if name != "c"]
    if not others:
        pytest.skip("no other interpreter is installed")
    whole, graph = read(model_files["gru"])
    assert interpreter.open_runtime("auto", whole.flatbuffer, graph, whole.spec).name == "c"
    runtime = interpreter.open_runtime("auto", whole.flatbuffer, without_kernel(graph), whole.spec)
    assert runtime.name == others[0]


def test_without_a_compiled_module_the_others_go_on(model_files, monkeypatch):
    monkeypatch.setitem(sys.modules, kernels.BASE, None)
    kernels.best.cache_clear()
    kernels.compiled.cache_clear()
    try:
        assert "c" not in interpreter.available()
        with pytest.raises(BackendError, match="where there is a C compiler"):
            StepModel.open(model_files["gru"], "c")
        if interpreter.available():
            assert StepModel.open(model_files["gru"]).runtime.name != "c"
    finally:
        kernels.best.cache_clear()
        kernels.compiled.cache_clear()


@needs_c
def test_programs_look_at_the_memory_they_are_given():
    module = kernels.best()
    copy = {"runs": 1, "length": 4, "x_begin": 0, "x_step": 4, "y_begin": 0, "y_step": 4}
    good = ("copy_s8", copy, ((0, 0, 4, 0), (1, 0, 4, 0)), (), True)
    program = module.Program((4, 4, 4), (good,))
    for wrong, problem in (
            (("copy_s8", copy, ((0, 0, 4, 0), (3, 0, 4, 0)), (), True), ValueError),
            (("copy_s8", copy, ((0, 0, 5, 0), (1, 0, 4, 0)), (), True), ValueError),
            (("copy_s8", {}, ((0, 0, 4, 0), (1, 0, 4, 0)), (), True), KeyError),
            (("copy_s8", copy | {"runs": 2**40}, ((0, 0, 4, 0), (1, 0, 4, 0)), (), True),
             OverflowError),
            (("copy", copy, ((0, 0, 4, 0), (1, 0, 4, 0)), (), True), ValueError),
            (("copy_s8", copy, ((0, 0, 4, 0),), (), True), ValueError)):
        with pytest.raises(problem):
            module.Program((4, 4, 4), (wrong,))
    arrays = [np.zeros(4, np.int8) for _ in range(3)]
    scores = np.zeros(4, np.float32)
    with pytest.raises(ValueError, match="bytes"):
        module.Streams(program, 2, 1, arrays, scores, None, 0, 1.0, 0)
    streams = module.Streams(program, 1, 1, arrays, scores, None, 0, 1.0, 0)
    assert streams.step(np.array([1, 2, 3, 4], np.int8))
    assert arrays[1].tolist() == [1, 2, 3, 4]
    assert not streams.step(np.array([1, 2, 3, 4], np.uint8))
    assert not streams.step([1, 2, 3, 4])
    with pytest.raises(ValueError, match="held"):
        streams.step(arrays[0], np.zeros(2, bool))


@needs_c
def test_every_compiled_frontend_hears_many_streams_as_each_alone():
    spec, rng = LogMelSpec(), np.random.default_rng(0)
    sound = rng.integers(-20000, 20000, (3, 16000)).astype(np.int16)
    alone = [LogMel(spec).whole(row) for row in sound]
    for module in kernels.compiled().values():
        together, rows = native_logmel(spec, 3, module), [[], [], []]
        codes, counts = np.empty((3, 3, spec.mels), np.int16), np.empty(3, np.int32)
        heard = np.zeros(3, int)
        while (heard + 700 <= 16000).all():
            held = rng.random(3) < 0.3
            pieces = np.stack([row[at:at + 700] for row, at in zip(sound, heard, strict=True)])
            together.push_all(pieces, codes, counts, held)
            heard += 700 * ~held
            assert not counts[held].any()
            for got, new, count in zip(rows, codes, counts, strict=True):
                got.extend(new[:count].copy())
        for got, want in zip(rows, alone, strict=True):
            np.testing.assert_array_equal(np.array(got), want[:len(got)])
        assert min(map(len, rows)) > 10


@needs_c
@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.tuples(st.integers(1, 9), st.integers(1, 9)),
       st.tuples(st.integers(0, 12), st.integers(0, 12)), st.floats(0.01, 1), st.floats(0, 0.5))
def test_the_compiled_detectors_fire_as_the_one_in_numpy(seed, n, pause, threshold, hysteresis):
    rng, labels = np.random.default_rng(seed), ("_", "a", "b")
    spec = DetectorSpec({"a": threshold, "b": 1.0}, {"a": 10 * n[0], "b": 10 * n[1]}, hysteresis,
                        {"a": 10 * pause[0], "b": 10 * pause[1]})
    constants = DetectorConstants.of(spec, labels, 10)
    scores = (rng.integers(0, 257, (60, 2, 3)) / 256).astype(np.float32)
    apart = [detect._Numpy(constants), detect._Numpy(constants)]
    want = [[one.push(row) for one, row in zip(apart, rows, strict=True)] for rows in scores]
    for module in kernels.compiled().values():
        together, places = native_detectors(constants, 3, 2, module), np.empty(2, np.int32)
        for rows, expected in zip(scores, want, strict=True):
            assert together.push_all(rows, places, None) == sum(place >= 0 for place in expected)
            assert places.tolist() == expected
        assert [together.sum(i, s) for s in (0, 1) for i in (0, 1)] == [
            one.sum(i) for one in apart for i in (0, 1)]


@needs_c
@pytest.mark.parametrize(("change", "what"), [
    ({"length": 5000}, "numbers"), ({"streams": 0}, "numbers"), ({"first_bin": 250}, "leave"),
    ({"window": np.zeros(3, np.int16)}, "window"), ({"bins": np.zeros(41, np.int16)}, "bins")])
def test_tables_of_the_wrong_size_never_reach_the_kernels(change, what):
    constants = LogMelConstants.of(LogMelSpec())
    with pytest.raises(ValueError, match=what):
        kernels.best().LogMel(**({"streams": 1} | constants.numbers | constants.arrays | change))


@needs_c
def test_arrays_of_the_wrong_size_or_type_are_refused():
    frontend = native_logmel(LogMelSpec(), 2)
    sound, rows = np.zeros(960, np.int16), np.zeros((4, 40), np.int16)
    for samples, room, stream, problem in (
            (sound, rows[:1], 0, ValueError), (sound.astype(np.float32), rows, 0, ValueError),
            (sound, rows.astype(np.int32), 0, ValueError), (sound, rows, 2, IndexError),
            (sound, rows, -1, IndexError), (sound[::2], rows, 0, (ValueError, BufferError))):
        with pytest.raises(problem):
            frontend.push(samples, room, stream)
    assert frontend.push(sound, rows, 0) == 2
