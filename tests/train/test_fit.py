"""A run folder: complete, repeatable, or not there."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from edgernn.errors import ConfigError, DataError, OutputError
from edgernn.train.config import TrainConfig, load
from edgernn.train.dataset import AudioSet, Recording, SensorSet
from edgernn.train.fit import fit, teach
from edgernn.train.folder import refuse_existing
from edgernn.train.material import prepare
from edgernn.train.measure import measure
from edgernn.train.network import Network
from edgernn.train.reference import FloatModel
from edgernn.train.sequences import Sequences

SPLITS = ("train", "train", "validation", "test")
QUICK = {"units": 8, "epochs": 2, "patience": 2}


def sensor_set(count=80):
    """Two kinds of sequences: one rises, the other falls."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    lengths = rng.integers(5, 12, count)
    rows = [rng.normal(0, 0.3, (n, 3)) + 20 + np.outer(np.arange(n) * (1 - 2 * label), [1, 0, 0])
            for n, label in zip(lengths, labels, strict=True)]
    split = np.array([SPLITS[i // 2 % 4] for i in range(count)], "U10")
    return SensorSet(("falls", "rises"), Sequences(np.concatenate(rows).astype(np.float32),
                                                   lengths, labels, split), ("x", "y", "z"), 50.0)


def audio_set(rate=16000):
    """Low and high tones with gaps of noise."""
    rng = np.random.default_rng(0)
    recordings, samples = [], []
    for i in range(16):
        label, hz = (("low", 300), ("high", 2500))[i % 2]
        t = np.arange(int(rng.uniform(0.3, 0.5) * rate)) / rate
        clip = 4000 * np.sin(2 * np.pi * hz * t) + rng.normal(0, 30, len(t))
        samples.append(np.pad(clip, rate // 10).astype(np.int16))
        recordings.append(Recording(Path(f"{i}.wav"), label, split=SPLITS[i // 2 % 4]))
    return AudioSet(("high", "low"), tuple(recordings), tuple(samples), rate)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    out = tmp_path_factory.mktemp("fit") / "run"
    fit(TrainConfig(units=8, epochs=30, patience=10, batch=4, learning_rate=0.01),
        sensor_set(), out)
    return out


@pytest.mark.slow
def test_a_run_folder_has_all_that_was_promised(run):
    assert {p.name for p in run.iterdir()} == {
        "config.yaml", "history.csv", "model.keras", "weights.npz", "architecture.json",
        "sequences.npz", "metrics.json"}
    assert load(run / "config.yaml").units == 8
    assert set(yaml.safe_load((run / "config.yaml").read_text())) > {"seed", "join"}
    history = (run / "history.csv").read_text().splitlines()
    metrics = json.loads((run / "metrics.json").read_text())
    assert history[0] == "epoch,loss,reset,carry,seconds"
    assert len(history) == 1 + metrics["epochs"]


@pytest.mark.slow
def test_it_learns_what_is_easy_with_the_state_reset_and_carried(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test_float_reset"] >= 0.9
    assert metrics["test_float_carry"] >= 0.9


@pytest.mark.slow
def test_metrics_are_those_of_the_weights_that_were_written(run):
    network = Network.load(run)
    test = Sequences.load(run / "sequences.npz").of_split("test")
    found = measure(network.architecture, FloatModel(network), list(test), test)
    metrics = json.loads((run / "metrics.json").read_text())
    assert found == {name: metrics[f"test_float_{name}"] for name in ("reset", "carry")}


@pytest.mark.slow
def test_the_best_epoch_s_weights_are_kept(run):
    lines = [line.split(",") for line in (run / "history.csv").read_text().splitlines()[1:]]
    streaming = [(float(reset) + float(carry)) / 2 for _, _, reset, carry, _ in lines]
    metrics = json.loads((run / "metrics.json").read_text())
    assert streaming[metrics["best_epoch"] - 1] == max(streaming)
    assert metrics["validation_float_carry"] == float(lines[metrics["best_epoch"] - 1][3])


@pytest.mark.slow
def test_the_keras_file_holds_the_same_weights(run):
    import keras

    model = keras.models.load_model(run / "model.keras", compile=False)
    with np.load(run / "weights.npz") as weights:
        test = Sequences.load(run / "sequences.npz").of_split("test")
        expected = model.predict(test[0][None], verbose=0)[0]
        step = FloatModel.build(Network.load(run).architecture, dict(weights))
        np.testing.assert_allclose(step.run(test[0][None], [len(test[0])])[0], expected,
                                   atol=2e-6)  # float32 sums in another order


@pytest.mark.slow
@pytest.mark.parametrize("data", [sensor_set, audio_set])
def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path, data):
    config = {**QUICK, "mels": 20}
    for name, seed in (("first", 5), ("again", 5), ("other", 6)):
        fit(TrainConfig(**config, seed=seed), data(), tmp_path / name)
    weights = {name: dict(np.load(tmp_path / name / "weights.npz"))
               for name in ("first", "again", "other")}
    for key, value in weights["first"].items():
        np.testing.assert_array_equal(weights["again"][key], value)
    assert (weights["other"]["0/kernel"] != weights["first"]["0/kernel"]).any()


@pytest.mark.slow
def test_what_goes_on_from_other_weights_begins_with_them(run, tmp_path):
    with np.load(run / "weights.npz") as weights:
        start = dict(weights)
    still = TrainConfig(units=8, epochs=1, batch=4, learning_rate=1e-9)
    teach(still, prepare(still, sensor_set()), tmp_path / "on", start=start)
    teach(still, prepare(still, sensor_set()), tmp_path / "anew")
    with np.load(tmp_path / "on" / "weights.npz") as on, \
            np.load(tmp_path / "anew" / "weights.npz") as anew:
        for name, value in start.items():
            np.testing.assert_allclose(on[name], value, atol=1e-6)
        assert np.abs(anew["0/kernel"] - start["0/kernel"]).max() > 0.01


@pytest.mark.slow
def test_a_spotter_has_a_label_for_everything_else(tmp_path):
    config = TrainConfig(task="spot", keywords=("high",), scenes=8, mels=20, **QUICK)
    fit(config, audio_set(), tmp_path / "run")
    architecture = Network.load(tmp_path / "run").architecture
    assert architecture.labels == ("_other_", "high")
    assert architecture.detector.thresholds == {"high": 0.5}
    sequences = Sequences.load(tmp_path / "run" / "sequences.npz")
    assert set(sequences.of_split("test").labels) == {0, 1}
    assert len(sequences.of_split("train")) == 8  # the scenes


def test_statistics_come_from_training_rows_alone():
    data = sensor_set()
    rows = data.sequences
    test_rows = np.repeat(rows.split == "test", rows.lengths)
    spoiled = np.where(test_rows[:, None], np.float32(1e6), rows.rows)
    other = SensorSet(data.labels, Sequences(spoiled, rows.lengths, rows.labels, rows.split))
    config = TrainConfig()
    assert prepare(config, other).frontend.mean == prepare(config, data).frontend.mean


def test_nothing_that_is_measured_on_is_trained_on():
    material = prepare(TrainConfig(early_stopping=False), sensor_set())
    assert set(material.held_out.split) == {"test"}
    assert set(material.teacher.sequences.split) == {"train"}
    assert len(material.teacher.sequences) + len(material.held_out) == 80


def test_a_folder_that_is_there_is_not_touched(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    for overwrite in (False, True):  # it is no run folder
        with pytest.raises(OutputError, match="run"):
            refuse_existing(tmp_path / "run", overwrite)
    (tmp_path / "run" / "config.yaml").write_text("")
    with pytest.raises(OutputError, match="--overwrite"):
        refuse_existing(tmp_path / "run", False)
    refuse_existing(tmp_path / "run", True)


def test_what_fails_leaves_nothing_behind(tmp_path):
    with pytest.raises(ConfigError, match="spot"):
        fit(TrainConfig(task="spot"), sensor_set(), tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        fit(TrainConfig(), sensor_set(), tmp_path / "file" / "run")


def test_an_unknown_keyword_is_named():
    with pytest.raises(ConfigError, match="yodel"):
        prepare(TrainConfig(task="spot", keywords=("yodel",)), audio_set())


def test_recordings_of_another_rate_are_refused():
    with pytest.raises(ConfigError, match="8000"):
        prepare(TrainConfig(), audio_set(8000))


@pytest.mark.parametrize(("split", "named"), [("test", "train"), ("train", "validation")])
def test_a_split_that_is_missing_is_named(split, named):
    data = sensor_set()
    rows = data.sequences
    only = Sequences(rows.rows, rows.lengths, rows.labels, np.full(len(rows), split, "U10"))
    with pytest.raises(DataError, match=named):
        prepare(TrainConfig(), SensorSet(data.labels, only))
