"""The command line as its users meet it: real processes, real files."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from edgernn import bundle
from edgernn.spec import LogMelSpec
from edgernn.train.architecture import Layer
from tests.models import write_model

RATE = 16000


def edgernn(*arguments, data=None, env=None):
    return subprocess.run([sys.executable, "-m", "edgernn", *map(str, arguments)], input=data,
                          capture_output=True, timeout=120, env={**os.environ, **(env or {})})


def fails(done, code, *needed):
    """One clear line on stderr, no traceback, nothing on stdout."""
    stderr = done.stderr.decode()
    assert done.returncode == code, stderr
    assert "Traceback" not in stderr
    assert done.stdout == b""
    for word in needed:
        assert word in stderr
    return stderr


@pytest.fixture(scope="module")
def kws(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "kws.tflite"
    return write_model(path, Layer("gru", 8), frontend=LogMelSpec())


@pytest.fixture(scope="module")
def wav(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "noise.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 2 * RATE), RATE)
    return path


def test_detections_are_json_lines_and_talk_goes_to_stderr(kws, wav):
    done = edgernn("stream", "--model", kws, "--input", wav, "--threshold", "0.01")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found
    assert all(set(d) == {"label", "score", "time_s"} for d in found)
    summary = json.loads(done.stderr.decode().splitlines()[-1].removeprefix("edgernn: "))
    assert summary["heard_s"] == 2.0
    assert summary["detections"] == len(found)


def test_a_pipe_of_samples_gives_what_the_file_gives(kws, wav):
    samples, _ = soundfile.read(wav, dtype="int16")
    by_file = edgernn("stream", "--model", kws, "--input", wav, "--scores")
    by_pipe = edgernn("stream", "--model", kws, "--input", "-", "--scores", data=samples.tobytes())
    assert by_pipe.stdout == by_file.stdout
    assert len(by_file.stdout.splitlines()) >= 98


@pytest.mark.parametrize("backend", ["tflm", "emulator"])
def test_tflm_and_the_emulator_print_the_same(kws, wav, backend):
    if backend == "tflm":
        pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for x86-64 alone")
    exact = edgernn("stream", "--model", kws, "--input", wav, "--scores", "--backend", "emulator")
    found = edgernn("stream", "--model", kws, "--input", wav, "--scores", "--backend", backend)
    assert found.returncode == 0
    assert found.stdout == exact.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_stream_with_a_summary(kws, number):
    process = subprocess.Popen([sys.executable, "-m", "edgernn", "stream", "--model", str(kws),
                                "--input", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    process.stdin.write(np.zeros(RATE, np.int16).tobytes())
    process.stdin.flush()
    process.stderr.readline()  # what runs
    time.sleep(1)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    assert json.loads(stderr.decode().removeprefix("edgernn: "))["heard_s"] == pytest.approx(1.0)


def test_sensor_rows_are_piped_and_bad_ones_held(tmp_path):
    model = write_model(tmp_path / "rows.tflite", features=3)
    rows = "a,b,c\n" + "0.1,0.2,0.3\n" * 5 + "1,2\nnan,1,2\nx,y,z\n" + "0.1,0.2,0.3\n" * 5
    done = edgernn("stream", "--model", model, "--input", "-", "--scores", data=rows.encode())
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if b"scores" in line]
    assert len(lines) == 13  # three of them held
    stderr = done.stderr.decode()
    assert stderr.count("finite numbers were needed") == 1
    assert '"dropped": 3' in stderr


def test_what_is_no_model_is_one_clear_error(tmp_path, wav, kws):
    whole = kws.read_bytes()
    for name, data in {"empty": b"", "text": b"hello there, no model", "short": whole[:5000],
                       "flipped": whole[:3000] + bytes([whole[3000] ^ 1]) + whole[3001:],
                       "bare": bundle.split(whole)[0]}.items():
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(data)
        fails(edgernn("stream", "--model", path, "--input", wav), 1, "edgernn quantize")
        fails(edgernn("info", path), 1, "edgernn: ")
    fails(edgernn("info", tmp_path / "missing.tflite"), 1, "cannot be read")


def test_audio_that_cannot_be_used_is_one_clear_error(tmp_path, kws):
    other = tmp_path / "other.wav"
    soundfile.write(other, np.zeros(8000), 8000)
    fails(edgernn("stream", "--model", kws, "--input", other), 1, "8000", "16000", "sox")
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF????WAVEfmt ")
    fails(edgernn("stream", "--model", kws, "--input", broken), 1, "broken.wav")
    fails(edgernn("stream", "--model", kws, "--input", tmp_path / "none.wav"), 1, "none.wav")
    fails(edgernn("stream", "--model", kws, "--input", "-", data=b""), 1, "edgernn: ")


def test_wrong_use_is_told_apart_from_failure(kws, wav):
    fails(edgernn("stream", "--model", kws, "--input", wav, "--threshold", "loud"), 2, "loud")
    fails(edgernn("stream", "--model", kws, "--input", wav, "--threshold", "dog=0.5"), 2, "dog")
    fails(edgernn("stream", "--model", kws, "--input", wav, "--threshold", "nan"), 2, "nan")
    fails(edgernn("stream", "--model", kws, "--colour"), 2, "--colour")
    fails(edgernn("juggle"), 2, "juggle")


def test_a_defect_is_one_line_unless_debugging(kws, wav):
    code = ("import edgernn.bundle, edgernn.cli.main as m\n"
            "edgernn.bundle.read = lambda path: 1 / 0\n"
            f"m.main(['info', {str(kws)!r}])")
    for debug in ("", "1"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True,
                              env={**os.environ, "EDGERNN_DEBUG": debug})
        assert done.returncode == 1
        assert ("Traceback" in done.stderr.decode()) == bool(debug)


def test_a_reader_that_has_had_enough_is_no_failure(kws, wav):
    shell = (f"{sys.executable} -m edgernn stream --model {kws} --input {wav} --scores | head -1; "
             "exit ${PIPESTATUS[0]}")
    done = subprocess.run(["bash", "-c", shell], capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")
def test_a_full_disk_is_one_clear_error(kws, wav):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-m", "edgernn", "stream", "--model", str(kws),
                               "--input", str(wav), "--scores"], stdout=full,
                              stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"defect" not in done.stderr


def test_the_stored_detector_is_used_unless_told_otherwise(kws, wav):
    stored = edgernn("stream", "--model", kws, "--input", wav).stderr.decode()
    assert "label1 at 0.5, label2 at 0.5, label3 at 0.5" in stored
    told = edgernn("stream", "--model", kws, "--input", wav, "--threshold", "0.9", "--threshold",
                   "label2=0.7").stderr.decode()
    assert "label1 at 0.9, label2 at 0.7, label3 at 0.9" in told


def test_info_says_everything_for_people_and_for_programs(kws):
    tree = json.loads(edgernn("info", kws, "--json").stdout)
    assert tree["labels"] == ["label0", "label1", "label2", "label3"]
    assert tree["states"][0]["dtype"] == "int16"
    assert tree["bytes"]["file"] == kws.stat().st_size
    assert tree["ops"]["FULLY_CONNECTED"] == 7
    table = edgernn("info", kws, env={"COLUMNS": "200"}).stdout.decode()
    for word in ("logmel", "gru0_h_in", "FULLY_CONNECTED", "threshold", tree["model_sha256"]):
        assert word in table


def test_the_version_names_the_interpreters():
    assert "interpreters: " in edgernn("--version").stdout.decode()


@pytest.mark.parametrize("verb", ["train", "quantize", "stream", "info", "bench", "completion"])
def test_every_verb_has_help(verb):
    done = edgernn(verb, "--help")
    assert done.returncode == 0, done.stderr
    assert b"Usage: edgernn" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_completion_script(shell):
    assert b"_EDGERNN_COMPLETE" in edgernn("completion", shell).stdout


def test_completion_offers_verbs():
    done = edgernn(env={"_EDGERNN_COMPLETE": "bash_complete", "COMP_WORDS": "edgernn s",
                        "COMP_CWORD": "1"})
    assert b"stream" in done.stdout
