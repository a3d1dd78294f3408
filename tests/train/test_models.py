"""Keras models: masks, and that the float step is the same network."""

import subprocess
import sys

import numpy as np
import pytest

from edgernn.spec import StandardizeSpec
from edgernn.train import blocks
from edgernn.train.architecture import Architecture
from edgernn.train.batches import PADDING
from edgernn.train.config import make
from edgernn.train.reference import FloatModel
from tests import networks

pytest.importorskip("keras", reason="the extra `train` is not installed")
from edgernn.train import models

pytestmark = pytest.mark.slow  # TensorFlow takes seconds to load

FEATURES, LABELS = 6, 4
CELLS = {name: {"cell": layer.kind, **blocks.CELLS[layer.kind].variants[form]}
         for name, layer in networks.CELLS.items()
         for form in blocks.CELLS[layer.kind].variants
         if name == f"{layer.kind}_{form}".rstrip("_")}
NETWORKS = {
    **CELLS,
    "three layers": {"cell": "gru", "layers": 3},
    "dense front": {"cell": "lstm", "front": 7},
    "layer norm": {"cell": "gru", "layer_norm": True},
    "dense, layer norm": {"cell": "simple_rnn", "front": 7, "layer_norm": True},
}


def network(**settings):
    """A Keras model, its architecture and its weights by name."""
    config = make({"units": 9, **settings})
    stack = models.layers(config, LABELS, FEATURES)
    frontend = StandardizeSpec((0.0,) * FEATURES, (1.0,) * FEATURES)
    keras = models.import_keras()
    keras.utils.set_random_seed(0)
    model = models.build(config, FEATURES, stack)
    labels = tuple(f"label{i}" for i in range(LABELS))
    return model, Architecture(FEATURES, labels, frontend, stack), models.arrays(model, stack)


def padded(lengths, extra=0, seed=0):
    x = np.full((len(lengths), max(lengths) + extra, FEATURES), PADDING, np.float32)
    for row, length in zip(x, lengths, strict=True):
        row[:length] = np.random.default_rng([seed, length]).normal(size=(length, FEATURES))
    return x


@pytest.mark.parametrize("name", NETWORKS)
def test_keras_equals_the_float_step(name):
    model, architecture, weights = network(**NETWORKS[name])
    lengths = [5, 12, 1, 8]
    x = padded(lengths)
    expected = model.predict(x, verbose=0)
    found = FloatModel.build(architecture, weights).run(x, lengths)
    for row, length in enumerate(lengths):
        # float32 sums in another order
        np.testing.assert_allclose(found[row, :length], expected[row, :length], atol=2e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_padding_changes_no_output(name):
    model, _, _ = network(**NETWORKS[name])
    lengths = [5, 12, 1, 8]
    short = model.predict(padded(lengths), verbose=0)
    long = model.predict(padded(lengths, extra=9), verbose=0)
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(long[row, :length], short[row, :length], atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_a_frame_of_zeros_is_a_frame(cell):
    model, architecture, weights = network(**CELLS[cell])
    # A relu network begins as the identity, to which a frame of zeros says nothing.
    model.set_weights([w + 0.1 * (w.ndim == 1) for w in model.get_weights()])
    weights = models.arrays(model, architecture.layers)
    with_zeros = padded([10])
    with_zeros[0, 4] = 0
    without = np.delete(with_zeros, 4, axis=1)
    heard = model.predict(with_zeros, verbose=0)[0, -1]
    assert np.abs(heard - model.predict(without, verbose=0)[0, -1]).max() > 1e-4
    step = FloatModel.build(architecture, weights)
    np.testing.assert_allclose(step.run(with_zeros, [10])[0, -1], heard, atol=2e-6)


def test_recurrent_kernels_begin_orthogonal_and_forget_gates_open():
    _, _, weights = network(cell="lstm")
    # Keras makes the four gates' matrix orthogonal as a whole: its rows are.
    product = weights["0/recurrent_kernel"] @ weights["0/recurrent_kernel"].T
    np.testing.assert_allclose(product, np.eye(9), atol=1e-5)
    np.testing.assert_array_equal(weights["0/bias"][9:18], 1)


EVERY = [{"kind": "conv1d", "units": 6, "kernel": 3}, {"kind": "depthwise", "kernel": 2},
         {"kind": "transformer", "heads": 2, "window": 4},
         {"kind": "attention_pool", "units": 3, "window": 5}]


@pytest.mark.parametrize("settings", [{"cell": "fastgrnn"}, {"stack": EVERY}])
def test_a_saved_model_of_layers_of_our_own_loads_in_a_fresh_process(settings, tmp_path):
    model, _, _ = network(**settings)
    model.save(tmp_path / "model.keras")
    x = padded([5, 12])
    np.save(tmp_path / "x.npy", x)
    code = ("import sys, numpy as np; from pathlib import Path; from edgernn.train import models;"
            "folder = Path(sys.argv[1]); model = models.load(folder / 'model.keras');"
            "np.save(folder / 'y.npy', model(np.load(folder / 'x.npy')))")
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model(x).numpy(), atol=1e-6)


def test_a_relu_network_begins_as_the_identity():
    _, _, weights = network(cell="simple_rnn", activation="relu")
    np.testing.assert_array_equal(weights["0/recurrent_kernel"], np.eye(9))
