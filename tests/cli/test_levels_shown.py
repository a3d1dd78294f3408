"""What `edgernn devices` shows of microphones, without one."""

import json

import click
import numpy as np
import pytest

from edgernn.cli import devices, level_meter
from edgernn.frames import Frame
from edgernn.sources import devices as found

RATE = 16000
LOUD = np.full(RATE // 10, 32767, np.int16)


class Recorded:
    """A tenth of a second a frame; 3 samples of each were clipped, and 1 saturated."""

    rate_hz = RATE

    def __init__(self, frames):
        self.counts = {"clipped": 0, "saturated": 0}
        self._frames = frames

    def __iter__(self):
        for i in range(self._frames):
            self.counts["clipped"] += 3
            self.counts["saturated"] += 1
            yield Frame(LOUD, i / 10)


def test_a_line_counts_the_clips_since_the_line_before(capsys):
    level_meter.show_levels(Recorded(11), None, bar=False)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["time_s"], line["clipped"], line["rms_dbfs"]) for line in lines] == [
        (0.5, 20, 0.0), (1.0, 20, 0.0)]


def test_levels_end_after_the_seconds_asked_for(capsys):
    level_meter.show_levels(Recorded(1000), 1.5, bar=False)
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_the_bar_shows_decibels_and_clips(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    level_meter.show_levels(Recorded(1), None, bar=True)
    assert "0.0 dBFS" in (shown := capsys.readouterr().out)
    assert "clips: 4 samples" in shown


@pytest.fixture
def two_microphones(monkeypatch):
    pair = [found.Device(3, "usb [hw:1,0]", 2, 44100.0, True, "ALSA"),
            found.Device(7, "built in", 1, 48000.0, False, "ALSA")]
    monkeypatch.setattr(found, "list_devices", lambda: pair)
    monkeypatch.setattr(found.Device, "accepts", lambda self, rate_hz: self.number == 7)


def _ran(*arguments):
    with click.Context(devices.command):
        devices.command.main(list(arguments), standalone_mode=False)


@pytest.mark.usefixtures("two_microphones")
def test_microphones_are_listed_as_json_with_what_they_accept(capsys):
    _ran("--json")
    rows = json.loads(capsys.readouterr().out)
    assert [(r["number"], r["name"], r["accepts_16khz"], r["default"]) for r in rows] == [
        (3, "usb [hw:1,0]", False, True), (7, "built in", True, False)]


@pytest.mark.usefixtures("two_microphones")
def test_a_name_in_brackets_is_no_markup_of_the_table(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    _ran()
    out, err = capsys.readouterr()
    usb, built_in = (next(line for line in out.splitlines() if word in line)
                     for word in ("usb [hw:1,0]", "built in"))
    assert "*" in usb
    assert "resampled" in usb
    assert "*" not in built_in
    assert "yes" in built_in
    assert "--device" in err


def test_no_microphone_is_said_with_what_to_look_for(capsys, monkeypatch):
    monkeypatch.setattr(found, "list_devices", list)
    _ran()
    out, err = capsys.readouterr()
    assert out == ""
    assert "arecord -l" in err
