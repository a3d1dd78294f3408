"""Encoders with decoders of random weights, in Keras and in a file."""

import numpy as np

from edgernn.spec import TokenSpec
from edgernn.train import transducer, transduction
from edgernn.train.assembly import calibrate, emit_parts, join
from edgernn.train.config import TrainConfig
from edgernn.train.pairs import Pair, Pairs
from edgernn.train.profile import get_profile

LETTERS, SOUNDS = "abcdefg", ("AA", "B", "K", "D", "EH")
LONGEST = (9, 12)


def data(count=60, seed=0):
    """Random pairs; every letter and sound is there."""
    rng = np.random.default_rng(seed)
    every = Pair(tuple(LETTERS), SOUNDS, "train")
    return Pairs("character", (every, *(
        Pair(tuple(rng.choice(list(LETTERS), rng.integers(1, LONGEST[0] + 1))),
             tuple(rng.choice(SOUNDS, rng.integers(1, 9))), "train") for _ in range(count))))


def config(attention="dot", bidirectional=True, units=8):
    """A small one."""
    return TrainConfig(task="transduce", attention=attention, bidirectional=bidirectional,
                       units=units, embedding=6)


def keras_model(chosen, seed=0):
    """A Keras model whose weights are as large as training makes them."""
    model = transduction.build(chosen, len(LETTERS) + 2, len(SOUNDS) + 2)
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.6, w.shape).astype(np.float32)
                       for w in model.get_weights()])
    return model


def networks(chosen, model):
    """The parts of a Keras model."""
    return transducer.build(transducer.describe(
        chosen, transduction.weights(model), TokenSpec(tuple(LETTERS)), TokenSpec(SOUNDS, "word"),
        LONGEST))


def emitted(found, profile="int8x16"):
    """Files and emulated models of the parts."""
    pairs = data()
    ranges = calibrate(found, pairs, pairs.pairs)
    return emit_parts(found, ranges, get_profile(profile))


def file(found, profile="int8x16"):
    """One model file."""
    return join(emitted(found, profile)[0], {"provenance": {"command": "tests"}})
