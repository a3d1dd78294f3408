"""What a terminal shows, and that a pipe beside it gets JSON alone."""

import json
import os
import pty
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from edgernn.spec import LogMelSpec
from edgernn.train.architecture import Layer
from tests.models import write_model

RATE = 16000


def on_a_terminal(*arguments, stdout_too=False):
    """Run edgernn with stderr, and stdout if wanted, on a terminal; give both as bytes."""
    ours, theirs = pty.openpty()
    shown = []

    def collect():
        while True:
            try:
                shown.append(os.read(ours, 65536))
            except OSError:  # how Linux says that the last writer has gone
                return

    process = subprocess.Popen([sys.executable, "-m", "edgernn", *map(str, arguments)],
                               stdout=theirs if stdout_too else subprocess.PIPE, stderr=theirs,
                               stdin=subprocess.DEVNULL,
                               env={**os.environ, "TERM": "xterm", "COLUMNS": "100"})
    os.close(theirs)
    reader = threading.Thread(target=collect)
    reader.start()
    stdout, _ = process.communicate(timeout=120)
    reader.join(10)
    os.close(ours)
    assert process.returncode == 0, b"".join(shown)
    return stdout, b"".join(shown).decode()


@pytest.fixture(scope="module")
def listen(tmp_path_factory):
    """Arguments that stream two seconds of noise and fire at once."""
    folder = tmp_path_factory.mktemp("terminal")
    model = write_model(folder / "kws.tflite", Layer("gru", 8), frontend=LogMelSpec())
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE)
    soundfile.write(folder / "noise.wav", noise, RATE)
    return ("stream", "--model", model, "--input", folder / "noise.wav", "--threshold", "0.01")


@pytest.mark.parametrize("meter", [[], ["--meter"]])
def test_a_pipe_gets_json_alone_whatever_the_terminal_shows(listen, meter):
    stdout, shown = on_a_terminal(*listen, *meter)
    assert [json.loads(line)["label"] for line in stdout.splitlines()]
    assert "\x1b" in shown, "the terminal showed neither bar nor meter"
    assert '"score"' not in shown


def test_the_meter_shows_every_label(listen):
    _, shown = on_a_terminal(*listen, "--meter")
    assert all(f"label{i}" in shown for i in range(4))
    assert "█" in shown


@pytest.mark.parametrize("meter", [[], ["--meter"]])
def test_detections_are_whole_lines_on_a_terminal_too(listen, meter):
    _, shown = on_a_terminal(*listen, *meter, stdout_too=True)
    lines = [line[line.index('{"label"'):] for line in shown.splitlines() if '{"label"' in line]
    assert lines
    assert all({"label", "score", "time_s"} == set(json.loads(line)) for line in lines)


def test_a_meter_without_a_terminal_says_so_and_goes_on(listen):
    done = subprocess.run([sys.executable, "-m", "edgernn", *map(str, listen), "--meter"],
                          capture_output=True, text=True)
    assert done.returncode == 0
    assert "--meter draws on a terminal" in done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()]
