"""The whole way of sound: paplay, PulseAudio, ALSA, PortAudio, sounddevice, Microphone, model."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.sources.pulse import NEEDS

soundfile = pytest.importorskip("soundfile", reason='pip install "edgernn[audio]"')
pytest.importorskip("sounddevice", reason=f'pip install "edgernn[audio]" && {NEEDS}')
pytestmark = pytest.mark.slow

# A process of its own: PortAudio looks for devices once, when it is first imported.
RECORD = """
import json, sys
import numpy as np
from edgernn.sources import Microphone, list_devices
seconds, path = float(sys.argv[1]), sys.argv[2]
parts, at = [], 0
with Microphone(16000, 320, "pulse") as microphone:
    for frame in microphone:
        at += frame.gap
        assert frame.time_s == at / 16000 and frame.samples.shape == (320,)
        at += 320
        parts.append(frame.samples)
        if len(parts) == 1:
            print("listening", flush=True)
        if frame.time_s > seconds:
            break
np.save(path, np.concatenate(parts))
print(json.dumps({"overflows": microphone.overflows, "dropped": microphone.dropped,
                  "names": [device.name for device in list_devices()]}))
"""


DEMO = Path(__file__).parents[2] / "edgernn" / "models" / "demo.wav"
HEARD_S = {"computer": 1.61, "alexa": 5.71}
"""What `edgernn stream --input` finds in it, and when."""


class Listening:
    """`edgernn stream` at a microphone, and when it said what."""

    def __init__(self, pulse, *options):
        self.lines, self.said = [], []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edgernn", "stream", "--device", "pulse", *options],
            env=pulse.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._readers = [threading.Thread(target=self._read, args=pair) for pair in (
            (self.process.stdout, self.lines), (self.process.stderr, self.said))]
        for reader in self._readers:
            reader.start()
        try:
            self.wait_for("edgernn: microphone")
        except AssertionError:
            said = str(self.said)
            if "pulse is no device" in said or "No microphone was found" in said:
                pytest.skip(f"PortAudio sees no PulseAudio: {NEEDS}")
            raise
        time.sleep(3)  # a null sink wakes slowly, and hurries after

    def _read(self, file, lines):
        for line in file:
            lines.append((time.monotonic(), line))

    def wait_for(self, words, seconds=30):
        end = time.monotonic() + seconds
        while not any(words in line for _, line in self.said):
            assert time.monotonic() < end, (words, self.said)
            assert self.process.poll() is None, self.said
            time.sleep(0.05)

    @property
    def detections(self):
        """Label, time in the stream, and time at which it was told."""
        found = [(json.loads(line), told_s) for told_s, line in self.lines]
        return [(one["label"], one["time_s"], told_s) for one, told_s in found]

    def ended(self):
        """Wait for its end; give the exit code, and what edgernn said."""
        code = self.process.wait(30)
        for reader in self._readers:
            reader.join()
        return code, [line for _, line in self.said if line.startswith("edgernn: ")]

    def stop(self):
        """End it as Ctrl-C does; give what it said, and the summary."""
        self.process.send_signal(signal.SIGINT)
        code, said = self.ended()
        assert code == 0, said
        return said, json.loads(said[-1].removeprefix("edgernn: "))




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


def test_what_is_played_is_what_the_microphone_hears(start_pulse, tmp_path):
    pulse = start_pulse()
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
    assert "pulse" in report["names"]


def test_words_are_detected_when_they_were_said_at_the_model_s_rate_and_at_the_device_s(
        start_pulse):
    pulse = start_pulse(rate=48000)
    native = Listening(pulse, "--capture-hz", "48000")
    model_s = Listening(pulse, "--give-up-s", "1")
    pulse.play(DEMO)
    time.sleep(1)
    for listening in (native, model_s):
        labels, times_s, told_s = zip(*listening.detections, strict=True)
        assert labels == tuple(HEARD_S)
        apart_s = HEARD_S["alexa"] - HEARD_S["computer"]
        assert times_s[1] - times_s[0] == pytest.approx(apart_s, abs=0.2)
        assert told_s[1] - told_s[0] == pytest.approx(apart_s, abs=1)
    said, summary = native.stop()
    assert "at 48000 Hz" in said[0]
    assert summary["detections"] == 2

    pulse.unplug()
    code, said = model_s.ended()
    assert "at 16000 Hz" in said[0]
    assert code == 1
    assert "It did not come back within 1 s" in said[-1]


def test_the_sound_server_dies_and_comes_back_and_the_process_is_stopped(start_pulse, tmp_path):
    """Words are heard before, between and after, and time goes on as it does outside."""
    samples, rate = soundfile.read(DEMO, dtype="int16")
    soundfile.write(tmp_path / "computer.wav", samples[:3 * rate], rate)

    pulse = start_pulse()
    listening = Listening(pulse, "--silent-s", "0")
    pulse.play(tmp_path / "computer.wav")
    pulse.unplug()
    listening.wait_for("Waiting until it is back")
    time.sleep(2)
    pulse = start_pulse()
    listening.wait_for("is back after")
    time.sleep(2)
    pulse.play(tmp_path / "computer.wav")
    time.sleep(1)
    listening.process.send_signal(signal.SIGSTOP)
    time.sleep(1.5)
    listening.process.send_signal(signal.SIGCONT)
    time.sleep(1)
    pulse.play(tmp_path / "computer.wav")
    time.sleep(1)

    labels, times_s, told_s = zip(*listening.detections, strict=True)
    assert labels == ("computer",) * 3
    for i in (1, 2):
        assert times_s[i] - times_s[0] == pytest.approx(told_s[i] - told_s[0], abs=1)
    said, summary = listening.stop()
    assert summary["reconnects"] == 1
    assert summary["resets"] >= 1  # another where this machine was too busy to be on time
    assert summary["away_s"] > 2
    assert len(said) == 4, said  # what runs, away, back, the summary


def test_only_the_channel_with_speech_is_heard_to_speak(start_pulse, tmp_path):
    samples, rate = soundfile.read(DEMO, dtype="int16")
    left = np.stack((samples, np.zeros_like(samples)), axis=1)
    soundfile.write(tmp_path / "left.wav", left, rate)

    pulse = start_pulse(channels=2)
    first = Listening(pulse, "--channel", "1", "--gain-db", "-3")
    second = Listening(pulse, "--channel", "2", "--silent-s", "5")
    pulse.play(tmp_path / "left.wav")
    time.sleep(1)
    assert [label for label, _, _ in first.detections] == list(HEARD_S)
    first.stop()
    said, summary = second.stop()
    assert summary["detections"] == 0
    assert summary["silent_s"] > 5
    assert [line for line in said if "is silent" in line] == [said[1]]


def test_clips_said_to_the_microphone_are_recorded(start_pulse, tmp_path):
    pulse = start_pulse()
    process = subprocess.Popen(
        [sys.executable, "-m", "edgernn", "record", "--label", "word", "--count", "2", "--out",
         str(tmp_path / "clips"), "--device", "pulse"],
        env=pulse.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = process.stderr.readline()
    if "pulse is no device" in first or "No microphone was found" in first:
        pytest.skip(f"PortAudio sees no PulseAudio: {NEEDS}")
    time.sleep(3)  # as above
    rng, rate = np.random.default_rng(0), 16000
    word = rng.normal(0, 4000, rate // 2) * np.hanning(rate // 2)
    pause = rng.normal(0, 30, rate)
    soundfile.write(tmp_path / "said.wav", np.concatenate([pause, word, pause, word, pause]
                                                          ).astype(np.int16), rate)
    pulse.play(tmp_path / "said.wav")
    out, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert json.loads(out)["kept"] == 2, said
    for number in range(2):
        samples, rate = soundfile.read(tmp_path / "clips" / "word" / f"000{number}.wav",
                                       dtype="int16")
        assert rate == 16000
        assert len(samples) / rate == pytest.approx(0.9, abs=0.25)
        assert np.abs(samples.astype(int)).max() > 1000
