"""The microphone's logic, with a PortAudio that loses and breaks what it is told to."""

import builtins
import itertools
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from edgernn.errors import SourceError
from edgernn.sources import Microphone, capture, find_device, list_devices, microphone, portaudio

BLOCK, RATE = 320, 16000


class PortAudioError(Exception):
    """As sounddevice's: message, then code."""


class FakeStream:
    """Delivers what a test says, in the thread of the test."""

    def __init__(self, **options):
        self.options = options
        self.active = False
        self.closed = False
        FakeStream.last = self

    def start(self):
        self.active = True

    def close(self):
        self.active, self.closed = False, True

    def deliver(self, value, came_s, overflow=False):
        clock.now = came_s
        block = np.full((self.options["blocksize"], self.options["channels"]), value, np.int16)
        # PortAudio tells the time by the wall clock, which jumps.
        told = SimpleNamespace(inputBufferAdcTime=-1e6 * came_s, currentTime=1e9 * came_s)
        self.options["callback"](block, len(block), told, SimpleNamespace(input_overflow=overflow))
        block[:] = -1  # PortAudio reuses its buffer


clock = SimpleNamespace(now=0.0)


def entry(name, channels=1, rate=48000.0):
    return {"name": name, "max_input_channels": channels, "default_samplerate": rate, "hostapi": 0}


HDMI, USB = entry("HDMI", 0), entry("USB PnP Sound Device: Audio (hw:1,0)")
PULSE, DEFAULT = entry("pulse", 32), entry("default", 32)
CAMERA = entry("USB Camera: Audio (hw:2,0)", 2)


@pytest.fixture
def sounddevice(monkeypatch):
    clock.now = 100.0
    fake = SimpleNamespace(devices=[HDMI, USB, PULSE, DEFAULT, CAMERA], InputStream=FakeStream,
                           PortAudioError=PortAudioError, began=0,
                           query_hostapis=lambda: [{"name": "ALSA"}],
                           default=SimpleNamespace(device=[3, -1]))

    def begin():
        fake.began += 1

    fake.query_devices = lambda: fake.devices
    fake._initialize, fake._terminate = begin, lambda: None
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr(capture, "POLL_S", 0.01)
    monkeypatch.setattr(capture, "STALL_S", 0.05)
    monkeypatch.setattr(microphone, "RETRY_S", 0.01)
    monkeypatch.setattr(portaudio, "_recording", set())
    for module in (capture, microphone):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return fake


@pytest.fixture
def mic(sounddevice):
    with Microphone(RATE, BLOCK) as opened:
        yield opened


def take(mic, count):
    return list(itertools.islice(mic, count))


def test_blocks_come_out_in_order_and_on_time(mic):
    for i in range(5):
        FakeStream.last.deliver(i, 10 + i * 0.02)
    frames = take(mic, 5)
    assert [frame.samples.tolist() for frame in frames] == [[i] * BLOCK for i in range(5)]
    assert [frame.time_s for frame in frames] == [i * BLOCK / RATE for i in range(5)]
    assert [frame.gap for frame in frames] == [0] * 5
    assert (mic.overflows, mic.dropped) == (0, 0)


def test_a_full_queue_drops_blocks_and_counts_every_sample(mic):
    limit = round(capture.QUEUE_S * RATE / BLOCK)
    for i in range(limit + 3):
        FakeStream.last.deliver(i, 10 + i * 0.02)
    assert mic.dropped == 3 * BLOCK
    frames = iter(mic)
    next(frames)
    FakeStream.last.deliver(1000, 10 + (limit + 3) * 0.02)
    rest = [next(frames) for _ in range(limit)]
    assert [frame.gap for frame in rest] == [0] * (limit - 1) + [3 * BLOCK]
    assert rest[-1].samples[0] == 1000
    assert rest[-1].time_s == (limit + 3) * BLOCK / RATE


JITTER_S = [0, 0.004, 0.001, 0.002, 0, 0.004, 0.001, 0, 0.002, 0.003]


def test_an_overflow_becomes_a_gap_as_long_as_the_clock_says(mic):
    for i, late in enumerate(JITTER_S):
        FakeStream.last.deliver(i, 10 + i * 0.02 + late)
    FakeStream.last.deliver(77, 10 + 10 * 0.02 + 0.5, overflow=True)
    FakeStream.last.deliver(78, 10 + 11 * 0.02 + 0.5)
    frames = take(mic, 12)
    assert mic.overflows == 1
    assert [frame.gap for frame in frames[:10]] == [0] * 10
    assert abs(frames[10].gap - 0.5 * RATE) < 0.005 * RATE  # the jitter
    assert frames[11].gap == 0
    assert frames[11].time_s == (11 * BLOCK + frames[10].gap) / RATE


def test_an_overflow_the_clock_does_not_show_is_a_gap_of_one_sample(mic):
    FakeStream.last.deliver(0, 10.0)
    FakeStream.last.deliver(1, 10.0, overflow=True)
    assert [frame.gap for frame in take(mic, 2)] == [0, 1]


def test_blocks_that_come_late_and_then_hurry_are_no_loss(mic):
    """As when the process was stopped for two seconds, and the sound server kept it all."""
    frames = iter(mic)
    for i in range(700):
        on_time_s = 10 + i * 0.02
        FakeStream.last.deliver(i, 14.0 if 12 < on_time_s < 14 else on_time_s)
        frame = next(frames)
        assert (frame.gap, frame.time_s) == (0, i * BLOCK / RATE)


def test_a_loss_that_nobody_tells_of_is_a_gap_all_the_same(mic):
    """As when the process was stopped for minutes, and the sound server threw most away."""
    frames = iter(mic)
    gaps = []
    for i in range(500):
        FakeStream.last.deliver(i, 10 + i * 0.02 + (57.2 if i >= 100 else 0))
        gaps.append(next(frames).gap)
    assert np.flatnonzero(gaps).tolist() == [200]  # two seconds later
    assert abs(sum(gaps) - 57.2 * RATE) < 0.01 * RATE
    assert mic.overflows == mic.dropped == 0


def test_a_clock_that_is_a_little_slow_is_no_loss(mic):
    frames = iter(mic)
    for i in range(20000):
        FakeStream.last.deliver(0, 10 + i * 0.02 * 1.0002)  # 0.08 s in all
        assert next(frames).gap == 0
    assert mic._capture.clock.on_time_s() == pytest.approx(clock.now, abs=0.001)


def test_losses_of_both_kinds_add_up(mic):
    limit = round(capture.QUEUE_S * RATE / BLOCK)
    for i in range(limit):
        FakeStream.last.deliver(i, 10 + i * 0.02)
    FakeStream.last.deliver(0, 10 + limit * 0.02 + 0.1, overflow=True)
    frames = iter(mic)
    next(frames)
    FakeStream.last.deliver(0, 10 + (limit + 1) * 0.02 + 0.1)
    last = [next(frames) for _ in range(limit)][-1]
    assert abs(last.gap - (BLOCK + 0.1 * RATE)) <= 1  # rounding of the clock
    assert mic.dropped == BLOCK


def test_an_unplugged_device_gives_all_it_heard_and_then_an_error(sounddevice, capsys):
    mic = Microphone(RATE, BLOCK, give_up_s=0)
    frames = iter(mic)
    for i in range(3):
        FakeStream.last.deliver(i, 10 + i * 0.02)
    assert next(frames).samples[0] == 0
    FakeStream.last.active = False
    assert [next(frames).samples[0] for _ in range(2)] == [1, 2]
    with pytest.raises(SourceError, match=r"Device 3 .default. stopped recording; was it unplug"):
        next(frames)
    assert capsys.readouterr().err == ""


def test_a_device_that_gives_nothing_is_an_error(sounddevice):
    with pytest.raises(SourceError, match="gave no sound for"):
        next(iter(Microphone(RATE, BLOCK, give_up_s=0)))


def test_close_ends_an_iteration_from_another_thread(mic, monkeypatch):
    monkeypatch.setattr(capture, "STALL_S", 30)
    timer = threading.Timer(0.1, mic.close)
    timer.start()
    assert list(mic) == []
    assert FakeStream.last.closed
    mic.close()
    with pytest.raises(SourceError, match="was closed"):
        next(iter(mic))


def test_nothing_is_recorded_before_the_first_frame_is_asked_for(mic):
    assert not FakeStream.last.active


@pytest.mark.parametrize(("wanted", "number"), [
    (None, 3), (1, 1), ("4", 4), ("pulse", 2), ("PnP", 1), ("camera", 4), ("DEFAULT", 3)])
def test_a_device_is_found_by_number_or_part_of_its_name(sounddevice, wanted, number):
    assert find_device(wanted).number == number


@pytest.mark.parametrize(("wanted", "message"), [
    (0, "--device 0 is no device that records.*: 1 USB PnP"),  # HDMI only plays
    (9, "--device 9 is no device that records"),
    ("telephone", "no device that records.*2 pulse; 3 default"),
    ("usb", "several devices.*: 1 USB PnP .*; 4 USB Camera")])
def test_a_device_that_is_not_there_is_one_clear_error(sounddevice, wanted, message):
    with pytest.raises(SourceError, match=message):
        Microphone(RATE, BLOCK, wanted)


def test_only_devices_that_record_are_listed(sounddevice):
    assert [(device.number, device.default) for device in list_devices()] == [
        (1, False), (2, False), (3, True), (4, False)]


def test_no_device_at_all_is_one_clear_error(sounddevice):
    sounddevice.devices = [HDMI]
    assert list_devices() == []
    with pytest.raises(SourceError, match=r"No microphone was found.*arecord -l"):
        Microphone(RATE, BLOCK)


def refusing(code, channels=None):
    def open_stream(**options):
        if channels is None or options["channels"] == channels:
            raise PortAudioError("Error opening InputStream: refused", code)
        return FakeStream(**options)
    return open_stream


@pytest.mark.parametrize(("code", "message"), [
    (-9997, "Device 3 .default. does not record at 16000 Hz.* usual rate is 48000 Hz"),
    (-9998, "cannot be opened"),
    (-9985, "cannot be opened .*refused.*Is another program recording")])
def test_a_device_that_refuses_is_one_clear_error(sounddevice, code, message):
    sounddevice.InputStream = refusing(code)
    with pytest.raises(SourceError, match=message):
        Microphone(RATE, BLOCK)


def test_a_device_without_a_mono_mode_is_averaged(sounddevice):
    sounddevice.InputStream = refusing(-9998, channels=1)
    with Microphone(RATE, BLOCK, "camera") as mic:
        assert FakeStream.last.options["channels"] == 2
        block = np.tile(np.array([[100, 301]], np.int16), (BLOCK, 1))
        FakeStream.last.options["callback"](
            block, BLOCK, SimpleNamespace(inputBufferAdcTime=0.0, currentTime=1.0),
            SimpleNamespace(input_overflow=False))
        assert take(mic, 1)[0].samples.tolist() == [200] * BLOCK  # 200.5, halves to even


@pytest.mark.parametrize(("problem", "message"), [
    (ImportError("no module"), r'package sounddevice.*pip install "edgernn\[audio\]"'),
    (OSError("PortAudio library not found"), "needs PortAudio.*apt install libportaudio2")])
def test_what_is_not_installed_is_named(monkeypatch, problem, message):
    real = builtins.__import__

    def missing(name, *rest, **options):
        if name == "sounddevice":
            raise problem
        return real(name, *rest, **options)

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    for use in (list_devices, lambda: Microphone(RATE, BLOCK)):
        with pytest.raises(SourceError, match=message):
            use()
