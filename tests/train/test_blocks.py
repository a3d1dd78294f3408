"""Blocks against Keras, masks and all."""

import numpy as np
import pytest

from edgernn.errors import QuantizeError
from edgernn.spec import TokenSpec
from edgernn.train.architecture import Architecture, Layer
from edgernn.train.batches import PADDING
from edgernn.train.config import make
from edgernn.train.reference import FloatModel

pytest.importorskip("keras", reason="the extra `train` is not installed")
from edgernn.train import models

pytestmark = pytest.mark.slow  # TensorFlow takes seconds to load


@pytest.mark.parametrize("ngrams", [1, 3])
def test_masked_tokens_are_held_as_keras_masks_them(ngrams):
    frontend = TokenSpec(tuple("abcdef"), ngrams=ngrams, buckets=5 * (ngrams > 1))
    stack = (Layer("embedding", 4, vocabulary=8 + 5 * (ngrams - 1)), Layer("gru", 7),
             Layer("dense", 3, "softmax"))
    keras = models.import_keras()
    keras.utils.set_random_seed(0)
    model = models.build(make({}), ngrams, stack)
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 8, (3, 9, ngrams)).astype(np.int32)
    ids[0, :2] = ids[1, 3:5] = ids[2, 6:] = 0  # leading, middle, trailing
    expected = model.predict(ids, verbose=0)
    labels = ("a", "b", "c")
    step = FloatModel.build(Architecture(ngrams, labels, frontend, stack),
                            models.arrays(model, stack))
    for row, wanted in zip(ids, expected, strict=True):
        real = row[:, 0] != 0
        found = step.run(row[real][None], [real.sum()])[0]
        np.testing.assert_allclose(found, wanted[real], atol=1e-5)


def test_a_residual_layer_adds_its_input():
    stack = (Layer("gru", 6, residual=True), Layer("dense", 6, "relu", residual=True),
             Layer("dense", 2, "softmax"))
    keras = models.import_keras()
    keras.utils.set_random_seed(0)
    model = models.build(make({"dropout": 0}), 6, stack)
    x = np.random.default_rng(0).normal(size=(2, 9, 6)).astype(np.float32)
    step = FloatModel.build(
        Architecture(6, ("a", "b"), TokenSpec(()), stack), models.arrays(model, stack))
    np.testing.assert_allclose(step.run(x, [9, 9]), model.predict(x, verbose=0), atol=1e-5)


STACKS = {
    "conv1d": (Layer("conv1d", 5, "relu", kernel=4),),
    "conv1d tanh": (Layer("conv1d", 5, "tanh", kernel=2),),
    "depthwise": (Layer("depthwise", 6, kernel=3), Layer("dense", 5, "relu")),
    "pool": (Layer("gru", 6, residual=True), Layer("attention_pool", 4, window=5)),
    "crnn": (Layer("conv1d", 7, "relu", kernel=3), Layer("depthwise", 7, "relu", kernel=4),
             Layer("gru", 7, residual=True), Layer("attention_pool", 4, window=6)),
    "transformer": (Layer("dense", 8, "linear"), Layer("transformer", 8, heads=2, window=5),
                    Layer("transformer", 8, heads=1, window=20)),
    "first of all a transformer": (Layer("transformer", 6, heads=3, window=2),),
}


@pytest.mark.parametrize("name", STACKS)
def test_one_frame_at_a_time_equals_keras_over_the_whole_padded_batch(name):
    stack = (*STACKS[name], Layer("dense", 3, "softmax"))
    keras = models.import_keras()
    keras.utils.set_random_seed(0)
    model = models.build(make({"dropout": 0}), 6, stack)
    model.set_weights([w + np.random.default_rng(1).normal(0, 0.2, w.shape)
                       for w in model.get_weights()])
    lengths = [12, 1, 7]
    x = np.full((3, 12, 6), PADDING, np.float32)
    for row, n in zip(x, lengths, strict=True):
        row[:n] = np.random.default_rng(n).normal(size=(n, 6))
    step = FloatModel.build(
        Architecture(6, ("a", "b", "c"), TokenSpec(()), stack), models.arrays(model, stack))
    expected, found = model.predict(x, verbose=0), step.run(x, lengths)
    for row, n in enumerate(lengths):
        np.testing.assert_allclose(found[row, :n], expected[row, :n], atol=1e-5)


@pytest.mark.parametrize("layer", [Layer("conv1d", 4, kernel=1), Layer("attention_pool", 4),
                                   Layer("depthwise", 4, "gelu", kernel=3)])
def test_a_window_that_is_none_is_refused_by_name(layer):
    stack = (layer, Layer("dense", 2, "softmax"))
    with pytest.raises(QuantizeError, match=layer.kind):
        FloatModel.build(Architecture(6, ("a", "b"), TokenSpec(()), stack), {})
