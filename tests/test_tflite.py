"""The reader of .tflite files: everything in, nothing damaged through."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn import bundle, tflite
from edgernn.errors import ModelError
from edgernn.train.architecture import Layer
from tests.models import model_bytes

FLATBUFFER = bundle.split(model_bytes(Layer("gru", 4), features=3))[0]


def test_tensors_and_ops_are_those_that_litert_sees():
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = litert.Interpreter(model_content=FLATBUFFER)
    interpreter.allocate_tensors()
    read = tflite.read(FLATBUFFER)
    for details in interpreter.get_input_details() + interpreter.get_output_details():
        tensor = read.tensor(details["name"])
        assert tensor.shape == tuple(details["shape"])
        assert np.dtype(tensor.dtype) == details["dtype"]
        assert (tensor.scales[0], tensor.zero_points[0]) == details["quantization"]
    # LiteRT appends its own delegate to the list of ops.
    seen = [op["op_name"] for op in interpreter._get_ops_details() if op["op_name"] != "DELEGATE"]
    assert seen == [op.name for op in read.ops]


def test_weights_are_read_as_written():
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(FLATBUFFER))
    read = tflite.read(FLATBUFFER)
    for ours, theirs in zip(read.tensors, model.subgraphs[0].tensors, strict=True):
        data = model.buffers[theirs.buffer].data
        if data is None:
            assert ours.data is None
        else:
            assert ours.data.tobytes() == bytes(data)


@pytest.mark.slow
def test_no_flipped_bit_raises_anything_but_a_model_error():
    for at in range(len(FLATBUFFER)):
        for bit in (0, 3, 7):
            damaged = bytearray(FLATBUFFER)
            damaged[at] ^= 1 << bit
            with contextlib.suppress(ModelError):
                tflite.read(bytes(damaged))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(FLATBUFFER) - 1))
def test_no_truncation_raises_anything_but_a_model_error(length):
    with pytest.raises(ModelError):
        tflite.read(FLATBUFFER[:length])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_but_a_model_error(data):
    with pytest.raises(ModelError):
        tflite.read(b"\x20\x00\x00\x00TFL3" + data)


def test_a_tensor_that_is_not_there_is_named():
    with pytest.raises(ModelError, match="'nothing'"):
        tflite.read(FLATBUFFER).tensor("nothing")


def test_a_graph_that_would_end_an_interpreter_is_refused():
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers = pytest.importorskip("flatbuffers")

    def refused(damage):
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(FLATBUFFER))
        main = model.subgraphs[0]
        codes = [code.builtinCode for code in model.operatorCodes]
        ops = {tflite.OPS[codes[op.opcodeIndex]]: op for op in main.operators}
        damage(ops, main.tensors)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        try:
            tflite.read(bytes(builder.Output()))
        except ModelError:
            return True
        return False

    def absent(ops, tensors):
        ops["ADD"].inputs = [-1, *ops["ADD"].inputs[1:]]

    def short(ops, tensors):
        tensors[ops["MUL"].outputs[0]].shape = [1, 1]

    def long(ops, tensors):
        tensors[ops["TANH"].inputs[0]].shape = [1, 4096]

    def empty(ops, tensors):
        tensors[ops["FULLY_CONNECTED"].inputs[0]].shape = [1, 0]

    def unscaled(ops, tensors):
        tensors[ops["LOGISTIC"].inputs[0]].quantization = None

    def idle(ops, tensors):
        ops["SUB"].inputs = []

    assert not refused(lambda ops, tensors: None)
    # Each of the first five ended LiteRT or TensorFlow Lite Micro with a signal.
    for damage in (absent, short, long, empty, unscaled, idle):
        assert refused(damage), damage.__name__
