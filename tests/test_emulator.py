"""Op by op against TensorFlow Lite Micro: every byte of every input where inputs are few."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn import graph, tflite
from edgernn.emulator import Emulator
from edgernn.emulator.fixed import Multiplier
from edgernn.errors import ModelError
from edgernn.quant import QType
from edgernn.train.flatbuffer import GraphWriter

tflm = pytest.importorskip("tflite_micro.python.tflite_micro.runtime",
                           reason="tflite-micro has wheels for x86-64 alone")

INT8, INT16 = np.arange(-128, 128), np.arange(-32768, 32768)
SCALES_16 = (2.0**-12, 2.0**-11, 2.0**-13, 8 / 32767, 4 / 32767, 1e-3, 3e-5, 0.05,
             2.0**-12 * (1 + 2**-11), 2.0**-12 * (1 - 2**-11), 2.0**-12 * (1 + 2**-10),
             2.0**-11 * (1 + 2**-11))
SCALES_8 = (1 / 16, 1 / 32, 0.047, 0.11, 0.004)

scale = st.floats(1e-4, 0.5).map(lambda s: float(np.float32(s)))
zero = st.integers(-128, 127)


def q8(draw_scale, zero_point=0):
    return QType("int8", draw_scale, zero_point)


def q16(draw_scale):
    return QType("int16", draw_scale)


def model(op, sources, target, units, target_units=None, constants=(), **options):
    """A graph of one op, its inputs a, b... and its output y."""
    writer = GraphWriter("one op")
    ins = [writer.tensor(chr(97 + i), (1, n), q.dtype, (q.scale,), q.zero_point)
           for i, (q, n) in enumerate(zip(sources, units, strict=True))]
    out = writer.tensor("y", (1, target_units or max(units)), target.dtype, (target.scale,),
                        target.zero_point)
    extra = [writer.tensor(name, data.shape, data.dtype.name, scales, 0, data)
             for name, data, scales in constants]
    writer.op(op, ins + extra, [out], **options)
    return writer.finish(ins, [out])


def differing(data, *inputs):
    """How many codes of y differ between the emulator and TFLM."""
    interpreter = tflm.Interpreter.from_bytes(data, arena_size=3_000_000)
    for i, value in enumerate(inputs):
        interpreter.set_input(value, i)
    interpreter.invoke()
    named = {chr(97 + i): value for i, value in enumerate(inputs)}
    found = Emulator(tflite.read(data)).run(named)["y"]
    expected = interpreter.get_output(0)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    return int(np.count_nonzero(found != expected))


@pytest.mark.parametrize("op", ["LOGISTIC", "TANH"])
@pytest.mark.parametrize("zero_point", [0, -128, 37])
@pytest.mark.parametrize("s", SCALES_8)
def test_every_int8_through_a_nonlinearity_equals_tflm(op, s, zero_point):
    target = QType("int8", 1 / 256, -128) if op == "LOGISTIC" else QType("int8", 1 / 128)
    assert differing(model(op, [q8(s, zero_point)], target, [256]),
                     INT8.astype(np.int8)[None]) == 0


@pytest.mark.parametrize("op", ["LOGISTIC", "TANH"])
@pytest.mark.parametrize("s", SCALES_16)
def test_every_int16_through_a_nonlinearity_equals_tflm(op, s):
    data = model(op, [q16(s)], q16(1 / 32768), [65536])
    assert differing(data, INT16.astype(np.int16)[None]) == 0


@pytest.mark.parametrize("s", SCALES_16)
@pytest.mark.parametrize("out", [0.003, 0.0017, 1e-4])
def test_every_int16_through_rsqrt_equals_tflm(s, out):
    data = model("RSQRT", [q16(s)], q16(out), [32768])
    assert differing(data, INT16[32768:].astype(np.int16)[None]) == 0


@pytest.mark.parametrize("s", SCALES_16)
@pytest.mark.parametrize("ratio", [256, 100.0, 300.7])
def test_every_int16_narrowed_to_int8_equals_tflm(s, ratio):
    data = model("QUANTIZE", [q16(s)], q8(s * ratio), [65536])
    assert differing(data, INT16.astype(np.int16)[None]) == 0


@pytest.mark.parametrize("ratio", [1.0, 0.7, 3.3])
def test_every_int8_requantized_equals_tflm(ratio):
    data = model("QUANTIZE", [q8(0.05, 3)], q8(0.05 * ratio, -20), [256])
    assert differing(data, INT8.astype(np.int8)[None]) == 0


def test_every_int8_cast_to_int16_equals_tflm():
    data = model("CAST", [q8(0.05)], q16(0.05), [256])
    assert differing(data, INT8.astype(np.int8)[None]) == 0


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
@settings(max_examples=15, deadline=None)
@given(scale, scale, scale, zero, zero, zero)
def test_every_pair_of_int8_equals_tflm(op, sa, sb, sy, za, zb, zy):
    a, b = (m.ravel()[None].astype(np.int8) for m in np.meshgrid(INT8, INT8))
    data = model(op, [q8(sa, za), q8(sb, zb)], q8(sy, zy), [65536, 65536])
    assert differing(data, a, b) == 0


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), *[st.floats(1e-5, 1e-2)] * 2, st.floats(0, 5))
def test_random_pairs_of_int16_equal_tflm(op, seed, sa, sb, power):
    # A product is only ever scaled down: to scale up, its 32 bits would overflow.
    sy = (sa * sb if op == "MUL" else max(sa, sb) / 100) * 2 * 10**power
    a, b = np.random.default_rng(seed).integers(-32768, 32768, (2, 1, 4096)).astype(np.int16)
    data = model(op, [q16(sa), q16(sb)], q16(sy), [4096, 4096])
    assert differing(data, a, b) == 0


@settings(max_examples=10, deadline=None)
@given(scale, scale, scale, zero, zero, zero)
def test_a_sum_cut_at_zero_equals_tflm_in_int8(sa, sb, sy, za, zb, zy):
    a, b = (m.ravel()[None].astype(np.int8) for m in np.meshgrid(INT8, INT8))
    data = model("ADD", [q8(sa, za), q8(sb, zb)], q8(sy, zy), [65536, 65536], activation="RELU")
    assert differing(data, a, b) == 0


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), *[st.floats(1e-5, 1e-2)] * 2, st.integers(-14, 0))
def test_a_sum_cut_at_zero_equals_tflm_in_int16(seed, sa, sb, power):
    a, b = np.random.default_rng(seed).integers(-32768, 32768, (2, 1, 4096)).astype(np.int16)
    data = model("ADD", [q16(sa), q16(sb)], q16(2.0**power), [4096, 4096], activation="RELU")
    assert differing(data, a, b) == 0


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
def test_one_value_against_many_equals_tflm(op):
    a = np.random.default_rng(0).integers(-32768, 32768, (1, 500)).astype(np.int16)
    data = model(op, [q16(1e-4), q16(3e-4)], q16(5e-4), [500, 1])
    assert differing(data, a, np.array([[12345]], np.int16)) == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["int8", "int16"]), st.booleans(),
       st.booleans(), st.integers(1, 90), st.integers(1, 40))
def test_a_matmul_equals_tflm(seed, dtype, per_channel, relu, inputs, outputs):
    rng = np.random.default_rng(seed)
    x = QType(dtype, float(rng.uniform(0.001, 0.1)), int(rng.integers(-128, 128))
              if dtype == "int8" else 0)
    weights = rng.integers(-127, 128, (outputs, inputs)).astype(np.int8)
    scales = tuple(float(s) for s in rng.uniform(1e-4, 1e-2, outputs if per_channel else 1))
    wide = np.int64 if dtype == "int16" else np.int32
    bias = rng.integers(-20000, 20000, outputs).astype(wide)
    # From a target that saturates often to one that hardly moves.
    target = QType(dtype, float(rng.uniform(0.001, 1)) * (0.01 if dtype == "int16" else 1),
                   int(rng.integers(-128, 128)) if dtype == "int8" else 0)
    codes = rng.integers(x.low, x.high + 1, (1, inputs)).astype(dtype)
    bias_scales = tuple(s * x.scale for s in scales)
    data = model("FULLY_CONNECTED", [x], target, [inputs], outputs,
                 [("w", weights, scales), ("bias", bias, bias_scales)],
                 activation="RELU" if relu else "NONE")
    assert differing(data, codes) == 0


def scales_at_a_tie(rng):
    """Scales x, w and y of int16: x * w / y has other 15 bits if x * w is rounded to float32."""
    while True:
        x, w, y = (float(np.float32(s)) for s in rng.uniform(1e-5, 1e-3, 3))
        y = float(np.float32(x * w * 1e7 * y))
        exact, rounded = (Multiplier.of(product / y).m
                          for product in (x * w, float(np.float32(x) * np.float32(w))))
        if (exact + 2**15) >> 16 != (rounded + 2**15) >> 16:
            return x, w, y


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_matmul_whose_scales_float32_would_round_equals_tflm(seed):
    rng = np.random.default_rng(seed)
    x, w, y = scales_at_a_tie(rng)
    bias = np.rint(rng.uniform(-32000, 32000, 64) * y / (x * w)).astype(np.int64)
    data = model("FULLY_CONNECTED", [q16(x)], q16(y), [16], 64,
                 [("w", rng.integers(-127, 128, (64, 16)).astype(np.int8), (w,)),
                  ("bias", bias, (float(np.float32(x * w)),))])
    assert differing(data, rng.integers(-32768, 32768, (1, 16)).astype(np.int16)) == 0


def test_a_sum_beyond_32_bits_wraps_as_in_tflm():
    # Scaled, the first two lie between 2**31 and 2**32: their sign changes.
    bias = np.array([9 * 10**10, -9 * 10**10, 2**37 + 12345, 7], np.int64)
    data = model("FULLY_CONNECTED", [q16(0.01)], q16(0.003), [3], 4,
                 [("w", np.ones((4, 3), np.int8), (0.01,)), ("bias", bias, (0.0001,))])
    assert differing(data, np.array([[30000, -5, 77]], np.int16)) == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["int8", "int16"]), st.integers(1, 60),
       st.floats(1e-4, 0.3), st.floats(0, 1))
def test_softmax_equals_tflm(seed, dtype, units, s, spread):
    info = np.iinfo(dtype)
    x = np.random.default_rng(seed).uniform(-1, 1, (1, units)) * info.max * spread
    target = QType("int8", 1 / 256, -128) if dtype == "int8" else q16(1 / 32768)
    data = model("SOFTMAX", [QType(dtype, s)], target, [units], beta=1.0)
    assert differing(data, x.astype(dtype)) == 0


def test_streams_in_one_batch_equal_each_alone():
    weights = np.random.default_rng(0).integers(-127, 128, (5, 7)).astype(np.int8)
    data = model("FULLY_CONNECTED", [q8(0.05)], q8(0.1), [7], 5,
                 [("w", weights, (0.01,)), ("bias", np.zeros(5, np.int32), (0.0005,))])
    emulator = Emulator(tflite.read(data))
    batch = np.random.default_rng(1).integers(-128, 128, (9, 7)).astype(np.int8)
    together = emulator.run({"a": batch})["y"]
    for row, codes in zip(together, batch, strict=True):
        np.testing.assert_array_equal(row, emulator.run({"a": codes[None]})["y"][0])


def test_an_unknown_op_is_named():
    data = bytearray(model("TANH", [q8(0.05)], q8(1 / 128), [4]))
    read = tflite.read(bytes(data))
    strange = graph.Op("HARD_SWISH", 1, read.ops[0].inputs, read.ops[0].outputs, {})
    with pytest.raises(ModelError, match="HARD_SWISH"):
        Emulator(graph.Graph(read.tensors, (strange,), read.inputs, read.outputs))


@pytest.mark.parametrize("ids", [[0, 255, 7], [3]])
def test_every_row_of_a_table_is_looked_up_as_tflm_does(ids):
    table = np.arange(256 * 5).reshape(256, 5).astype(np.int8)
    writer = GraphWriter("a table")
    a = writer.tensor("a", (1, len(ids)), "int32", (1.0,))
    rows = writer.tensor("rows", table.shape, "int8", (0.1,), 0, table)
    apart = writer.tensor("apart", (1, len(ids), 5), "int8", (0.1,))
    shape = writer.tensor("shape", (2,), "int32", data=np.array([1, 5 * len(ids)]))
    y = writer.tensor("y", (1, 5 * len(ids)), "int8", (0.1,))
    writer.op("GATHER", [rows, a], [apart])
    writer.op("RESHAPE", [apart, shape], [y])
    assert differing(writer.finish([a], [y]), np.array([ids], np.int32)) == 0


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@pytest.mark.parametrize("activation", ["NONE", "RELU"])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_depthwise_convolution_of_one_column_equals_tflm(dtype, activation, data):
    rows, channels = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 12))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    info = np.iinfo(dtype)
    zero_in, zero_out = (data.draw(zero), data.draw(zero)) if dtype == "int8" else (0, 0)
    scales = tuple(float(np.float32(s)) for s in rng.uniform(1e-3, 0.1, channels))
    x_scale, y_scale = data.draw(scale), data.draw(scale)
    writer = GraphWriter("one op")
    a = writer.tensor("a", (1, rows, 1, channels), dtype, (x_scale,), zero_in)
    weights = writer.tensor("w", (1, rows, 1, channels), "int8", scales, 0,
                            rng.integers(-127, 128, (1, rows, 1, channels)), axis=3)
    wide = "int32" if dtype == "int8" else "int64"
    bias = writer.tensor("b", (channels,), wide, tuple(s * x_scale for s in scales), 0,
                         rng.integers(-9999, 9999, channels))
    y = writer.tensor("y", (1, 1, 1, channels), dtype, (y_scale,), zero_out)
    writer.op("DEPTHWISE_CONV_2D", [a, weights, bias], [y], activation=activation)
    codes = rng.integers(info.min, info.max + 1, (1, rows, 1, channels)).astype(dtype)
    assert differing(writer.finish([a], [y]), codes) == 0


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@pytest.mark.parametrize("inner", [(5,), (1, 5)])
def test_a_ring_is_pushed_as_tflm_pushes_it(dtype, inner):
    writer = GraphWriter("a ring")
    q = ((0.1,), 3 if dtype == "int8" else 0)
    a = writer.tensor("a", (1, 3, *inner), dtype, *q)
    b = writer.tensor("b", (1, 1, *inner), dtype, *q)
    window = writer.tensor("window", (1, 4, *inner), dtype, *q)
    y = writer.tensor("y", (1, 3, *inner), dtype, *q)
    rank = 2 + len(inner)
    bounds = [writer.tensor(name, (rank,), "int32", data=np.array(value)) for name, value in (
        ("begin", [0, 1, *[0] * len(inner)]), ("end", [1, 4, *inner]), ("by", [1] * rank))]
    writer.op("CONCATENATION", [a, b], [window])
    writer.op("STRIDED_SLICE", [window, *bounds], [y])
    rng = np.random.default_rng(0)
    ring, row = (rng.integers(-128, 128, (1, n, *inner)).astype(dtype) for n in (3, 1))
    data = writer.finish([a, b], [y])
    assert differing(data, ring, row) == 0
    found = Emulator(tflite.read(data)).run({"a": ring, "b": row})["y"]
    np.testing.assert_array_equal(found, np.concatenate([ring[:, 1:], row], axis=1))
