"""The writer of .tflite files, read back by the schema's own bindings."""

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.train import flatbuffer
from edgernn.train.flatbuffer import GraphWriter


def dense(units, inputs, wide):
    """A graph of one int16 matmul whose weights have any number of bytes."""
    writer = GraphWriter("dense")
    x = writer.tensor("x", (1, inputs), "int16", (0.01,))
    weights = writer.tensor("w", (units, inputs), "int8", (0.02,),
                            data=np.arange(units * inputs).reshape(units, inputs) % 100)
    bias = writer.tensor("b", (units,), wide, (0.0002,), data=np.arange(units))
    y = writer.tensor("y", (1, units), "int16", (0.03,))
    writer.op("FULLY_CONNECTED", [x, weights, bias], [y], activation="RELU")
    return writer.finish([x], [y])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from(["int32", "int64"]))
def test_constants_lie_at_multiples_of_16_bytes(units, inputs, wide):
    data = dense(units, inputs, wide)
    whole = np.frombuffer(data, np.uint8)
    model = schema.Model.GetRootAs(data)
    found = [model.Buffers(i).DataAsNumpy() for i in range(model.BuffersLength())
             if model.Buffers(i).DataLength()]
    assert len(found) == 2
    assert [(b.ctypes.data - whole.ctypes.data) % 16 for b in found] == [0, 0]


def test_equal_calls_give_equal_bytes():
    assert dense(5, 7, "int64") == dense(5, 7, "int64")


def test_old_readers_find_the_op_and_new_ones_its_options():
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(dense(3, 4, "int64")))
    code = model.operatorCodes[0]
    assert code.deprecatedBuiltinCode == code.builtinCode == schema.BuiltinOperator.FULLY_CONNECTED
    options = model.subgraphs[0].operators[0].builtinOptions
    assert options.fusedActivationFunction == schema.ActivationFunctionType.RELU
    names = model.signatureDefs[0]
    assert [m.name for m in names.inputs] + [m.name for m in names.outputs] == [b"x", b"y"]


def several(rows, columns):
    """Matmuls one after the other, some of whose scales, shapes and names are the same."""
    writer = GraphWriter("several")
    x = first = writer.tensor("x", (1, columns), "int16", (0.01,))
    for i in range(4):
        scales = [0.02 + 0.01 * (i // 2) + row / 4096 for row in range(rows)]
        weights = writer.tensor("w", (rows, columns), "int8", scales,
                                data=np.full((rows, columns), i // 2))
        bias = writer.tensor("b", (rows,), "int64", scales, data=np.arange(rows))
        y = writer.tensor("y", (1, rows), "int16", (0.03,))
        writer.op("FULLY_CONNECTED", [x, weights, bias], [y])
        x, columns = y, rows
    return writer.finish([first], [x])


def plain(value):
    """All that a model of the bindings holds, as lists and dicts."""
    if isinstance(value, (list, np.ndarray)):
        return [plain(one) for one in value]
    return {name: plain(one) for name, one in vars(value).items()} if hasattr(
        value, "__dict__") else value


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20))
def test_sharing_equal_vectors_changes_the_size_and_nothing_that_is_read(rows, columns):
    shared = several(rows, columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flatbuffer, "Builder", lambda: flatbuffers.Builder(1 << 16))
        apart = several(rows, columns)
    assert len(shared) < len(apart)
    assert plain(schema.ModelT.InitFromObj(schema.Model.GetRootAs(shared))) == plain(
        schema.ModelT.InitFromObj(schema.Model.GetRootAs(apart)))
