"""`edgernn stream` with several models and inputs, a gate, reloading, and kept states."""

import dataclasses
import json
import os
import select
import signal
import subprocess
import sys

import numpy as np
import pytest

from edgernn import bundle
from edgernn.cli.models import BUNDLED
from tests.sounds import RATE

soundfile = pytest.importorskip("soundfile")
DEMO = BUNDLED.with_name("demo.wav")


def stream(*arguments, **options):
    done = subprocess.run([sys.executable, "-m", "edgernn", "stream", *map(str, arguments)],
                          capture_output=True, text=True, timeout=60, **options)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return found, done.stderr, done.returncode


def summary(told):
    return json.loads(told.splitlines()[-1].removeprefix("edgernn: "))


@pytest.fixture(scope="module")
def alone():
    return stream("--input", DEMO)[0]


def test_of_several_models_each_detection_says_which(alone, tmp_path):
    other = tmp_path / "other.tflite"
    other.write_bytes(BUNDLED.read_bytes())
    found, _, code = stream("--model", BUNDLED, "--model", other, "--input", DEMO)
    assert code == 0
    for name in (BUNDLED.stem, "other"):
        assert [{key: value for key, value in each.items() if key != "model"}
                for each in found if each["model"] == name] == alone


def test_of_several_inputs_each_detection_says_which_and_one_that_fails_ends_alone(
        alone, tmp_path):
    half = tmp_path / "half.wav"
    samples, rate = soundfile.read(DEMO, dtype="int16")
    soundfile.write(half, samples[:4 * rate], rate)
    bad = tmp_path / "bad.wav"
    with soundfile.SoundFile(bad, "w", rate, 1, "FLOAT") as file:
        file.write(np.full(RATE, np.nan))
    found, told, code = stream("--input", DEMO, "--input", half, "--input", bad)
    assert code == 0
    for path, want in ((DEMO, alone), (half, alone[:1]), (bad, [])):
        assert [{key: value for key, value in each.items() if key != "input"}
                for each in found if each["input"] == str(path)] == want
    assert f"{bad}: " in told
    assert "the other inputs go on" in told
    assert stream("--input", bad)[2] == 1


def test_behind_a_gate_the_words_are_heard_still(alone):
    found, told, code = stream("--gate", BUNDLED, "--input", DEMO)
    assert code == 0
    assert [each["label"] for each in found] == [each["label"] for each in alone]
    assert 0 < summary(told)["let_through_s"] < summary(told)["heard_s"]


def test_states_go_on_from_a_file_and_begin_anew_where_they_cannot(tmp_path):
    kept = tmp_path / "states"
    options = ("--scores", "--state-file", kept, "--input")
    samples, rate = soundfile.read(DEMO, dtype="int16")
    parts = tmp_path / "first.wav", tmp_path / "second.wav"
    for path, piece in zip(parts, (samples[:3 * rate], samples[3 * rate:]), strict=True):
        soundfile.write(path, piece, rate)
    stream("--state-file", kept, "--input", parts[0])
    went_on, told, _ = stream(*options, parts[1])
    assert f"going on from {kept}" in told
    anew, _, _ = stream("--scores", "--input", parts[1])
    assert went_on != anew
    kept.write_bytes(b"no archive")
    again, told, code = stream(*options, parts[1])
    assert code == 0
    assert again == anew
    assert "begin anew" in told
    assert kept.with_name("states.old").read_bytes() == b"no archive"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
def test_a_threshold_changed_on_the_way_counts_from_there_and_no_sample_is_lost(tmp_path):
    model = tmp_path / "m.tflite"
    model.write_bytes(BUNDLED.read_bytes())
    samples, _ = soundfile.read(DEMO, dtype="int16")
    running = subprocess.Popen(
        [sys.executable, "-m", "edgernn", "stream", "--model", str(model), "--input", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdin
    assert running.stdout
    assert running.stderr
    running.stdin.write(samples[:3 * RATE].tobytes())
    running.stdin.flush()
    first = json.loads(running.stdout.readline())
    whole = bundle.read(model)
    detector = dataclasses.replace(whole.spec.detector, thresholds={"computer": 0.5, "alexa": 1.0})
    bundle.write(model, bundle.attach(
        whole.flatbuffer, dataclasses.replace(whole.spec, detector=detector)))
    running.send_signal(signal.SIGHUP)
    told = ""
    # It looks between two frames, so that there must be some.
    at = 3 * RATE
    while "has changed" not in told and at < 4 * RATE:
        running.stdin.write(samples[at:at + 1600].tobytes())
        running.stdin.flush()
        at += 1600
        try:
            running.wait(0.3)
        except subprocess.TimeoutExpired:
            while select.select([running.stderr], [], [], 0)[0]:
                told += os.read(running.stderr.fileno(), 4096).decode()
    assert "same model, detector as now stored" in told
    rest, err = running.communicate(samples[at:].tobytes(), 30)
    assert first["label"] == "computer"
    assert rest == b""
    assert summary(err.decode())["heard_s"] == round(len(samples) / RATE, 2)
    assert summary(err.decode())["resets"] == 0


def test_what_makes_no_sense_together_says_so(tmp_path):
    for options, message in ((("--input", DEMO, "--input", DEMO, "--scores"), "one input"),
                             (("--model", BUNDLED, "--model", BUNDLED), "twice"),
                             (("--threshold", "no label=0.5"), "no label")):
        _, told, code = stream(*options)
        assert code == 2
        assert message in told
