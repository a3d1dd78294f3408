"""The whole way of sound: paplay, PulseAudio, ALSA, PortAudio, sounddevice, Microphone."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.sources.pulse import NEEDS, Pulse

soundfile = pytest.importorskip("soundfile", reason='pip install "edgernn[audio]"')
pytest.importorskip("sounddevice", reason=f'pip install "edgernn[audio]" && {NEEDS}')
pytestmark = pytest.mark.slow

# A process of its own: PortAudio looks for devices once, when it is first imported.
RECORD = """
import json, sys
import numpy as np
from edgernn.errors import SourceError
from edgernn.sources import Microphone, list_devices
seconds, path = float(sys.argv[1]), sys.argv[2]
parts, message, at = [], "", 0
with Microphone(16000, 320, "pulse") as microphone:
    try:
        for frame in microphone:
            at += frame.gap
            assert frame.time_s == at / 16000 and frame.samples.shape == (320,)
            at += 320
            parts.append(frame.samples)
            if len(parts) == 1:
                print("listening", flush=True)
            if frame.time_s > seconds:
                break
    except SourceError as problem:
        message = str(problem)
np.save(path, np.concatenate(parts))
print(json.dumps({"overflows": microphone.overflows, "dropped": microphone.dropped,
                  "message": message, "names": [device.name for device in list_devices()]}))
"""


@pytest.fixture
def pulse(tmp_path):
    daemon = Pulse(tmp_path)
    yield daemon
    daemon.close()


def record(pulse, seconds, path):
    """Start recording; return once the first block is in, or skip without ALSA's plugin."""
    process = subprocess.Popen([sys.executable, "-c", RECORD, str(seconds), str(path)],
                               env=pulse.environment, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    if process.stdout.readline() != "listening\n":
        problem = process.communicate(timeout=60)[1]
        if "pulse is no device" in problem or "No microphone was found" in problem:
            pytest.skip(f"PortAudio sees no PulseAudio: {NEEDS}")
        raise AssertionError(problem[-2000:])
    return process


def test_what_is_played_is_what_the_microphone_hears(pulse, tmp_path):
    rng = np.random.default_rng(0)
    played = (rng.normal(0, 4000, 32000) * np.repeat(rng.uniform(0, 1, 32), 1000)).astype(np.int16)
    soundfile.write(tmp_path / "played.wav", played, 16000)
    process = record(pulse, 7, tmp_path / "heard.npy")
    time.sleep(2)  # a null sink wakes slowly, and hurries after
    pulse.play(tmp_path / "played.wav")
    out, problem = process.communicate(timeout=60)
    assert process.returncode == 0, problem
    heard = np.load(tmp_path / "heard.npy").astype(float)
    points = 1 << 18
    match = np.fft.irfft(np.fft.rfft(heard, points) * np.conj(np.fft.rfft(played, points)))
    lag = int(np.argmax(match[:heard.size]))
    # Nothing on this way resamples: the same samples come out, in order and in full.
    excerpt = heard[lag:lag + played.size]
    assert np.corrcoef(excerpt, played[:excerpt.size])[0, 1] > 0.99
    assert excerpt.size == played.size
    report = json.loads(out.splitlines()[-1])
    assert report["dropped"] == 0
    assert report["message"] == ""
    assert "pulse" in report["names"]


def test_an_unplugged_microphone_is_one_clear_error(pulse, tmp_path):
    process = record(pulse, 60, tmp_path / "heard.npy")
    time.sleep(1)
    pulse.unplug()
    out, problem = process.communicate(timeout=60)
    assert process.returncode == 0, problem
    message = json.loads(out.splitlines()[-1])["message"]
    assert "(pulse) stopped recording" in message or "(pulse) gave no sound for" in message
    assert len(np.load(tmp_path / "heard.npy")) >= 320
