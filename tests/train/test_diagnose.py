"""Networks whose ills are known, examined."""

import dataclasses
import json
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from edgernn.errors import QuantizeError
from edgernn.frontend import make_frontend
from edgernn.train.architecture import Layer
from edgernn.train.blocks import CELLS
from edgernn.train.calibrate import calibrate
from edgernn.train.diagnose import diagnose, integers, summary
from edgernn.train.diagnose.gradients import decay, through_time
from edgernn.train.diagnose.page import page
from edgernn.train.emit import emit
from edgernn.train.emulated import EmulatedModel
from edgernn.train.network import Network
from edgernn.train.profile import get_profile
from edgernn.train.quantize import tensor_errors
from edgernn.train.reference import FloatOps
from edgernn.train.sequences import Sequences, calibration_rows, load_sequences
from tests import networks

GRU, LSTM, RNN = Layer("gru", 8), Layer("lstm", 8), Layer("simple_rnn", 8)


def write_run(folder, *layers, edit=lambda arrays: None, count=24, longest=40):
    """A run folder of random weights, changed by `edit`."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = networks.architecture(*layers)
    arrays = networks.arrays(shape.layers, shape.features)
    edit(arrays)
    (folder / "architecture.json").write_text(shape.to_json())
    np.savez(folder / "weights.npz", **arrays)
    rows = networks.sequences(shape.features, count=count, longest=longest)
    split = np.array(["train", "test"] * (count // 2))
    Sequences(np.concatenate(rows), np.array([len(r) for r in rows]), np.arange(count) % 4,
              split).save(folder / "sequences.npz")
    return folder


def scaled(factor):
    """A SimpleRNN that is nearly linear, and multiplies its state by `factor` each frame."""
    def edit(arrays):
        arrays["0/kernel"] *= 1e-5
        arrays["0/bias"] *= 0
        arrays["0/recurrent_kernel"] = np.eye(8, dtype=np.float32) * factor

    return edit


def examined(tmp_path, *layers, edit=lambda arrays: None, **options):
    return diagnose(write_run(tmp_path / "run", *layers, edit=edit, **options))


# Gradients through time


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


# Gates, units, states


def test_a_saturated_gate_is_found_and_named(tmp_path):
    def edit(arrays):
        arrays["0/bias"][:, :8] += 10  # z, of GRU

    found = examined(tmp_path, GRU, edit=edit)
    z, r, new = found.gates
    assert (z.name, z.kind, z.high) == ("gru0_z", "sigmoid", pytest.approx(1, abs=0.01))
    assert len(z.stuck) == 8
    assert r.low + r.high < 0.5
    assert new.kind == "tanh"
    assert any("gru0_z" in one.text and not one.ok for one in found.findings)


@pytest.mark.parametrize("layer", [GRU, LSTM, RNN])
def test_every_value_of_a_gate_is_counted_once(tmp_path, layer):
    found = examined(tmp_path, layer)
    assert found.gates
    for gate in found.gates:
        np.testing.assert_allclose(gate.histogram.sum(axis=1), 1)


def test_dead_and_unused_units_are_found(tmp_path):
    def edit(arrays):
        for name in ("kernel", "recurrent_kernel"):
            arrays[f"0/{name}"][:, 3] = 0
        arrays["0/bias"][3] = 0  # unit 3 is always 0
        arrays["0/recurrent_kernel"][5] = 0
        arrays["1/kernel"][5] = 0  # nothing reads unit 5

    found = examined(tmp_path, RNN, edit=edit)
    assert found.states[0].dead.tolist() == [3]
    assert found.unused["simple_rnn0_h"].tolist() == [5]
    assert any("1 of simple_rnn0_h never move" in one.text for one in found.findings)


def test_a_state_that_integrates_is_seen_to_drift_and_to_forget_nothing(tmp_path):
    def edit(arrays):
        scaled(1.0)(arrays)
        arrays["0/bias"] += 1e-5

    state = examined(tmp_path, RNN, edit=edit, count=40).states[0]
    assert state.drift > 1.5
    assert state.remembered > 1
    assert state.carried_rms > 1.5 * state.rms


def test_a_state_that_forgets_does_not_drift(tmp_path):
    state = examined(tmp_path, RNN, edit=scaled(0.5), count=40).states[0]
    assert state.drift < 1.5
    assert state.remembered < 0.05


# Integers


def test_the_dead_zone_of_int8_is_measured(tmp_path):
    def edit(arrays):
        arrays["0/bias"][:, :8] += 4  # z near 1: the state moves a little each frame

    narrow, wide = examined(tmp_path, GRU, edit=edit).streams.trials
    assert (narrow.profile, narrow.states[0].dtype) == ("int8", "int8")
    assert narrow.states[0].lost > 0.9
    assert wide.states[0].lost < 0.1
    assert narrow.states[0].relative > 5 * wide.states[0].relative


@pytest.mark.parametrize("layers", [(GRU,), (Layer("layer_norm", 10), LSTM, GRU)])
def test_errors_are_those_that_quantizing_reports(tmp_path, layers):
    run = write_run(tmp_path / "run", *layers, longest=200)
    found = diagnose(run, sequences=1)
    network = Network.load(run)
    every = load_sequences(run, network.architecture.features)
    rows = next(one for one in every.of_split("test") if len(one) == found.frames)
    features = make_frontend(network.architecture.frontend).features
    ranges = calibrate(network, [features(one) for one in calibration_rows(every)])
    for trial in found.streams.trials:
        data, pairs = emit(network, ranges, get_profile(trial.profile))
        emulated = EmulatedModel(data, pairs, network.architecture.frontend)
        errors = {error.name: error for error in tensor_errors(network, emulated, [rows], features)}
        for state in trial.states:
            wanted = errors[f"{state.name}_out"]
            assert state.rms == pytest.approx(wanted.rms, rel=1e-4)  # float32 sums
            assert state.relative == pytest.approx(wanted.relative, rel=1e-4)


def test_a_profile_that_cannot_be_made_is_a_finding(tmp_path, monkeypatch):
    def refuse(network, ranges, profile):
        if profile.name == "int8":
            raise QuantizeError("int8 has no such thing. Take int8x16")
        return emit(network, ranges, profile)

    monkeypatch.setattr(integers, "emit", refuse)
    found = examined(tmp_path, GRU)
    assert [trial.profile for trial in found.streams.trials] == ["int8x16"]
    assert "no such thing" in found.findings[-1].text


# The page and the command


class Figures(HTMLParser):
    """Ids of the figures, how many hold a plot, and whatever would be fetched."""

    def __init__(self):
        super().__init__()
        self.ids, self.plots, self.fetched, self.open = [], 0, [], []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag not in ("meta", "br", "link", "img"):
            self.open.append(tag)
        if tag == "figure":
            self.ids.append(found["id"])
        if tag == "svg" and "aria-label" in found:
            self.plots += 1
        if tag in ("script", "link", "iframe"):
            self.fetched.append(tag)
        self.fetched += [value for name, value in attributes
                         if name in ("src", "href", "xlink:href")
                         and not value.startswith(("#", "data:"))]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def command(*arguments, blocked=()):
    code = (f"import sys\nfor name in {blocked!r}: sys.modules[name] = None\n"
            f"from edgernn.cli.main import main\nmain({['diagnose', *map(str, arguments)]!r})")
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_the_command_writes_a_page_that_stands_alone_without_tensorflow(tmp_path):
    run = write_run(tmp_path / "run", LSTM, GRU)
    done = command(run, blocked=("tensorflow", "keras"))
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["report"] == str(run / "diagnose.html")
    assert printed["gradient"]["verdict"] in ("vanishing", "healthy", "exploding")
    assert [state["name"] for state in printed["states"]] == ["lstm0_h", "lstm0_c", "gru1_h"]
    assert "Gradient" in done.stderr
    parsed = Figures()
    parsed.feed((run / "diagnose.html").read_text(encoding="utf-8"))
    assert parsed.open == []
    assert parsed.fetched == []
    states = ("lstm0_h", "lstm0_c", "gru1_h")
    assert set(parsed.ids) == {
        "gradient", "gradient-states", "gates", "stream", "forgetting",
        *(f"gate-{gate['name']}" for gate in printed["gates"]),
        *(f"{kind}-{name}" for kind in ("state", "updates", "worst") for name in states)}
    assert parsed.plots == len(parsed.ids)


@pytest.mark.slow
def test_the_same_run_gives_the_same_page(tmp_path):
    run = write_run(tmp_path / "run", RNN, count=8)
    assert page(diagnose(run)) == page(diagnose(run))


def test_as_many_sequences_as_asked_for_are_looked_at(tmp_path):
    run = write_run(tmp_path / "run", RNN)
    assert summary(diagnose(run, 3))["sequences"] == 3
    assert summary(diagnose(run, 1000))["sequences"] == 12


def test_one_sequence_of_one_frame_is_enough(tmp_path):
    found = examined(tmp_path, GRU, count=2, longest=1)
    assert found.frames == 1
    assert "<figure" in page(found)


def _no_sequences(run):
    whole = Sequences.load(run / "sequences.npz")
    whole.where(whole.lengths < 0).save(run / "sequences.npz")


def _nan(run):
    with np.load(run / "weights.npz") as file:
        arrays = dict(file)
    arrays["0/kernel"][0, 0] = np.nan
    np.savez(run / "weights.npz", **arrays)


def _no_architecture(run):
    (run / "architecture.json").unlink()


@pytest.mark.parametrize(("harm", "said"), [
    (_no_sequences, "0 sequences"), (_nan, "training diverged"),
    (_no_architecture, "architecture.json is missing")])
def test_a_run_that_cannot_be_examined_is_one_clear_error(tmp_path, harm, said):
    run = write_run(tmp_path / "run", GRU)
    harm(run)
    done = command(run)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (run / "diagnose.html").exists()


def test_a_network_without_a_state_is_one_clear_error(tmp_path):
    run = write_run(tmp_path / "run", Layer("dense", 6, "relu"))
    done = command(run)
    assert done.returncode == 1
    assert "no layer with a state" in done.stderr


def test_a_state_that_grows_without_bound_is_one_clear_error(tmp_path):
    def edit(arrays):
        arrays["0/recurrent_kernel"] = np.eye(8, dtype=np.float32) * 30

    done = command(write_run(tmp_path / "run", Layer("simple_rnn", 8, "relu"), edit=edit))
    assert done.returncode == 1
    assert "simple_rnn0_" in done.stderr
    assert "stays bounded" in done.stderr


def test_missing_matplotlib_is_said_before_the_work(tmp_path):
    done = command(write_run(tmp_path / "run", GRU), blocked=("matplotlib",))
    assert done.returncode == 1
    assert 'pip install "edgernn[train]"' in done.stderr
