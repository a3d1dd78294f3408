"""`edgernn devices`, with a real microphone and without."""

import json
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest

from edgernn.cli.level_meter import WIDTH, level, picture
from tests.cli.test_terminal import on_a_terminal
from tests.sources.pulse import NEEDS


def devices(*arguments):
    done = subprocess.run([sys.executable, "-m", "edgernn", "devices", *arguments],
                          capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    return done


def test_levels_are_those_of_a_sine():
    sine = np.rint(16384 * np.sin(np.arange(16000) / 5)).astype(np.int16)
    assert level(sine, 1.0) == {"time_s": 1.0, "peak_dbfs": -6.0, "rms_dbfs": -9.0}
    assert level(0 * sine, 2.0) == {"time_s": 2.0, "peak_dbfs": None, "rms_dbfs": None}


def test_the_bar_is_as_long_as_the_sound_is_loud():
    lines = [picture({"peak_dbfs": peak, "rms_dbfs": rms, "clipped": clipped})
             for peak, rms, clipped in ((None, None, 0), (-90, -95, 0), (-20, -40, 0), (0, 0, 7))]
    assert [(line.count("█"), line.count("░")) for line in lines] == [
        (0, 0), (0, 0), (WIDTH // 2, WIDTH // 4), (WIDTH, 0)]
    assert "-inf" in lines[0]
    assert "clips: 7 samples" in lines[3]
    assert "clips" not in lines[2]


@pytest.mark.parametrize("arguments", [("--seconds", "2"), ("--channel", "2")])
def test_an_option_that_means_nothing_without_level_is_refused(arguments):
    done = devices(*arguments)
    assert done.returncode == 2
    assert "--level" in done.stderr


@pytest.mark.slow
def test_microphones_are_listed_and_measured(start_pulse, tmp_path, monkeypatch):
    soundfile = pytest.importorskip("soundfile", reason='pip install "edgernn[audio]"')
    pytest.importorskip("sounddevice", reason=f'pip install "edgernn[audio]" && {NEEDS}')
    for name, value in start_pulse(rate=48000).environment.items():
        monkeypatch.setenv(name, value)
    listed = json.loads(devices("--json").stdout)
    if "pulse" not in [device["name"] for device in listed]:
        pytest.skip(f"PortAudio sees no PulseAudio: {NEEDS}")
    assert [device["default"] for device in listed].count(True) == 1
    assert all(device["accepts_16khz"] for device in listed if device["name"] == "pulse")
    assert re.search(r"│ pulse +│ +\d+ │", devices().stdout)

    sine = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48000 * 20) / 48000)
    soundfile.write(tmp_path / "sine.wav", sine, 48000)
    with subprocess.Popen(["paplay", "--device=out", str(tmp_path / "sine.wav")],
                          env=os.environ) as player:
        time.sleep(2)
        lines = [json.loads(line) for line in
                 devices("--level", "pulse", "--seconds", "4").stdout.splitlines()]
        _, shown = on_a_terminal("devices", "--level", "pulse", "--seconds", "2", stdout_too=True)
        player.kill()
    assert lines[-1] == pytest.approx({"time_s": lines[-1]["time_s"], "peak_dbfs": -6.0,
                                       "rms_dbfs": -9.0, "clipped": 0}, abs=0.3)
    assert [line["time_s"] for line in lines] == pytest.approx(
        [0.5 * (i + 1) for i in range(len(lines))], abs=0.1)
    assert "█" in shown
    assert "dBFS" in shown
