"""Encoder and decoder as steps are what Keras computes, and what every runtime does."""

import numpy as np
import pytest

from edgernn.quant import dequantize
from edgernn.train.profile import PROFILES
from edgernn.train.transducer import START, Transducer, pad
from tests import oracle, transducers

SHAPES = [("none", False), ("dot", False), ("additive", False), ("none", True), ("dot", True),
          ("additive", True)]


@pytest.mark.parametrize(("attention", "bidirectional"), SHAPES)
def test_teacher_forced_scores_equal_keras_with_padded_and_masked_sources(attention, bidirectional):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    chosen = transducers.config(attention, bidirectional)
    weights = transducers.weights(chosen)
    model = transducers.keras_model(chosen, weights)
    pairs = transducers.data()
    sources, targets = pairs.sources(pairs.pairs), pairs.targets(pairs.pairs)
    assert len({len(row) for row in sources}) > 5
    made = Transducer.of_floats(transducers.networks(chosen, weights))
    given = pad([np.append(START, row).astype(np.int32) for row in targets])
    keras = np.array(model([pad(sources), given], training=False))
    ours = made.teach(sources, targets)
    for row, wanted, target in zip(ours, keras, targets, strict=True):
        np.testing.assert_allclose(row[:len(target) + 1], wanted[:len(target) + 1], atol=1e-5)


def test_what_stands_in_padding_changes_nothing():
    chosen = transducers.config()
    made = Transducer.of_floats(transducers.networks(chosen, transducers.weights(chosen)))
    sources = transducers.data().sources(transducers.data().pairs)
    together = made.run(sources)
    assert together == [made.run([source])[0] for source in sources]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("attention", "bidirectional"), SHAPES)
def test_the_integer_steps_follow_the_float_steps(attention, bidirectional, profile):
    chosen = transducers.config(attention, bidirectional, units=16)
    networks = transducers.networks(chosen, transducers.weights(chosen))
    _, models = transducers.emitted(networks, profile)
    pairs = transducers.data()
    sources, targets = pairs.sources(pairs.pairs), pairs.targets(pairs.pairs)
    floats = Transducer.of_floats(networks).teach(sources, targets)
    codes = Transducer.of_integers(networks, models).teach(sources, targets)
    integers = dequantize(codes, models["decoder"].graph.tensor("scores").qtype)
    # Random weights amplify more than trained ones.
    bound = {"int8": 0.06, "int8x16": 0.06, "int16x8": 0.03}[profile]
    assert np.sqrt(np.mean((integers - floats) ** 2)) < bound


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("attention", "bidirectional"), [("dot", True), ("additive", False)])
def test_ten_thousand_steps_of_every_part_are_equal_to_tflm(attention, bidirectional, profile):
    pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for x86-64 alone")
    chosen = transducers.config(attention, bidirectional)
    networks = transducers.networks(chosen, transducers.weights(chosen))
    files, models = transducers.emitted(networks, profile)
    rng = np.random.default_rng(0)
    for name, model in models.items():
        graph, spec = model.graph, files[name][1]
        x, feeds = graph.tensor("x"), {}
        low, high = (1, len(transducers.SOUNDS) + 1) if x.dtype == "int32" else (
            x.qtype.low, x.qtype.high)
        feeds["x"] = rng.integers(low, high + 1, (10_000, *x.shape[1:])).astype(x.dtype)
        for key, context in spec.context.items():
            tensor = graph.tensor(context)
            # Another source every 100 steps: other contexts, the state goes on.
            values = rng.integers(tensor.qtype.low, tensor.qtype.high + 1, (100, *tensor.shape[1:]))
            if key == "mask":
                values = np.where(rng.random(values.shape) < 0.4, -tensor.qtype.high, 0)
            feeds[context] = np.repeat(values.astype(tensor.dtype), 100, axis=0)
        assert oracle.differing(files[name][0], model, spec.states, feeds) == 0, name
