"""Blocks against Keras, masks and all."""

import numpy as np
import pytest

from edgernn.spec import TokenSpec
from edgernn.train.architecture import Architecture, Layer
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
