"""A microphone that goes away and comes back, with a PortAudio that does what a test says."""

import threading
import time

import pytest

from edgernn.errors import SourceError
from edgernn.sources import Microphone, capture, microphone
from tests.sources.test_microphone import (
    BLOCK,
    CAMERA,
    DEFAULT,
    HDMI,
    PULSE,
    RATE,
    USB,
    FakeStream,
    PortAudioError,
    clock,
    entry,
    sounddevice,
    take,
)

__all__ = ["sounddevice"]  # a fixture

USB_AGAIN = entry("USB PnP Sound Device: Audio (hw:3,0)")


@pytest.fixture
def playing(sounddevice, monkeypatch):
    """Every stream that is opened gives three blocks, from the time that the clock shows."""
    def start(stream):
        stream.active = True
        for i in range(1, 4):
            stream.deliver(i, clock.now + 0.02)

    monkeypatch.setattr(FakeStream, "start", start)
    return sounddevice


def test_a_device_that_was_unplugged_is_found_by_name_and_no_time_is_lost(playing, capsys):
    with Microphone(RATE, BLOCK, "PnP") as mic:
        frames = iter(mic)
        before = [next(frames) for _ in range(3)]
        FakeStream.last.active = False
        playing.devices = [HDMI, PULSE, DEFAULT, CAMERA, entry("USB hub (hw:1,0)"), USB_AGAIN]
        clock.now += 12.5
        after = [next(frames) for _ in range(3)]
    assert FakeStream.last.options["device"] == 5
    assert mic.device.name == USB_AGAIN["name"]
    assert [frame.samples[0] for frame in before + after] == [1, 2, 3] * 2
    assert [frame.gap for frame in before + after] == [0, 0, 0, 12.5 * RATE, 0, 0]
    assert after[0].time_s == pytest.approx(3 * BLOCK / RATE + 12.5)
    assert (mic.reconnects, mic.away_s) == (1, pytest.approx(12.5))
    assert playing.began == 1
    assert capsys.readouterr().err.splitlines() == [
        f"edgernn: microphone {USB['name']!r} stopped recording; was it unplugged? Waiting until "
        "it is back",
        f"edgernn: microphone {USB_AGAIN['name']!r} is back after 12.5 s"]


def test_each_loss_is_told_once_however_often_it_is_looked_for(playing, capsys, monkeypatch):
    with Microphone(RATE, BLOCK, "PnP") as mic:
        frames = iter(mic)
        for _ in range(2):
            for _ in range(3):
                next(frames)
            FakeStream.last.active = False
            playing.devices = [PULSE]
            threading.Timer(0.3, setattr, (playing, "devices", [PULSE, USB])).start()
            next(frames)
            FakeStream.last.deliver(4, clock.now + 0.02)
    assert mic.reconnects == 2
    assert playing.began > 6  # of each absence, three looks at least
    assert len(capsys.readouterr().err.splitlines()) == 4


def test_a_device_that_opens_but_gives_nothing_is_not_back(playing, capsys, monkeypatch):
    play, tries = FakeStream.start, []

    def start(stream):
        tries.append(stream)
        if len(tries) in (2, 3):
            stream.active = True
        else:
            play(stream)

    monkeypatch.setattr(FakeStream, "start", start)
    with Microphone(RATE, BLOCK, "PnP") as mic:
        frames = iter(mic)
        for _ in range(3):
            next(frames)
        FakeStream.last.active = False
        next(frames)
    assert len(tries) == 4
    assert all(stream.closed for stream in tries)
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_device_that_is_busy_when_it_comes_back_is_tried_again(playing, monkeypatch):
    tries = []

    def opened(**options):
        tries.append(options)
        if len(tries) in (2, 3):
            raise PortAudioError("Error opening InputStream: busy", -9985)
        return FakeStream(**options)

    playing.InputStream = opened
    with Microphone(RATE, BLOCK, "PnP") as mic:
        frames = iter(mic)
        for _ in range(3):
            next(frames)
        FakeStream.last.active = False
        assert next(frames).gap > 0
    assert len(tries) == 4


def test_a_device_that_stays_away_is_an_error_when_that_is_wanted(playing, monkeypatch, capsys):
    monkeypatch.setattr(microphone, "time", time)
    with Microphone(RATE, BLOCK, "PnP", give_up_s=0.2) as mic:
        frames = iter(mic)
        clock.now = time.monotonic()
        for _ in range(3):
            next(frames)
        FakeStream.last.active = False
        playing.devices = [PULSE]
        with pytest.raises(SourceError, match=r"Device 1 .*unplugged\? It did not come back within "
                                              r"0.2 s \(no device of that name is there\)"):
            next(frames)


def test_close_ends_the_wait_for_a_device(playing, monkeypatch):
    monkeypatch.setattr(microphone, "RETRY_S", 30)
    mic = Microphone(RATE, BLOCK, "PnP")
    frames = iter(mic)
    for _ in range(3):
        next(frames)
    FakeStream.last.active = False
    threading.Timer(0.1, mic.close).start()
    assert list(frames) == []


def test_portaudio_is_not_ended_under_another_microphone(playing):
    with Microphone(RATE, BLOCK, "camera") as other:
        take(other, 3)
        others = FakeStream.last
        mic = Microphone(RATE, BLOCK, "PnP")
        frames = iter(mic)
        for _ in range(3):
            next(frames)
        FakeStream.last.active = False
        assert next(frames).gap > 0  # opened again under its old number
        assert playing.began == 0
        assert others.active
        mic.close()


def test_what_was_lost_and_dropped_before_is_still_counted(playing):
    with Microphone(RATE, BLOCK, "PnP") as mic:
        frames = iter(mic)
        next(frames)
        for _ in range(round(capture.QUEUE_S * RATE / BLOCK)):
            FakeStream.last.deliver(0, clock.now + 0.02)
        FakeStream.last.deliver(0, clock.now + 0.02, overflow=True)
        FakeStream.last.active = False
        end_s = clock.now
        while not (frame := next(frames)).gap:
            pass
        assert (mic.overflows, mic.dropped) == (1, 3 * BLOCK)
        # Those that were dropped after the last that was given are part of the gap.
        assert frame.time_s == pytest.approx(end_s - 100, abs=2 / RATE)
