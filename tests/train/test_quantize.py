"""From a run folder to one file, without TensorFlow."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from edgernn import bundle
from edgernn.errors import ConfigError, ModelError, QuantizeError
from edgernn.step import StepModel
from edgernn.train.architecture import Layer
from edgernn.train.quantize import quantize_run
from edgernn.train.sequences import Sequences
from tests import networks


def write_run(folder, *layers, labels=4):
    """A run folder as `edgernn train` writes it, of a network with random weights."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = networks.architecture(*(layers or (Layer("gru", 12),)), labels=labels)
    (folder / "architecture.json").write_text(shape.to_json())
    plain = tuple(dataclasses.replace(layer, activation="") for layer in shape.layers)
    np.savez(folder / "weights.npz", **networks.arrays(plain, shape.features))
    rows = networks.sequences(shape.features, count=60)
    split = np.array(["train"] * 30 + ["validation"] * 10 + ["test"] * 20)
    Sequences(np.concatenate(rows), np.array([len(r) for r in rows]),
              np.arange(60) % labels, split).save(folder / "sequences.npz")
    return folder


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run")


def test_the_model_is_whole_and_as_accurate_as_the_report_says(run, tmp_path):
    report = quantize_run(run, tmp_path / "kws.tflite")
    assert (report.split, report.sequences) == ("test", 20)
    assert report.bytes == report.path.stat().st_size
    assert report.state_bytes == 24  # twelve int16
    model = StepModel.open(report.path, "emulator")
    test = Sequences.load(run / "sequences.npz").of_split("test")
    right = 0
    for rows, label in zip(test, test.labels, strict=True):
        model.reset()
        for row in rows:
            scores = model.step(row)
        right += scores.argmax() == label
    assert report.integers["reset"] == right / 20
    assert model.spec.metrics["test_int8x16_reset"] == pytest.approx(right / 20)


def test_the_worst_tensors_come_first_and_are_named(run, tmp_path):
    worst = quantize_run(run, tmp_path / "kws.tflite").worst
    assert len(worst) == 5
    assert [w.relative for w in worst] == sorted((w.relative for w in worst), reverse=True)
    assert all(0 < w.rms < 1 for w in worst)
    names = {t.name for t in StepModel.open(tmp_path / "kws.tflite").graph.tensors}
    assert {w.name for w in worst} <= names


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["int8", "int8x16", "int16x8"])
def test_every_profile_can_be_made(run, tmp_path, profile):
    report = quantize_run(run, tmp_path / "kws.tflite", profile)
    assert bundle.read(report.path).spec.profile == profile
    # Random scores lie close together; one of twenty sequences may tip over.
    assert abs(report.integers["reset"] - report.floats["reset"]) <= 0.1


def test_per_tensor_weights_make_a_smaller_model(run, tmp_path):
    large = quantize_run(run, tmp_path / "a.tflite").bytes
    assert quantize_run(run, tmp_path / "b.tflite", per_channel=False).bytes < large


@pytest.mark.slow
def test_the_same_run_gives_the_same_bytes(run, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    quantize_run(run, tmp_path / "a.tflite")
    quantize_run(run, tmp_path / "b.tflite")
    assert (tmp_path / "a.tflite").read_bytes() == (tmp_path / "b.tflite").read_bytes()


def test_quantizing_needs_no_tensorflow(run, tmp_path):
    code = ("import sys\nfor name in ('tensorflow', 'keras'): sys.modules[name] = None\n"
            "from edgernn.cli.main import main\n"
            f"main(['quantize', {str(run)!r}, '--out', {str(tmp_path / 'kws.tflite')!r}])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["split"] == "test"
    for word in ("size", "ops", "state carried over", "farthest from float"):
        assert word in done.stderr


@pytest.mark.parametrize("missing", ["architecture.json", "weights.npz", "sequences.npz"])
def test_an_incomplete_run_is_refused_and_the_old_model_kept(run, tmp_path, missing):
    out = tmp_path / "kws.tflite"
    out.write_bytes(b"the old one")
    (run / missing).unlink()
    with pytest.raises((ModelError, QuantizeError), match=r"edgernn train"):
        quantize_run(run, out)
    assert out.read_bytes() == b"the old one"


@pytest.mark.parametrize(("layer", "reason"), [
    (Layer("simple_rnn", 8, activation="gelu"), "tanh"),
    (Layer("dense", 8, activation="gelu"), "gelu"),
    (Layer("conv2d", 8), "conv2d")])
def test_what_a_step_cannot_represent_is_refused_with_the_reason(tmp_path, layer, reason):
    run = write_run(tmp_path / "run", layer)
    with pytest.raises(QuantizeError, match=reason):
        quantize_run(run, tmp_path / "kws.tflite")


def test_weights_of_a_diverged_training_are_refused(run, tmp_path):
    with np.load(run / "weights.npz") as file:
        arrays = dict(file)
    arrays["0/kernel"][0, 0] = np.nan
    np.savez(run / "weights.npz", **arrays)
    with pytest.raises(QuantizeError, match="diverged"):
        quantize_run(run, tmp_path / "kws.tflite")


def test_frames_of_another_width_are_refused(run, tmp_path):
    sequences = Sequences.load(run / "sequences.npz")
    dataclasses.replace(sequences, rows=sequences.rows[:, :3]).save(run / "sequences.npz")
    with pytest.raises(QuantizeError, match="3 wide"):
        quantize_run(run, tmp_path / "kws.tflite")


def test_an_unknown_profile_names_those_there_are(run, tmp_path):
    with pytest.raises(ConfigError, match="int8x16"):
        quantize_run(run, tmp_path / "kws.tflite", "int4")


def test_a_place_that_cannot_be_written_is_one_clear_error(run):
    done = subprocess.run([sys.executable, "-m", "edgernn", "quantize", str(run), "--out",
                           "/nowhere/kws.tflite"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "/nowhere/kws.tflite cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def quantize_command(*arguments):
    return subprocess.run([sys.executable, "-m", "edgernn", "quantize", *map(str, arguments)],
                          capture_output=True, text=True)


def test_for_the_edge_tpu_only_what_it_maps_is_made(run, tmp_path):
    from edgernn.lint import RUNS, lint

    out = tmp_path / "tpu.tflite"
    done = quantize_command(run, "--out", out, "--target", "edgetpu")
    assert done.returncode == 0, done.stderr
    whole = bundle.read(out)
    assert {each.state for each in lint(whole.graph, ["edgetpu"])} == {RUNS}
    assert whole.spec.profile == "int8"
    assert all(len(tensor.scales) <= 1 for tensor in whole.graph.tensors)
    assert json.loads(done.stdout)["model"] == str(out)


def test_what_the_edge_tpu_does_not_map_is_refused_and_not_written(tmp_path):
    run, out = write_run(tmp_path / "lstm", Layer("lstm", 8)), tmp_path / "tpu.tflite"
    done = quantize_command(run, "--out", out, "--target", "edgetpu")
    assert (done.returncode, done.stdout, out.exists()) == (1, "", False)
    assert "lstm0_" in done.stderr
    assert "an LSTM's cell state has 16 bits" in done.stderr
    done = quantize_command(run, "--out", out, "--target", "edgetpu", "--profile", "int8x16")
    assert done.returncode == 2


def test_when_the_state_begins_anew_is_stored_with_the_model(run, tmp_path):
    out = tmp_path / "kws.tflite"
    done = quantize_command(run, "--out", out, "--reset-state", "overlap")
    assert done.returncode == 0, done.stderr
    assert bundle.read(out).spec.drift.policy == "overlap"
    StepModel.open(out, "emulator")
