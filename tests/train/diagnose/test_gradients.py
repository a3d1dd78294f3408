"""How gradients come back through time, against what is known of them."""

import dataclasses

import numpy as np
import pytest

from edgernn.train.architecture import Layer
from edgernn.train.blocks import CELLS
from edgernn.train.diagnose import diagnose
from edgernn.train.diagnose.gradients import decay, through_time
from edgernn.train.diagnose.page import page
from edgernn.train.network import Network
from edgernn.train.reference import FloatOps
from edgernn.train.sequences import Sequences
from tests import networks
from tests.train.diagnose.runs import GRU, RNN, examined, scaled, write_run


@pytest.mark.parametrize(("factor", "verdict"),
                         [(0.5, "vanishing"), (1.0, "healthy"), (1.2, "exploding")])
def test_a_gradient_that_is_multiplied_each_frame_is_seen_to_be(tmp_path, factor, verdict):
    found = examined(tmp_path, RNN, edit=scaled(factor)).decay
    assert found.verdict == verdict
    lags = np.arange(len(found.median))
    # tanh bends states of 1e-4 by some 1e-8 of themselves each frame
    np.testing.assert_allclose(found.median, factor**lags, rtol=1e-4)
    if factor == 1.0:
        assert abs(found.half_life) > 1e5
    else:
        assert found.half_life == pytest.approx(-1 / np.log2(factor), rel=1e-4)


@pytest.mark.parametrize("name", networks.CELLS)
def test_gradients_equal_the_complex_step_through_every_later_frame(name):
    layer = dataclasses.replace(networks.CELLS[name], units=5)
    network = networks.network(layer)
    rows = networks.sequences(count=1, longest=12, seed=5)[0]
    assert len(rows) > 3
    label = np.array([2])
    through = through_time(network, [rows], label)
    for lag in (1, len(rows) - 1):
        states = {name: np.zeros((1, *state.shape)) for name, state in network.states.items()}
        for row in rows[: len(rows) - lag]:
            _, states = network.step(FloatOps(), row[None].astype(float), states)
        # Its output: of an LSTM's c that is made in the same frame, and h would go on without c.
        state = next(iter(states))
        loss = _loss_of_nudged(network, rows[len(rows) - lag:], states, state)
        assert through.norms[state][0, lag] == pytest.approx(
            np.linalg.norm(loss.imag / 1e-100), rel=1e-9)


def _loss_of_nudged(network, rows, states, state):
    """Cross-entropies of label 2, each with another unit of `state` moved by 1e-100 i."""
    units = states[state].shape[1]
    many = {name: np.repeat(value, units, axis=0).astype(complex)
            for name, value in states.items()}
    many[state] += 1e-100j * np.eye(units)
    for row in rows:
        scores, many = network.step(FloatOps(), np.repeat(row[None], units, axis=0).astype(float),
                                    many)
    return -np.log(scores[:, 2])


def test_every_recurrent_cell_is_among_those_examined():
    assert {layer.kind for layer in networks.CELLS.values()} >= set(CELLS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_gradients_equal_tensorflows(kind):
    pytest.importorskip("tensorflow", reason="the extra `train` is not installed")
    from edgernn.train.models import import_keras

    keras = import_keras()
    import tensorflow as tf

    layer = Layer(kind, 6)
    shape = networks.architecture(layer)
    arrays = networks.arrays(shape.layers, shape.features)
    rows = next(r for r in networks.sequences(longest=12) if len(r) == 12)
    cell = {"gru": keras.layers.GRUCell, "lstm": keras.layers.LSTMCell}[kind](6)
    cell.build((1, shape.features))
    cell.set_weights([arrays[f"0/{name}"] for name in ("kernel", "recurrent_kernel", "bias")])
    with tf.GradientTape() as tape:
        states = [tf.zeros((1, 6)) for _ in range(1 if kind == "gru" else 2)]
        kept = []
        for row in rows:
            _, states = cell(tf.constant(row[None]), states)
            kept.append(list(states))
        logits = tf.matmul(states[0], arrays["1/kernel"]) + arrays["1/bias"]
        loss = -tf.nn.log_softmax(logits)[0, 3]
    found = through_time(Network.build(shape, arrays), [rows], np.array([3]))
    wanted = tape.gradient(loss, kept)
    for index, norms in enumerate(found.norms.values()):
        expected = [np.linalg.norm(states[index]) for states in reversed(wanted)]
        np.testing.assert_allclose(norms[0], expected, rtol=1e-4)  # TensorFlow has float32


def test_sequences_of_many_lengths_do_not_disturb_each_other():
    network = networks.network(GRU, Layer("lstm", 4))
    rows = networks.sequences(count=7)
    labels = np.arange(7) % 4
    together = through_time(network, rows, labels)
    for i, one in enumerate(rows):
        alone = through_time(network, [one], labels[i:i + 1])
        for name, norms in alone.norms.items():
            np.testing.assert_allclose(together.norms[name][i, :len(one)], norms[0], rtol=1e-9)
            assert np.isnan(together.norms[name][i, len(one):]).all()


def test_a_gradient_that_is_zero_everywhere_has_vanished():
    assert decay(np.zeros((3, 5))).verdict == "vanishing"


@pytest.mark.slow
def test_rings_of_past_frames_are_examined_too(tmp_path):
    found = examined(tmp_path, Layer("conv1d", 6, "relu", kernel=3),
                     Layer("depthwise", 6, kernel=4), GRU,
                     Layer("attention_pool", 8, window=5))
    assert {name.split("_")[0] for name in found.through.norms} >= {"conv1d0", "depthwise1", "gru2"}
    assert all(np.isfinite(state.rms) and state.rms > 0 for state in found.states)
    # What a front of convolutions remembers lasts as long as the layers above it do.
    assert np.nanmax(found.through.norms["conv1d0_past"][:, 5]) > 0
    assert {state.lost for trial in found.streams.trials for state in trial.states
            if "past" in state.name} == {0.0}
    assert "<figure" in page(found)


@pytest.mark.parametrize(("task", "head", "targets"), [
    ("label", "softmax", np.array([-1, 2])), ("regress", "number", np.array([[0.5], [1.0]])),
    ("next", "sigmoid", None)])
def test_every_task_has_gradients(tmp_path, task, head, targets):
    run = write_run(tmp_path / "run", GRU)
    shape = networks.architecture(GRU, head=head, task=task)
    (run / "architecture.json").write_text(shape.to_json())
    whole = Sequences.load(run / "sequences.npz")
    if targets is not None:
        rows = np.arange(len(whole.rows)) % 2
        dataclasses.replace(whole, targets=targets[rows]).save(run / "sequences.npz")
    found = diagnose(run)
    assert (found.through.total[:, 0] > 0).all()
    assert "scores" not in {gate.name for gate in found.gates}
