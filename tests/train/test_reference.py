"""The float step against Keras, which we did not write."""

import numpy as np
import pytest

from edgernn.train.architecture import Layer
from edgernn.train.reference import FloatModel
from tests import networks

STACKS = {
    **{name: (layer,) for name, layer in networks.CELLS.items()},
    "two gru": (Layer("gru", 12), Layer("gru", 8)),
    "dense, lstm": (Layer("dense", 12, "relu"), Layer("lstm", 8)),
    "layer norm, gru, dense": (Layer("layer_norm", 10), Layer("gru", 12),
                               Layer("dense", 6, "tanh")),
    "dense, layer norm, simple rnn": (Layer("dense", 12, "linear"), Layer("layer_norm", 12),
                                      Layer("simple_rnn", 9)),
}


def keras_model(architecture, arrays):
    """The same network in Keras, masked, with the same weights."""
    keras = pytest.importorskip("keras", reason="the extra `train` is not installed")
    kinds = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM,
             "simple_rnn": keras.layers.SimpleRNN}
    stack = [keras.Input((None, architecture.features)), keras.layers.Masking(-1e9)]
    for layer in architecture.layers:
        if layer.kind == "dense":
            stack.append(keras.layers.Dense(layer.units, activation=layer.activation))
        elif layer.kind == "layer_norm":
            stack.append(keras.layers.LayerNormalization(epsilon=layer.epsilon))
        else:
            extra = {"reset_after": layer.reset_after} if layer.kind == "gru" else {}
            stack.append(kinds[layer.kind](layer.units, return_sequences=True, **extra))
    model = keras.Sequential(stack)
    order = {"layer_norm": ("gamma", "beta")}
    weighted = [layer for layer in model.layers if layer.weights]
    for i, (layer, target) in enumerate(zip(architecture.layers, weighted, strict=True)):
        names = order.get(layer.kind, ("kernel", "recurrent_kernel", "bias"))
        target.set_weights([arrays[f"{i}/{n}"] for n in names if f"{i}/{n}" in arrays])
    return model


@pytest.mark.slow
@pytest.mark.parametrize("name", STACKS)
def test_the_float_step_equals_keras_on_masked_batches(name):
    shape = networks.architecture(*STACKS[name])
    weights = networks.arrays(shape.layers, shape.features)
    rows = networks.sequences(count=6, longest=20)
    lengths = np.array([len(r) for r in rows])
    padded = np.full((len(rows), lengths.max(), shape.features), -1e9, np.float32)
    for target, row in zip(padded, rows, strict=True):
        target[: len(row)] = row
    expected = keras_model(shape, weights).predict(padded, verbose=0)
    found = FloatModel.build(shape, weights).run(padded, lengths)
    for row, n in enumerate(lengths):
        # float32 sums in another order
        np.testing.assert_allclose(found[row, :n], expected[row, :n], atol=2e-6)


def test_one_step_at_a_time_equals_the_whole_sequence():
    model = FloatModel(networks.network(networks.CELLS["gru"]))
    rows = networks.sequences(count=1)[0]
    states = model.initial(1)
    for t, row in enumerate(rows):
        scores, states = model.step(row[None], states)
        whole = model.run(rows[None], [len(rows)])[0, t]
        np.testing.assert_allclose(scores[0], whole, atol=1e-6)
