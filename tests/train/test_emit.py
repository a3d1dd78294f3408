"""The written step, in the emulator and in TensorFlow Lite Micro."""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from edgernn import bundle, tflite
from edgernn.errors import BackendError
from edgernn.spec import LogMelSpec, ModelSpec
from edgernn.step import StepModel
from edgernn.train.architecture import Layer
from edgernn.train.calibrate import calibrate
from edgernn.train.committee import Committee
from edgernn.train.emit import _needed, _scheduled, emit
from edgernn.train.emulated import EmulatedModel
from edgernn.train.network import Network
from edgernn.train.profile import PROFILES, TANH, get_profile
from edgernn.train.reference import FloatModel
from edgernn.train.stepper import drive
from tests import networks, oracle

SHAPES = {
    **{name: (layer,) for name, layer in networks.CELLS.items()},
    "dense, gru, gru": (Layer("dense", 12, "relu"), Layer("gru", 12), Layer("gru", 8)),
    "lstm, dense": (Layer("lstm", 12), Layer("dense", 8, "tanh")),
    "dense, layer norm, gru": (Layer("dense", 12, "linear"), Layer("layer_norm", 12),
                               Layer("gru", 8)),
    "conv, gru": (Layer("conv1d", 12, "relu", kernel=4), Layer("gru", 8)),
    "dense, depthwise, dense": (Layer("dense", 12, "relu"), Layer("depthwise", 12, "tanh",
                                                                  kernel=3), Layer("dense", 6)),
    "residual gru, pool": (Layer("dense", 12, "tanh"), Layer("gru", 12, residual=True),
                           Layer("attention_pool", 6, window=7)),
    "dense, transformer": (Layer("dense", 12, "linear"),
                           Layer("transformer", 12, window=9, heads=2)),
    "transformer, transformer, pool": (Layer("transformer", 10, window=4, heads=1),
                                       Layer("transformer", 10, window=5, heads=5),
                                       Layer("attention_pool", 6, window=25)),
    "dense, residual gru, residual dense, layer norm, lstm": (
        Layer("dense", 12, "relu"), Layer("gru", 12, residual=True),
        Layer("dense", 12, "tanh", residual=True), Layer("layer_norm", 12), Layer("lstm", 8)),
    "committee of a gru, an lstm, and a conv and a gru": [
        (Layer("gru", 12),), (Layer("dense", 8, "relu"), Layer("lstm", 8)),
        (Layer("conv1d", 12, "relu", kernel=4), Layer("gru", 8))],
}
"""Layers of a network, or of several that are averaged."""


def build(name, profile, per_channel=True):
    shape = SHAPES[name]
    network = Committee.of([
        networks.network(*layers, seed=seed)
        for seed, layers in enumerate(shape if isinstance(shape, list) else [shape])])
    ranges = calibrate(network, networks.sequences())
    return network, *emit(network, ranges, get_profile(profile), per_channel)


def inputs(tensor, steps, seed=0):
    """Codes of the input tensor that visit all of its range."""
    rng = np.random.default_rng(seed)
    low, high = tensor.qtype.low, tensor.qtype.high
    walk = np.cumsum(rng.normal(0, 0.05, (steps, tensor.shape[1])), axis=0)
    return np.clip(np.sin(walk) * high, low, high).astype(tensor.dtype)


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", SHAPES)
def test_ten_thousand_steps_without_reset_are_equal_to_tflm_in_every_byte(name, profile):
    pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for x86-64 alone")
    network, data, pairs = build(name, profile)
    model = EmulatedModel(data, pairs, network.architecture.frontend)
    x = inputs(model.graph.tensor("x"), 10_000)
    assert oracle.differing(data, model, pairs, {"x": x}) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", networks.CELLS)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_no_shape_profile_or_hold_makes_it_differ_from_tflm(name, data):
    units, features = data.draw(st.integers(2, 20), "units"), data.draw(st.integers(1, 20), "x")
    same_as_tflm(dataclasses.replace(networks.CELLS[name], units=units), features, data)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["conv1d", "depthwise", "attention_pool", "transformer"])
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_no_window_profile_or_hold_makes_a_ring_differ_from_tflm(kind, data):
    size, heads = data.draw(st.integers(2, 12), "kernel or window"), data.draw(st.integers(1, 3))
    units = heads * data.draw(st.integers(1, 6), "units of a head")
    activation = data.draw(st.sampled_from(["linear", "relu", "tanh"]), "activation")
    layer = Layer(kind, units, activation if kind in ("conv1d", "depthwise") else "", kernel=size,
                  window=size, heads=heads)
    features = units if kind == "transformer" else data.draw(st.integers(1, 20), "features")
    same_as_tflm(layer, features, data)


def same_as_tflm(layer, features, data):
    """Thirty steps of a network of that layer, some held, in the emulator and in TFLM."""
    pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for x86-64 alone")
    labels = data.draw(st.integers(2, 20), "labels")
    network = networks.network(layer, features=features, labels=labels,
                               seed=data.draw(st.integers(0, 99), "seed"))
    written, pairs = emit(network, calibrate(network, networks.sequences(features, count=10)),
                          get_profile(data.draw(st.sampled_from(list(PROFILES)), "profile")),
                          data.draw(st.booleans(), "per channel"))
    spec = ModelSpec(labels=network.architecture.labels, frontend=network.architecture.frontend,
                     states=pairs, model_sha256="", profile="int8")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "step.tflite"
        path.write_bytes(bundle.attach(written, spec))
        try:
            ours = StepModel.open(path, "emulator")
        except BackendError:
            reject()  # a few random units that are all dead: the step has no state to speak of
        theirs = StepModel.open(path, "tflm")
    held = data.draw(st.lists(st.booleans(), min_size=30, max_size=30), "held")
    rows = np.random.default_rng(0).normal(size=(30, features)).astype(np.float32)
    for row, hold in zip(rows, held, strict=True):
        scores = [model.hold() if hold else model.step(row) for model in (ours, theirs)]
        np.testing.assert_array_equal(*scores)
        assert all(np.array_equal(a, b) for a, b in zip(
            ours.state().values(), theirs.state().values(), strict=True))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", SHAPES)
def test_no_float32_rounds_the_scale_of_a_sum_so_kernels_old_and_new_multiply_alike(name, profile):
    step = tflite.read(build(name, profile, per_channel=False)[1])
    sums = [op for op in step.ops if op.name in ("FULLY_CONNECTED", "BATCH_MATMUL")]
    assert sums
    for op in sums:
        x, w = (step.tensors[i].scales[0] for i in op.inputs[:2])
        assert float(np.float32(x) * np.float32(w)) == x * w


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("name", SHAPES)
def test_the_integer_step_follows_the_float_step(name, profile, per_channel):
    network, data, pairs = build(name, profile, per_channel)
    model = EmulatedModel(data, pairs, network.architecture.frontend)
    rows = networks.sequences(seed=5)
    float_scores = np.concatenate(drive(FloatModel(network), rows))
    int_scores = np.concatenate(drive(model, [model.encode(r) for r in rows]))
    # About three steps of an int8 pre-activation; random weights amplify more than trained ones.
    bound = {"int8": 0.05, "int8x16": 0.04, "int16x8": 0.02}[profile]
    assert np.sqrt(np.mean((int_scores - float_scores) ** 2)) < bound


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("head", ["sigmoid", "number"])
def test_a_model_may_end_in_probabilities_or_numbers(head, profile):
    shape = networks.architecture(Layer("gru", 12))
    shape = dataclasses.replace(shape, layers=(*shape.layers[:-1], Layer("dense", 4, head)))
    network = Network.build(shape, networks.arrays(shape.layers, shape.features))
    data, pairs = emit(network, calibrate(network, networks.sequences()), get_profile(profile))
    model = EmulatedModel(data, pairs, shape.frontend)
    rows = networks.sequences(seed=5)
    floats = np.concatenate(drive(FloatModel(network), rows))
    integers = np.concatenate(drive(model, [model.encode(r) for r in rows]))
    assert np.sqrt(np.mean((integers - floats) ** 2)) < 0.05 * max(1.0, np.abs(floats).max())


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", SHAPES)
def test_both_ends_of_a_state_have_one_type(name, profile):
    _, data, pairs = build(name, profile)
    step = tflite.read(data)
    for pair in pairs:
        before, after = step.tensor(pair.input), step.tensor(pair.output)
        assert (before.dtype, before.scales, before.zero_points, before.shape) == \
               (after.dtype, after.scales, after.zero_points, after.shape)


def test_the_same_network_gives_the_same_bytes():
    assert build("gru", "int8x16")[1] == build("gru", "int8x16")[1]


@pytest.mark.parametrize(("profile", "scale"), [("int8", 1 / 32), ("int16x8", 1 / 1024)])
def test_a_log_mel_model_takes_its_codes_by_a_shift(profile, scale):
    network = networks.network(Layer("gru", 8), frontend=LogMelSpec())
    rows = networks.sequences(features=40)
    data, _ = emit(network, calibrate(network, rows), get_profile(profile))
    assert tflite.read(data).tensor("x").qtype.scale == scale


@pytest.mark.parametrize("name", SHAPES)
def test_inputs_and_outputs_are_in_the_order_that_was_promised(name):
    network, data, pairs = build(name, "int8x16")
    step = tflite.read(data)
    states = list(network.states)
    assert [step.tensors[i].name for i in step.inputs] == ["x", *(f"{s}_in" for s in states)]
    assert [step.tensors[i].name for i in step.outputs] == [
        "scores", *(pair.output for pair in pairs)]
    assert [pair.input for pair in pairs] == [f"{s}_in" for s in states]
    assert step.tensor("x").shape == (1, network.architecture.features)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", SHAPES)
def test_every_op_comes_after_what_it_reads_and_before_what_reads_it(name, profile):
    step = tflite.read(build(name, profile)[1])
    made = set(step.inputs)
    read = set(step.outputs)
    for op in step.ops:
        assert all(i in made or step.tensors[i].data is not None for i in op.inputs if i >= 0)
        made.update(op.outputs)
        read.update(op.inputs)
    assert not [op.name for op in step.ops if not read & set(op.outputs)]


def test_matmuls_go_first_as_soon_as_they_can():
    matmul, other = "FULLY_CONNECTED", "ADD"
    calls = [(other, [0], [1], {}), (other, [1], [2], {}), (matmul, [0], [3], {}),
             (matmul, [1], [4], {})]
    assert [call[2][0] for call in _scheduled(calls)] == [3, 1, 4, 2]


def test_what_nothing_uses_is_left_out_with_all_that_only_it_uses():
    calls = [("ADD", [0], [1], {}), ("ADD", [1], [2], {}), ("CAST", [0], [3], {}),
             ("MUL", [3], [4], {})]
    assert _needed(calls, [2]) == calls[:2]
    assert _needed(calls, [4]) == calls[2:]
    assert _needed(calls, [1, 4]) == [calls[0], *calls[2:]]


@pytest.mark.parametrize("profile", PROFILES)
def test_states_have_the_type_of_their_kind(profile):
    chosen = get_profile(profile)
    step = tflite.read(build("lstm", profile)[1])
    hidden, cell = (step.tensor(f"lstm0_{state}_in").qtype for state in "hc")
    assert hidden == TANH[chosen.state]
    assert cell.dtype == "int16"
    assert np.log2(cell.scale) % 1 == 0
    ring = tflite.read(build("conv, gru", profile)[1])
    x, first = (ring.tensors[i].qtype for i in ring.inputs[:2])
    assert first == x  # a ring of the input is the input's rows as they came


def test_per_channel_weights_have_a_scale_a_unit_and_per_tensor_weights_one():
    for per_channel in (True, False):
        step = tflite.read(build("gru", "int8x16", per_channel)[1])
        scales = {len(step.tensors[op.inputs[1]].scales) for op in step.ops
                  if op.name == "FULLY_CONNECTED"}
        assert (max(scales) > 1) == per_channel
    network = networks.network(*SHAPES["gru"])
    ranges = calibrate(network, networks.sequences())
    assert emit(network, ranges, get_profile("int8x16")) == build("gru", "int8x16")[1:]
