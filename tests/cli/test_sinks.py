"""Where detections go, from the command line."""

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgernn.spec import LogMelSpec
from edgernn.train.architecture import Layer
from tests.cli.test_cli import RATE, edgernn, fails
from tests.models import write_model


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    """Arguments under which two seconds of noise are detected a few times."""
    folder = tmp_path_factory.mktemp("sinks")
    wav = folder / "noise.wav"
    soundfile.write(wav, np.random.default_rng(0).normal(0, 0.1, 2 * RATE), RATE)
    model = write_model(folder / "kws.tflite", Layer("gru", 8), frontend=LogMelSpec())
    return ("stream", "--model", model, "--input", wav, "--threshold", "0.01",
            "--refractory-ms", "200")


def summary(done):
    return json.loads(done.stderr.decode().splitlines()[-1].removeprefix("edgernn: "))


def test_a_command_and_a_log_get_every_detection_of_a_recording(stream, tmp_path):
    ran, log = tmp_path / "ran", tmp_path / "log"
    done = edgernn(*stream, "--exec", f"cat >> {shlex.quote(str(ran))}", "--exec-shell",
                   "--log", log)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) > 1
    assert [json.loads(line) for line in ran.read_text().splitlines()] == found
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    assert all(line.pop("utc") for line in logged)
    assert logged == found
    assert summary(done)["sinks_dropped"] == 0


def test_a_command_that_hangs_and_one_that_talks_spoil_nothing_on_stdout(stream):
    plain = edgernn(*stream)
    done = edgernn(*stream, "--exec", "echo talk; sleep 60", "--exec-shell",
                   "--exec-timeout-s", "0.1")
    assert done.returncode == 0
    assert done.stdout == plain.stdout
    stderr = done.stderr.decode()
    assert stderr.count("was killed") == 1, "told once"
    assert "talk" in stderr
    assert summary(done)["sinks_dropped"] == len(plain.stdout.splitlines())


def test_a_sink_that_cannot_work_is_one_clear_error_before_the_stream(stream, tmp_path):
    fails(edgernn(*stream, "--exec", "no-such-program-here"), 1, "no-such-program-here")
    fails(edgernn(*stream, "--log", tmp_path / "none" / "log"), 1, "cannot be written")
    fails(edgernn(*stream, "--log", tmp_path / "log", "--log-mb", "0"), 2, "--log-mb")


@pytest.mark.slow
def test_a_live_stream_whose_stdout_nobody_reads_goes_on_and_ends_when_told():
    script = Path(__file__).with_name("blocked_stdout.py")
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    stderr = ""
    while "ready" not in stderr:  # the pipe holds some 150 lines, the queue 512
        stderr += (line := process.stderr.readline())
        assert line, stderr
    process.send_signal(signal.SIGTERM)
    stderr += process.stderr.read()  # while stdout stays unread
    assert process.wait(20) == 0, stderr
    told = json.loads(stderr.splitlines()[-1])
    assert told["dropped"] > 1000
    assert stderr.count("stdout does not keep up") == 1
    process.stdout.close()
