"""From a Keras file and frames to a model file, by the command line's own path."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from edgernn import bundle
from edgernn.errors import ConfigError, DataError, EdgernnError, QuantizeError
from edgernn.step import StepModel
from edgernn.train import keras_quantize
from edgernn.train.keras_quantize import quantize_keras

keras = pytest.importorskip("keras", reason="the extra `train` is not installed")
pytestmark = pytest.mark.slow  # TensorFlow takes seconds to load

L = keras.layers
MASK = -7.0


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("keras") / "model.keras"
    keras.Sequential([keras.Input((None, 5)), L.Masking(MASK), L.GRU(8),
                      L.Dense(3, activation="softmax")]).save(path)
    return path


def padded(count=30, seed=0):
    """A padded batch of sequences, the padding at the mask's value."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (count, 12, 5)).astype(np.float32)
    for row, length in zip(x, rng.integers(1, 13, count), strict=True):
        row[length:] = MASK
    return x


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


def right(model, x):
    """What the Keras model itself says of sequences."""
    return np.asarray(keras.saving.load_model(model)(x)).argmax(axis=1)


def test_labelled_frames_are_measured(model, tmp_path):
    x = padded()
    data = saved(tmp_path / "frames.npz", x=x, y=right(model, x))
    report = quantize_keras(model, data, tmp_path / "m.tflite")
    assert report.floats["reset"] == 1.0
    assert report.integers["reset"] > 0.8
    assert (report.split, report.sequences) == ("calibration", 30)
    spec = bundle.read(tmp_path / "m.tflite").spec
    assert spec.labels == ("class_0", "class_1", "class_2")
    assert spec.metrics["calibration_float_reset"] == 1.0


def test_labels_match_by_name(model, tmp_path):
    x = padded()
    data = saved(tmp_path / "frames.npz", x=x, y=np.array(["go", "up", "on"])[right(model, x)])
    report = quantize_keras(model, data, tmp_path / "m.tflite", labels=("go", "up", "on"))
    assert report.floats["reset"] == 1.0
    assert bundle.read(tmp_path / "m.tflite").spec.labels == ("go", "up", "on")
    told = []
    report = quantize_keras(model, data, tmp_path / "m.tflite", tell=told.append)
    assert report.floats == {}
    assert "--labels" in told[0]


def test_a_label_on_each_frame_is_asked_on_each_frame(tmp_path):
    path = tmp_path / "model.keras"
    each = keras.Sequential([keras.Input((None, 5)), L.GRU(8, return_sequences=True),
                             L.Dense(3, activation="softmax")])
    each.save(path)
    x = padded()
    y = np.asarray(each(x)).argmax(axis=2)
    data = saved(tmp_path / "frames.npz", frames=x, y=y)
    report = quantize_keras(path, data, tmp_path / "m.tflite")
    assert report.floats["reset"] == 1.0
    assert bundle.read(tmp_path / "m.tflite").spec.task == "label"


def test_a_number_is_measured_in_its_own_unit(tmp_path):
    path = tmp_path / "model.keras"
    number = keras.Sequential([keras.Input((None, 5)), L.LSTM(8), L.Dense(1)])
    number.save(path)
    x = padded()
    data = saved(tmp_path / "frames.npz", x=x, y=np.asarray(number(x))[:, 0])
    report = quantize_keras(path, data, tmp_path / "m.tflite")
    assert report.floats["reset"] < 1e-5
    assert bundle.read(tmp_path / "m.tflite").spec.task == "regress"


def test_masked_frames_are_left_out_of_the_calibration(model, tmp_path):
    data = saved(tmp_path / "frames.npz", frames=padded())
    quantize_keras(model, data, tmp_path / "m.tflite")
    x = StepModel.open(tmp_path / "m.tflite", "emulator").graph.tensor("x")
    assert x.qtype.scale * 127 < -MASK


def test_sequences_of_many_lengths_may_be_an_array_each(model, tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "f.npz", *[rng.normal(size=(n, 5)) for n in (3, 9, 20)])
    assert quantize_keras(model, tmp_path / "f.npz", tmp_path / "m.tflite").sequences == 3


def test_tokens_are_given_by_number_with_their_vocabulary(tmp_path):
    path = tmp_path / "model.h5"
    keras.Sequential([keras.Input((None,), dtype="int32"), L.Embedding(6, 4, mask_zero=True),
                      L.GRU(5), L.Dense(2, activation="softmax")]).save(path)
    rng = np.random.default_rng(0)
    data = saved(tmp_path / "f.npz", frames=rng.integers(0, 6, (20, 9)), y=np.arange(20) % 2)
    with pytest.raises(QuantizeError, match="--vocabulary"):
        quantize_keras(path, data, tmp_path / "m.tflite")
    (tmp_path / "words.txt").write_text("a\nb\nc\nd\n")
    report = quantize_keras(path, data, tmp_path / "m.tflite", vocabulary=tmp_path / "words.txt")
    assert report.floats
    step = StepModel.open(tmp_path / "m.tflite", "emulator")
    assert step.spec.frontend.vocabulary == ("a", "b", "c", "d")
    step.step(np.array([5], np.int32))


def test_without_frames_nothing_is_guessed(model, tmp_path):
    with pytest.raises(ConfigError, match=r"frames to calibrate on were needed.*--calibrate"):
        quantize_keras(model, None, tmp_path / "m.tflite")


@pytest.mark.parametrize(("arrays", "message"), [
    ({"frames": np.zeros((4, 6, 3))}, r"shape \(6, 3\).*\(frames, 5\)"),
    ({"frames": np.full((4, 6, 5), MASK)}, "holds no frame that is not -7"),
    ({"frames": np.full((4, 6, 5), np.nan)}, "NaN"),
    ({"frames": np.zeros((4, 6, 5)), "lengths": np.full(4, 7)}, "one length that fits"),
    ({"frames": np.zeros((4, 6, 5)), "y": np.zeros(3)}, "one y"),
    ({"frames": np.array(["a"])}, "numbers of shape"),
    ({"other": np.zeros((4, 6, 5))}, "holds other"),
    ({"frames": np.zeros((4, 6, 5, 2))}, "frames of shape")])
def test_frames_that_do_not_fit_are_refused(model, tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        quantize_keras(model, saved(tmp_path / "f.npz", **arrays), tmp_path / "m.tflite")


def test_a_step_that_is_not_the_model_is_never_written(model, tmp_path, monkeypatch):
    right_one = keras_quantize.convert

    def wrong(*arguments):
        found = right_one(*arguments)
        found.arrays["0/bias"] += 0.1
        return found

    monkeypatch.setattr(keras_quantize, "convert", wrong)
    data = saved(tmp_path / "f.npz", frames=padded())
    with pytest.raises(QuantizeError, match="from those of the Keras model"):
        quantize_keras(model, data, tmp_path / "m.tflite")
    assert not (tmp_path / "m.tflite").exists()


def test_a_stateful_model_of_fixed_batches_is_taken(tmp_path):
    path = tmp_path / "model.keras"
    fixed = keras.Sequential([keras.Input(batch_shape=(2, 7, 5)),
                              L.LSTM(4, stateful=True, return_sequences=True), L.Dense(1)])
    fixed(padded()[:2, :7])  # leaves a state, which is saved
    fixed.save(path)
    data = saved(tmp_path / "f.npz", frames=padded())
    assert quantize_keras(path, data, tmp_path / "m.tflite").state_bytes


def run(*arguments):
    # This process has silenced TensorFlow by a variable that would let it speak in that one.
    env = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run([sys.executable, "-m", "edgernn", "quantize", *map(str, arguments)],
                          capture_output=True, text=True, env=env)


def test_the_command_takes_a_keras_file(model, tmp_path):
    x = padded()
    data = saved(tmp_path / "f.npz", x=x, y=right(model, x))
    done = run(model, "--calibrate", data, "--labels", "a,b,c", "--out", tmp_path / "m.tflite",
               "--profile", "int8")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["bytes"] == (tmp_path / "m.tflite").stat().st_size
    assert "farthest from float" in done.stderr


def test_a_refusal_is_one_line_and_leaves_the_old_model(tmp_path):
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((None, 5)), L.Bidirectional(L.GRU(4), name="both"),
                      L.Dense(2, activation="softmax")]).save(path)
    out = tmp_path / "m.tflite"
    out.write_bytes(b"the old one")
    done = run(path, "--calibrate", saved(tmp_path / "f.npz", frames=padded()), "--out", out)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Bidirectional 'both'" in done.stderr
    assert out.read_bytes() == b"the old one"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.npz", "m.tflite", "model.keras"]


def test_options_of_a_keras_model_are_refused_of_a_run(tmp_path):
    done = run(tmp_path, "--labels", "a,b", "--out", tmp_path / "m.tflite")
    assert done.returncode == 2
    assert "for a Keras model" in done.stderr


@pytest.mark.parametrize("labels", [("a/b", "c", "d"), ("a", "b")])
def test_labels_that_cannot_be_are_refused(model, tmp_path, labels):
    data = saved(tmp_path / "f.npz", frames=padded())
    with pytest.raises(EdgernnError, match="label"):
        quantize_keras(model, data, tmp_path / "m.tflite", labels=labels)
