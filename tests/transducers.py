"""Encoders with decoders of random weights, in Keras and in a file."""

import numpy as np

from edgernn.spec import TokenSpec
from edgernn.train import transducer
from edgernn.train.assembly import calibrate
from edgernn.train.config import TrainConfig
from edgernn.train.pairs import Pair, Pairs
from edgernn.train.parts import build, emit_parts, join
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


def weights(chosen, seed=0):
    """Arrays by Keras layer, as large as training makes them."""
    rng = np.random.default_rng(seed)
    units, wide = chosen.units, chosen.units * (1 + chosen.bidirectional)

    def gru(inputs, outputs):
        return [(inputs, 3 * outputs), (outputs, 3 * outputs), (2, 3 * outputs)]

    shapes = {"letters": [(len(LETTERS) + 2, chosen.embedding)],
              "encoder": gru(chosen.embedding, units) * (1 + chosen.bidirectional),
              "sounds": [(len(SOUNDS) + 2, chosen.embedding)],
              "decoder": gru(chosen.embedding, wide),
              "scores": [(wide, len(SOUNDS) + 1), (len(SOUNDS) + 1,)]}
    if chosen.attention != "none":
        shapes["mix"] = [(2 * wide, wide), (wide,)]
    if chosen.attention == "additive":
        shapes |= {"query": [(wide, units)], "keys": [(wide, units), (units,)],
                   "attention": [(units,)]}
    return {name: [rng.normal(0, 0.6, shape).astype(np.float32) for shape in own]
            for name, own in shapes.items()}


def keras_model(chosen, arrays):
    """The Keras model with these weights."""
    from edgernn.train import transduction

    model = transduction.build(chosen, len(LETTERS) + 2, len(SOUNDS) + 2)
    for name, own in arrays.items():
        model.get_layer(name).set_weights(own)
    return model


def networks(chosen, arrays):
    """The parts of it."""
    return build(transducer.describe(
        chosen, arrays, TokenSpec(tuple(LETTERS)), TokenSpec(SOUNDS, "word"), LONGEST))


def emitted(found, profile="int8x16"):
    """Files and emulated models of the parts."""
    pairs = data()
    ranges = calibrate(found, pairs, pairs.pairs)
    return emit_parts(found, ranges, get_profile(profile), "transduce")


def file(found, profile="int8x16"):
    """One model file."""
    return join(emitted(found, profile)[0], provenance={"command": "tests"})
