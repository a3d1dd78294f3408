"""The float step against Keras, which we did not write; every cell there is, masks and all."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.train.architecture import Layer
from edgernn.train.batches import PADDING
from edgernn.train.blocks import BLOCKS
from edgernn.train.config import make
from edgernn.train.network import prefix
from edgernn.train.reference import FloatModel
from tests import networks

FEATURES = 5
STACKS = {
    **{name: (layer,) for name, layer in networks.CELLS.items()},
    **{f"two {name}": (layer, layer) for name, layer in networks.CELLS.items()},
    **{f"layer norm, {name}": (Layer("layer_norm", FEATURES), layer)
       for name, layer in networks.CELLS.items()},
    "dense, lstm": (Layer("dense", 12, "relu"), Layer("lstm", 8)),
    "layer norm, gru, dense": (Layer("layer_norm", FEATURES), Layer("gru", 12),
                               Layer("dense", 6, "tanh")),
    "dense, layer norm, simple rnn": (Layer("dense", 12, "linear"), Layer("layer_norm", 12),
                                      Layer("simple_rnn", 9)),
    "two conv1d": (Layer("conv1d", 7, "relu", kernel=3), Layer("conv1d", 6, "tanh", kernel=2)),
    "depthwise": (Layer("depthwise", FEATURES, "tanh", kernel=3),),
    "attention pool": (Layer("attention_pool", 4, window=4),),
    "two transformers": (Layer("transformer", FEATURES, heads=1, window=3),
                         Layer("transformer", FEATURES, heads=5, window=9)),
    "crnn": (Layer("conv1d", 7, "relu", kernel=3), Layer("depthwise", 7, "relu", kernel=4),
             Layer("gru", 7, residual=True), Layer("attention_pool", 4, window=6)),
}
MASKS = {"leading": [0, 0, 0, 1, 1, 1, 1, 1], "middle": [1, 1, 0, 0, 1, 0, 1, 1],
         "trailing": [1, 1, 1, 1, 1, 0, 0, 0], "all": [0] * 8, "none": [1] * 8,
         "everywhere": [0, 1, 0, 0, 1, 1, 0, 0]}


@functools.cache
def both(*stack, features=FEATURES):
    """A Keras model as trained, which also gives its layers' outputs, and its float step."""
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    from edgernn.train import models

    shape = networks.architecture(*stack, features=features)
    weights = networks.arrays(shape.layers, features)
    model = models.build(make({"input_noise": 0, "dropout": 0}), features, shape.layers)
    outputs = []
    for i, layer in enumerate(shape.layers):
        own = model.get_layer(prefix(i, layer).rstrip("_"))
        own.set_weights([weights[f"{i}/{name}"] for name in BLOCKS[layer.kind].arrays(layer)])
        outputs.append(own.output)
    return (models.import_keras().Model(model.input, outputs), FloatModel.build(shape, weights),
            shape.layers)


def masked(mask, features=FEATURES, seed=0):
    """Random frames, shape (batch, frames, features), those that the mask lacks padded."""
    mask = np.array(mask, bool)
    x = np.random.default_rng(seed).normal(size=(*mask.shape, features)).astype(np.float32)
    x[~mask] = PADDING
    return x, mask


def held(step, frames, mask):
    """Scores of every frame of one stream; a masked one is held, as `StepModel.hold` does."""
    scores, states = np.zeros((1, len(step.network.architecture.labels))), step.initial(1)
    collected = []
    for frame, real in zip(frames, mask, strict=True):
        if real:
            scores, states = step.step(frame[None], states)
        collected.append(scores[0])
    return np.array(collected)


def check(stack, mask, features=FEATURES, seed=0):
    model, step, layers = both(*stack, features=features)
    x, mask = masked(mask, features, seed)
    outputs = [y.numpy() for y in model(x)]
    for row in range(len(x)):
        begun = np.maximum.accumulate(mask[row])
        found = held(step, x[row], mask[row])
        # float32 sums in another order; relu states and their errors grow.
        size = max(1.0, max(np.abs(y[row]).max() for y in outputs))
        np.testing.assert_allclose(found[mask[row]], outputs[-1][row][mask[row]],
                                   atol=1e-5 * size)
        for layer, y in zip(layers, outputs, strict=True):
            if not BLOCKS[layer.kind].cell:
                continue
            assert not y[row][~begun].any(), "a masked beginning is zeros"
            for t in np.flatnonzero(begun & ~mask[row]):
                np.testing.assert_array_equal(y[row, t], y[row, t - 1])
        for t in np.flatnonzero(begun & ~mask[row]):
            np.testing.assert_array_equal(found[t], found[t - 1])


@pytest.mark.slow
@pytest.mark.parametrize("name", STACKS)
def test_the_float_step_equals_keras_wherever_the_mask_has_holes(name):
    check(STACKS[name], list(MASKS.values()))


@pytest.mark.slow
@pytest.mark.parametrize("name", networks.CELLS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_no_shape_length_or_mask_is_an_exception(name, data):
    units, features = data.draw(st.sampled_from([(1, 1), (3, 2), (8, 5)]), "units, features")
    frames = data.draw(st.integers(1, 12), "frames")
    rows = st.lists(st.booleans(), min_size=frames, max_size=frames)
    mask = data.draw(st.lists(rows, min_size=1, max_size=4), "mask")
    layer = Layer(**{**networks.CELLS[name].__dict__, "units": units})
    check((layer,), mask, features, data.draw(st.integers(0, 99), "seed"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["conv1d", "depthwise", "attention_pool", "transformer"])
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_no_window_length_or_mask_is_an_exception_to_a_layer_with_a_ring(kind, data):
    features, heads = data.draw(st.sampled_from([(1, 1), (2, 2), (6, 3)]), "features, heads")
    frames = data.draw(st.integers(1, 9), "frames")
    rows = st.lists(st.booleans(), min_size=frames, max_size=frames)
    mask = data.draw(st.lists(rows, min_size=1, max_size=4), "mask")
    size = data.draw(st.sampled_from([2, 3, 12]), "kernel or window")
    check((Layer(kind, features, kernel=size, window=size, heads=heads),), mask, features,
          data.draw(st.integers(0, 99), "seed"))


@pytest.mark.parametrize("name", networks.CELLS)
def test_one_step_at_a_time_equals_the_whole_sequence(name):
    model = FloatModel(networks.network(networks.CELLS[name]))
    rows = networks.sequences(count=1)[0]
    whole = model.run(rows[None], [len(rows)])[0]
    states = model.initial(1)
    for row, expected in zip(rows, whole, strict=True):
        scores, states = model.step(row[None], states)
        np.testing.assert_allclose(scores[0], expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", networks.CELLS)
def test_a_saved_keras_model_is_the_same_when_loaded(name, tmp_path):
    model, _, _ = both(networks.CELLS[name])
    model.save(tmp_path / "model.keras")
    from edgernn.train import models

    x, _ = masked(list(MASKS.values()))
    again = models.import_keras().models.load_model(tmp_path / "model.keras")
    for found, expected in zip(again(x), model(x), strict=True):
        np.testing.assert_array_equal(found.numpy(), expected.numpy())
