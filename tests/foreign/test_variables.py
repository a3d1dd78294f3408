"""Variables in a graph, turned into states: beside interpreters that run them as they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn import bundle, interpreter, tflite
from edgernn.errors import BackendError, ModelError
from edgernn.foreign.variables import MOVERS, lift
from edgernn.step import StepModel
from edgernn.train.flatbuffer import GraphWriter
from tests.firmware.test_esphome import NETWORKS, PROFILES, frames, scores, source
from tests.firmware.test_esphome import interpreter as tflm
from tests.foreign.elsewhere import repacked

rewritten = pytest.importorskip("firmware_export.esphome.rewrite").rewritten
__all__ = ["source"]
Q = ("int8", (1 / 16,), 3)


def ours(path, rows, backend):
    """Codes of every step."""
    model = StepModel.open(path, backend)
    unit = 256
    return np.array([round(unit * float(model.step(row.reshape(-1))[0])) for row in rows])


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_step_is_that_of_the_variables_in_tflm(source, network, profile, tmp_path):
    model = rewritten(source(*NETWORKS[network], profile=profile, labels=3), "label1")
    want = scores(tflm(model), frames(60))
    path = tmp_path / "word.tflite"
    path.write_bytes(model)
    np.testing.assert_array_equal(ours(path, frames(60), "tflm"), want)
    assert len(np.unique(want)) > 5


def small(assign_first=False, begin=(1, 2, 3, 4), variables=("a",)):
    """y = x + variable, which becomes y; or is read again after that."""
    writer = GraphWriter("somebody's")
    handles = writer.variables([(name, (1, 4), *Q) for name in variables])
    x = writer.tensor("x", (1, 4), *Q)
    read = writer.tensor("read", (1, 4), *Q)
    y = writer.tensor("sum", (1, 4), *Q)
    writer.op("READ_VARIABLE", [handles[0]], [read])
    writer.op("ADD", [x, read], [y])
    writer.op("ASSIGN_VARIABLE", [handles[0], y], [])
    out = y
    if assign_first:
        again, out = writer.tensor("again", (1, 4), *Q), writer.tensor("twice", (1, 4), *Q)
        writer.op("READ_VARIABLE", [handles[0]], [again])
        writer.op("ADD", [again, read], [out])
    data = writer.finish([x], [out])

    def change(model):
        for tensor in model.subgraphs[1].tensors:
            if tensor.name.endswith(b"/begin"):
                model.buffers[tensor.buffer].data = np.array(begin, np.int8).view(np.uint8)
    return repacked(data, change)


def litert(data, rows):
    """What LiteRT makes of a model with variables, from its making on."""
    module = pytest.importorskip("ai_edge_litert.interpreter")
    found = module.Interpreter(model_content=data)
    found.allocate_tensors()
    x, y = found.get_input_details()[0]["index"], found.get_output_details()[0]["index"]
    made = []
    for row in rows:
        found.set_tensor(x, row)
        found.invoke()
        made.append(found.get_tensor(y))
    return np.array(made)


@pytest.mark.parametrize("backend", sorted({"litert", "tflm", "c", "emulator"}
                                           & {*interpreter.available(), "emulator"}))
@pytest.mark.parametrize("assign_first", [False, True])
def test_first_values_and_values_read_after_they_were_written(assign_first, backend, tmp_path):
    data = small(assign_first)
    rows = np.random.default_rng(0).integers(-5, 12, (20, 1, 4)).astype(np.int8)
    path = tmp_path / "m.tflite"
    path.write_bytes(data)
    if backend == "c" and not assign_first:
        # What it computes is also what it keeps, and the kernels keep a value in one place.
        with pytest.raises(BackendError, match="or the scores too"):
            StepModel.open(path, backend)
        return
    model = StepModel.open(path, backend)
    want = (litert(data, rows).reshape(20, 4).astype(int) - 3) / 16
    for _ in range(2):
        np.testing.assert_array_equal([model.step(row[0]).copy() for row in rows], want)
        model.reset()


def test_no_op_and_no_tensor_of_a_variable_is_left():
    lifted = lift(small(True))
    graph = tflite.read(lifted.flatbuffer)
    assert not {op.name for op in graph.ops} & set(MOVERS)
    np.testing.assert_array_equal(lifted.begins["read"], [[1, 2, 3, 4]])
    with pytest.raises(ModelError):
        tflite.read(lifted.flatbuffer, 1)


def test_a_model_without_variables_stays_as_it_is():
    data = lift(small()).flatbuffer
    assert lift(data).flatbuffer == data


def without(name, subgraph=0):
    """Take the ops of a kind out of a subgraph."""
    def change(model):
        code = {op: i for i, op in enumerate(c.builtinCode for c in model.operatorCodes)}
        number = {"CALL_ONCE": 129, "VAR_HANDLE": 142, "ASSIGN_VARIABLE": 144}[name]
        graph = model.subgraphs[subgraph]
        graph.operators = [op for op in graph.operators if op.opcodeIndex != code[number]]
    return change


def assigned_the_frame(model):
    graph = model.subgraphs[0]
    assign = graph.operators[-1]
    assign.inputs = [assign.inputs[0], graph.inputs[0]]


def begun_in_another_shape(model):
    for tensor in model.subgraphs[1].tensors:
        if tensor.name.endswith(b"/begin"):
            tensor.shape = [2, 2]


def remembered_by_an_op(model):
    model.subgraphs[0].tensors[model.subgraphs[0].operators[-1].inputs[1]].isVariable = True


def in_a_body(model):
    model.subgraphs.append(model.subgraphs[1])


@pytest.mark.parametrize(("change", "found"), [
    (remembered_by_an_op, "'sum', which ASSIGN_VARIABLE uses, is a memory within"),
    (in_a_body, "subgraph 2 of the model, a loop's or a branch's body"),
    (without("CALL_ONCE"), "subgraph 1 of the model, a loop's"),
    (without("ASSIGN_VARIABLE", 1), "'a' has no first value"),
    (without("ASSIGN_VARIABLE"), "'a' is never written"),
    (without("VAR_HANDLE"), "before it is made"),
    (assigned_the_frame, "'a' is set to 'x', which is not computed"),
    (begun_in_another_shape, r"begins as int8\[2, 2\]")])
def test_a_variable_that_is_no_state_is_refused_by_name(change, found):
    with pytest.raises(ModelError, match=found):
        lift(repacked(small(), change))


DATA = small(True)


@settings(max_examples=1000, deadline=None)
@given(st.integers(0, len(DATA) - 1), st.integers(0, 7))
def test_no_flipped_bit_raises_anything_but_a_model_error(at, bit):
    damaged = bytearray(DATA)
    damaged[at] ^= 1 << bit
    try:
        lift(bytes(damaged))
    except ModelError:
        return


def test_the_exported_wake_word_of_ours_comes_back(source, tmp_path):
    from firmware_export.esphome import esphome_project

    made = source(labels=2, task="spot", profile="int8")
    for name, text in esphome_project(made, "kws", ["tests"], "label1", arena_bytes=30000).items():
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    found = bundle.read(tmp_path / "kws.json")
    assert found.spec.labels == ("label1",)
    assert found.spec.frontend.stride == 1
    want = scores(tflm((tmp_path / "kws.tflite").read_bytes()), frames(60))
    np.testing.assert_array_equal(ours(tmp_path / "kws.json", frames(60), "tflm"), want)
