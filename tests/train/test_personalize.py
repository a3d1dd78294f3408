"""A few clips of one voice teach the last layers; everybody else is remembered."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from edgernn.errors import ConfigError, DataError, OutputError
from edgernn.train.config import TrainConfig
from edgernn.train.dataset import AudioSet, Recording
from edgernn.train.personalize import Settings, dealt, personalize, sample_rate
from edgernn.train.quantize import quantize_run
from tests.cli.test_cli import edgernn, fails
from tests.train.test_fit import audio_set, sensor_set

RATE = 16000
VOICE = {"low": 1800, "high": 3800}
"""Hertz: a voice whose low tone is near the others' high one."""


def tone(hz, rng):
    """A clip of a tone, int16."""
    t = np.arange(int(rng.uniform(0.3, 0.5) * RATE)) / RATE
    return np.pad(4000 * np.sin(2 * np.pi * hz * t) + rng.normal(0, 30, len(t)),
                  RATE // 10).astype(np.int16)


def voice(count=6, tones=VOICE):
    """So many clips of each word, as this voice says them."""
    rng = np.random.default_rng(7)
    made = [(label, tone(hz, rng)) for label, hz in tones.items() for _ in range(count)]
    return AudioSet(tuple(sorted(tones)),
                    tuple(Recording(Path(f"{i}.wav"), label) for i, (label, _) in enumerate(made)),
                    tuple(samples for _, samples in made), RATE)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    from edgernn.train.fit import fit

    out = tmp_path_factory.mktemp("personalize") / "run"
    fit(TrainConfig(units=8, front=6, epochs=40, patience=40, batch=2, learning_rate=0.01,
                    noisy=0.0), audio_set(), out)
    return out


@pytest.fixture(scope="module")
def said(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("personalized") / "run"
    heard = []
    found = personalize(run, voice(), out, Settings(epochs=15, learning_rate=0.01, folds=3),
                        progress=lambda done, total: heard.append((done, total)))
    assert heard == [(i + 1, 60) for i in range(60)]
    return out, found


@pytest.mark.slow
def test_clips_that_were_not_learned_are_heard_better_and_others_no_worse(said):
    _, found = said
    own, others = found["own"], found["others"]
    assert own["of"] == 12
    assert own["before"]["carried"] <= 8
    assert own["after"]["carried"] >= 11
    assert own["after"]["carried"] - own["before"]["carried"] == own["gained"] - own["lost"]
    assert others["before"]["reset"] == others["of"] == others["after"]["reset"]


@pytest.mark.slow
def test_the_first_layers_stay_as_they_were_and_the_last_learn(run, said):
    before, after = np.load(run / "weights.npz"), np.load(said[0] / "weights.npz")
    for name in before.files:
        assert np.array_equal(before[name], after[name]) == name.startswith("0/"), name


@pytest.mark.slow
def test_what_it_writes_is_what_it_says_and_quantizes(said, tmp_path):
    out, found = said
    assert json.loads((out / "personalize.json").read_text()) == found
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["own_after_carried"] == found["own"]["after"]["carried"] / 12
    assert quantize_run(out, tmp_path / "mine.tflite", "int8x16").bytes > 0


@pytest.mark.slow
def test_a_spotter_learns_a_voice_and_hears_other_words_as_nothing_which_is_told(tmp_path):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    from edgernn.train.fit import fit

    fit(TrainConfig(task="spot", keywords=("low",), units=8, epochs=2, scenes=12, mels=20,
                    patience=2), audio_set(), tmp_path / "run")
    told = []
    found = personalize(tmp_path / "run", voice(2), tmp_path / "out", Settings(epochs=1, folds=2),
                        tell=told.append)
    assert found["own"]["of"] == 4
    assert "does not listen for high, but for low" in told[0]


@pytest.mark.slow
def test_the_verb_prints_one_json_line_and_writes_over_only_if_told_to(run, tmp_path, capfd):
    clips = voice(2)
    for recording, samples in zip(clips.recordings, clips.samples, strict=True):
        path = tmp_path / "clips" / recording.label / recording.path
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE)
    done = edgernn("personalize", run, "--clips", tmp_path / "clips", "--out", tmp_path / "mine",
                   "--epochs", 1, "--folds", 2)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["own"]["of"] == 4
    assert b"this voice" in done.stderr
    fails(edgernn("personalize", run, "--clips", tmp_path / "clips", "--out", tmp_path / "mine"),
          1, "there already")
    done = edgernn("personalize", run, "--clips", tmp_path / "clips", "--out", tmp_path / "mine",
                   "--epochs", 2, "--folds", 2, "--overwrite")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "mine" / "personalize.json").read_text())["epochs"] == 2


@pytest.mark.slow
def test_what_cannot_be_learned_is_named(run, tmp_path):
    with pytest.raises(DataError, match="hum"):
        personalize(run, voice(2, {"hum": 100, "low": 300}), tmp_path / "a")
    with pytest.raises(DataError, match="one clip alone"):
        personalize(run, voice(1), tmp_path / "a")
    with pytest.raises(ConfigError, match="3 layers"):
        personalize(run, voice(2), tmp_path / "a", Settings(layers=9))
    (tmp_path / "there").mkdir()
    with pytest.raises(OutputError, match="there already"):
        personalize(run, voice(2), tmp_path / "there")
    with pytest.raises(OutputError, match="read here"):
        personalize(run, voice(2), run, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.slow
def test_a_run_of_sensor_rows_is_refused(tmp_path):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    from edgernn.train.fit import fit

    fit(TrainConfig(units=4, epochs=1, patience=1), sensor_set(), tmp_path / "run")
    with pytest.raises(ConfigError, match="standardize"):
        sample_rate(tmp_path / "run")


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(2, 6))
def test_every_clip_is_judged_once_and_each_label_is_dealt_evenly(labels, folds):
    codes = np.array(labels + labels)
    parts = dealt(codes, folds)
    assert sorted(np.concatenate(parts)) == list(range(len(codes)))
    for label in set(labels):
        counts = [int((codes[part] == label).sum()) for part in parts]
        assert max(counts) - min(counts) <= 1
