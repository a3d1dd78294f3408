"""Ops on more than one row, against TensorFlow Lite Micro, in every byte."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn import tflite
from edgernn.emulator import Emulator
from edgernn.errors import ModelError
from edgernn.quant import QType
from edgernn.train.flatbuffer import GraphWriter
from tests.test_emulator import differing, scales_at_a_tie

dtypes = st.sampled_from(["int8", "int16"])
sizes = st.integers(1, 12)
seeds = st.integers(0, 2**32 - 1)


def kind(rng, dtype, low=1e-3, high=0.1):
    """A random type."""
    zero_point = int(rng.integers(-128, 128)) if dtype == "int8" else 0
    return QType(dtype, float(np.float32(rng.uniform(low, high))), zero_point)


def codes(rng, q, shape):
    return rng.integers(q.low, q.high + 1, shape).astype(q.dtype)


def tensor(writer, name, shape, q, data=None):
    return writer.tensor(name, shape, q.dtype, (q.scale,), q.zero_point, data)


def model(op, sources, y, constants=(), **options):
    """A graph of one op: inputs a, b... and the output y are (shape, type); then constants."""
    writer = GraphWriter("one op")
    ins = [tensor(writer, chr(97 + i), *source) for i, source in enumerate(sources)]
    out = tensor(writer, "y", *y)
    given = [writer.tensor(f"c{i}", data.shape, data.dtype.name, data=data)
             for i, data in enumerate(constants)]
    writer.op(op, ins + given, [out], **options)
    return writer.finish(ins, [out])


def product(rng, dtype, heads, m, k, n, adj_y):
    """A BATCH_MATMUL whose results fill their type, and its two inputs."""
    a, b = kind(rng, dtype), kind(rng, dtype)
    spread = a.scale * b.scale * a.high * b.high * np.sqrt(k)
    y = QType(dtype, float(np.float32(spread * rng.uniform(0.3, 2) / a.high)),
              int(rng.integers(-128, 128)) if dtype == "int8" else 0)
    shapes = [(1, *heads, m, k), (1, *heads, n, k) if adj_y else (1, *heads, k, n)]
    data = model("BATCH_MATMUL", [(shapes[0], a), (shapes[1], b)], ((1, *heads, m, n), y),
                 adj_y=adj_y)
    return data, codes(rng, a, shapes[0]), codes(rng, b, shapes[1])


@settings(max_examples=60, deadline=None)
@given(seeds, dtypes, st.sampled_from([(), (2,), (3,)]), sizes, st.integers(1, 90), sizes,
       st.booleans())
def test_two_computed_matrices_multiply_as_in_tflm(seed, dtype, heads, m, k, n, adj_y):
    assert differing(*product(np.random.default_rng(seed), dtype, heads, m, k, n, adj_y)) == 0


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_computed_matrices_whose_scales_float32_would_round_multiply_as_in_tflm(seed):
    rng = np.random.default_rng(seed)
    a, b, y = (QType("int16", scale) for scale in scales_at_a_tie(rng))
    shapes = (1, 1, 16), (1, 16, 64)
    data = model("BATCH_MATMUL", [(shapes[0], a), (shapes[1], b)], ((1, 1, 64), y), adj_y=False)
    assert differing(data, codes(rng, a, shapes[0]), codes(rng, b, shapes[1])) == 0


@pytest.mark.parametrize("adj_y", [False, True])
def test_every_pair_of_int8_multiplies_as_in_tflm(adj_y):
    a, b, y = QType("int8", 0.031, 5), QType("int8", 0.047, -19), QType("int8", 0.5, 11)
    column = np.arange(-128, 128).astype(np.int8)
    p, q = column.reshape(1, 256, 1), column.reshape((1, 256, 1) if adj_y else (1, 1, 256))
    data = model("BATCH_MATMUL", [(p.shape, a), (q.shape, b)], ((1, 256, 256), y), adj_y=adj_y)
    assert differing(data, p, q) == 0


@settings(max_examples=60, deadline=None)
@given(seeds, st.sampled_from(["int8", "int16", "int32"]), st.data())
def test_a_part_of_a_tensor_is_taken_as_in_tflm(seed, dtype, data):
    rng = np.random.default_rng(seed)
    shape = (1, *data.draw(st.lists(sizes, min_size=1, max_size=3), "shape"))
    begins, ends, steps = [0], [1], [1]
    for n in shape[1:]:
        begins.append(data.draw(st.integers(0, n - 1), "begin"))
        ends.append(data.draw(st.integers(begins[-1] + 1, n), "end"))
        steps.append(data.draw(st.integers(1, 3), "step"))
    made = tuple(len(range(*bounds)) for bounds in zip(begins, ends, steps, strict=True))
    q = QType(dtype, 0.1)
    flatbuffer = model("STRIDED_SLICE", [(shape, q)], (made, q),
                       [np.array(c, np.int32) for c in (begins, ends, steps)])
    assert differing(flatbuffer, codes(rng, q, shape)) == 0


@settings(max_examples=60, deadline=None)
@given(seeds, st.sampled_from(["int8", "int16", "int32"]), st.data())
def test_tensors_are_joined_as_in_tflm(seed, dtype, data):
    rng = np.random.default_rng(seed)
    shape = (1, *data.draw(st.lists(sizes, min_size=1, max_size=3), "shape"))
    axis = data.draw(st.integers(1, len(shape) - 1), "axis")
    lengths = data.draw(st.lists(sizes, min_size=1, max_size=4), "lengths")
    shapes = [(*shape[:axis], n, *shape[axis + 1:]) for n in lengths]
    q = QType(dtype, 0.1, 0 if dtype != "int8" else 7)
    flatbuffer = model("CONCATENATION", [(s, q) for s in shapes],
                       ((*shape[:axis], sum(lengths), *shape[axis + 1:]), q),
                       axis=axis - len(shape) * data.draw(st.booleans(), "from the end"))
    assert differing(flatbuffer, *(codes(rng, q, s) for s in shapes)) == 0


@settings(max_examples=60, deadline=None)
@given(seeds, dtypes, st.integers(1, 9), st.integers(1, 40), st.booleans())
def test_a_depthwise_window_equals_tflm(seed, dtype, kernel, channels, relu):
    rng = np.random.default_rng(seed)
    x, y = kind(rng, dtype), kind(rng, dtype, 0.01, 0.5)
    y = QType(y.dtype, y.scale * (0.01 if dtype == "int16" else 1), y.zero_point)
    shape = (1, kernel, 1, channels)
    scales = [float(np.float32(s)) for s in rng.uniform(1e-4, 1e-2, channels)]
    wide = np.int64 if dtype == "int16" else np.int32
    writer = GraphWriter("one op")
    a, out = tensor(writer, "a", shape, x), tensor(writer, "y", (1, 1, 1, channels), y)
    w = writer.tensor("w", shape, "int8", scales, 0,
                      rng.integers(-127, 128, shape).astype(np.int8), axis=3)
    bias = writer.tensor("bias", (channels,), np.dtype(wide).name, [s * x.scale for s in scales],
                         0, rng.integers(-20000, 20000, channels).astype(wide))
    writer.op("DEPTHWISE_CONV_2D", [a, w, bias], [out], activation="RELU" if relu else "NONE")
    assert differing(writer.finish([a], [out]), codes(rng, x, shape)) == 0


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
@settings(max_examples=30, deadline=None)
@given(seeds, dtypes, sizes, sizes, st.sampled_from([(1, 1, 0), (0, 1, 1), (0, 0, 1), (0, 1, 0)]),
       st.booleans())
def test_one_row_meets_every_row_as_in_tflm(op, seed, dtype, rows, units, one, swapped):
    rng = np.random.default_rng(seed)
    whole = (1, rows, units)
    small = tuple(1 if single else n for single, n in zip(one, whole, strict=True))
    a, b = kind(rng, dtype), kind(rng, dtype)
    largest = a.scale * b.scale * a.high if op == "MUL" else a.scale + b.scale
    y = QType(dtype, float(np.float32(largest * rng.uniform(0.5, 3))),
              int(rng.integers(-128, 128)) if dtype == "int8" else 0)
    given = [(small, a), (whole, b)] if swapped else [(whole, a), (small, b)]
    assert differing(model(op, given, (whole, y)),
                     *(codes(rng, q, shape) for shape, q in given)) == 0


@pytest.mark.parametrize("op", ["TANH", "LOGISTIC", "SOFTMAX"])
@settings(max_examples=20, deadline=None)
@given(seeds, dtypes, st.lists(sizes, min_size=2, max_size=3))
def test_rows_of_rows_go_through_a_nonlinearity_as_in_tflm(op, seed, dtype, shape):
    rng = np.random.default_rng(seed)
    x = kind(rng, dtype, 1e-4 if dtype == "int16" else 1e-3, 1e-3 if dtype == "int16" else 0.1)
    fixed = {"TANH": QType("int8", 1 / 128), "int16": QType("int16", 1 / 32768)}
    y = fixed["int16"] if dtype == "int16" else fixed.get(op, QType("int8", 1 / 256, -128))
    shape = (1, *shape)
    assert differing(model(op, [(shape, x)], (shape, y)), codes(rng, x, shape)) == 0


def test_a_narrow_type_is_made_anew_as_in_tflm():
    for x, y in ((QType("int8", 0.1, 9), QType("int8", 0.07, -30)),
                 (QType("int16", 0.001), QType("int8", 0.07, -30)),
                 (QType("int16", 0.001), QType("int16", 0.0007))):
        every = np.arange(x.low, x.high + 1).astype(x.dtype).reshape(1, 16, -1)
        assert differing(model("QUANTIZE", [(every.shape, x)], (every.shape, y)), every) == 0


def test_matrices_of_many_streams_equal_each_alone():
    rng = np.random.default_rng(0)
    data, _, _ = product(rng, "int8", (2,), 3, 8, 5, True)
    a, b = (rng.integers(-128, 128, (9, 2, n, 8)).astype(np.int8) for n in (3, 5))
    emulator = Emulator(tflite.read(data))
    together = emulator.run({"a": a, "b": b})["y"]
    for i, row in enumerate(together):
        np.testing.assert_array_equal(
            row, emulator.run({"a": a[i:i + 1], "b": b[i:i + 1]})["y"][0])


Q = QType("int8", 0.1)
SLICE = [np.array(c, np.int32) for c in ((0, 1, 0), (1, 3, 4), (1, 1, 1))]


@pytest.mark.parametrize(("op", "sources", "y", "constants", "options"), [
    ("BATCH_MATMUL", [(1, 2, 3), (1, 4, 5)], (1, 2, 5), [], {}),
    ("BATCH_MATMUL", [(1, 2, 3), (1, 3, 5)], (1, 2, 4), [], {}),
    ("BATCH_MATMUL", [(1, 2, 2, 3), (1, 3, 3, 5)], (1, 2, 2, 5), [], {}),
    ("BATCH_MATMUL", [(2, 3), (3, 5)], (2, 5), [], {}),
    ("CONCATENATION", [(1, 2, 3), (1, 2, 4)], (1, 4, 3), [], {"axis": 1}),
    ("CONCATENATION", [(1, 2, 3), (1, 2, 3)], (1, 5, 3), [], {"axis": 1}),
    ("CONCATENATION", [(1, 2, 3), (1, 2, 3)], (1, 4, 3), [], {"axis": 5}),
    ("CONCATENATION", [(1, 2)] * 11, (1, 22), [], {"axis": 1}),
    ("STRIDED_SLICE", [(1, 3, 4)], (1, 3, 4), SLICE, {}),
    ("STRIDED_SLICE", [(1, 2, 4)], (1, 2, 4), SLICE, {}),
    ("STRIDED_SLICE", [(1, 3, 4)], (1, 2, 4), [*SLICE[:2], np.array([1, 0, 1], np.int32)], {}),
    ("STRIDED_SLICE", [(1, 3, 4)], (1, 2, 4), [*SLICE[:2], np.array([1, 1], np.int32)], {}),
    ("ADD", [(1, 1, 1, 1, 2), (1, 1, 1, 1, 2)], (1, 1, 1, 1, 2), [], {}),
    ("SOFTMAX", [(1, 1, 1, 1, 2)], (1, 1, 1, 1, 2), [], {}),
])
def test_operands_that_do_not_fit_are_refused(op, sources, y, constants, options):
    data = model(op, [(shape, Q) for shape in sources], (y, Q), constants, **options)
    with pytest.raises(ModelError, match=op):
        tflite.read(data)


@pytest.mark.parametrize("damage", [
    {}, {"kernel": 4}, {"bias": 5}, {"scales": 2}, {"dtype": "int16"}, {"axis": 1}])
def test_a_depthwise_filter_that_does_not_fit_is_refused(damage):
    writer = GraphWriter("one op")
    a = writer.tensor("a", (1, 3, 1, 6), "int8", (0.1,))
    shape = (1, damage.get("kernel", 3), 1, 6)
    w = writer.tensor("w", shape, damage.get("dtype", "int8"),
                      [0.1] * damage.get("scales", 6), 0, np.zeros(shape),
                      axis=damage.get("axis", 3))
    n = damage.get("bias", 6)
    bias = writer.tensor("bias", (n,), "int32", [0.01] * n, 0, np.zeros(n))
    y = writer.tensor("y", (1, 1, 1, 6), "int8", (0.1,))
    writer.op("DEPTHWISE_CONV_2D", [a, w, bias], [y])
    data = writer.finish([a], [y])
    if not damage:
        tflite.read(data)
    else:
        with pytest.raises(ModelError):
            tflite.read(data)
