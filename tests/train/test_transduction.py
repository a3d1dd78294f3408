"""Encoder and decoder as steps are what Keras computes, and what every runtime does."""

import numpy as np
import pytest

from edgernn.train.transducer import START, Transducer, pad
from tests import transducers

SHAPES = [("none", False), ("dot", False), ("additive", False), ("none", True), ("dot", True),
          ("additive", True)]


@pytest.mark.parametrize(("attention", "bidirectional"), SHAPES)
def test_teacher_forced_scores_equal_keras_with_padded_and_masked_sources(attention, bidirectional):
    chosen = transducers.config(attention, bidirectional)
    model = transducers.keras_model(chosen)
    pairs = transducers.data()
    sources, targets = pairs.sources(pairs.pairs), pairs.targets(pairs.pairs)
    assert len({len(row) for row in sources}) > 5
    made = Transducer.of_floats(transducers.networks(chosen, model))
    given = pad([np.append(START, row).astype(np.int32) for row in targets])
    keras = np.array(model([pad(sources), given], training=False))
    ours = made.teach(sources, targets)
    for row, wanted, target in zip(ours, keras, targets, strict=True):
        np.testing.assert_allclose(row[:len(target) + 1], wanted[:len(target) + 1], atol=1e-5)


def test_what_stands_in_padding_changes_nothing():
    chosen = transducers.config()
    made = Transducer.of_floats(transducers.networks(chosen, transducers.keras_model(chosen)))
    sources = transducers.data().sources(transducers.data().pairs)
    together = made.run(sources)
    assert together == [made.run([source])[0] for source in sources]
