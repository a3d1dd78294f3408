"""A microphone, through PortAudio."""

import sys
import threading
import time
from collections.abc import Iterator

from edgernn.errors import SourceError
from edgernn.frames import Frame
from edgernn.sources import portaudio
from edgernn.sources.capture import (
    Block,
    Capture,
    DeviceLostError,
    describe,
    open_capture,
    refusal,
)
from edgernn.sources.devices import find_again, find_device, list_devices
from edgernn.sources.levels import SILENT_DBFS, SILENT_S, Levels, at_full_scale, one_channel
from edgernn.sources.source import Source
from edgernn.sources.track import Track

RETRY_S, RETRY_MOST_S = 0.5, 5.0
"""Seconds before a lost device is looked for again: the first time, doubled each time, at most."""


class Microphone(Source):
    """Frames from a microphone, from the first `next` until `close`.

    Lost audio becomes `Frame.gap`, and `Frame.time_s` counts it, so that time never shifts;
    see `edgernn.sources.capture.Capture` for how much was lost.

    A device that is unplugged, or gives nothing for seconds, is told of once on stderr, and
    looked for by its name, again and again, until it is back, which is told too.  The time
    between is a gap, measured by the monotonic clock.

    Parameters
    ----------
    rate_hz : int
        Samples per second.  Where the device has another rate it is resampled
        (`edgernn.sources.capture.open_capture` says when).
    block : int
        Samples per frame; the last before a gap may be shorter.
    device : int, str or None
        Number or part of the name, None for the default.
    channel : int or None
        Which channel to hear, from 1; None: the mean of all.
    gain_db : float
        Decibels by which to raise it; what is then too large is saturated, and counted.
    capture_hz : int or None
        Record at this rate; None: choose it.
    silent_s, silent_dbfs : float
        Tell, once, when nothing was louder than `silent_dbfs` for `silent_s`; 0: never.
    give_up_s : float or None
        Seconds after which a device that does not come back is an error; None: never.

    Raises
    ------
    SourceError
        If sounddevice or PortAudio is missing; if no device, or not this one, is
        there; if it has no such channel, cannot record or is busy.  While iterating: if
        the device went away and was not back within `give_up_s`, after all frames it gave.
    """

    live = True

    def __init__(self, rate_hz: int, block: int, device: int | str | None = None, *,
                 channel: int | None = None, gain_db: float = 0.0, capture_hz: int | None = None,
                 silent_s: float = SILENT_S, silent_dbfs: float = SILENT_DBFS,
                 give_up_s: float | None = None) -> None:
        super().__init__(rate_hz, block)
        portaudio.portaudio()
        self.device = find_device(device)
        self.channel, self.capture_hz, self.give_up_s = channel, capture_hz, give_up_s
        self.reconnects = 0
        self.away_s = 0.0
        """Seconds without the device, those of which it came back."""
        self._gain = 10 ** (gain_db / 20)
        self._closed = threading.Event()
        self._overflows_before, self._dropped_before_s = 0, 0.0  # of captures that have ended
        self._capture = self._open()
        self.levels = Levels(self._capture.rate_hz, self._say, silent_s, silent_dbfs)
        self._track = Track(rate_hz, block)
        self._track.begin(self._capture.rate_hz)

    def _open(self) -> Capture:
        return open_capture(self.device, list_devices(), self.rate_hz, self.block, self.channel,
                            self.capture_hz)

    @property
    def recorded_hz(self) -> int:
        """Samples per second that the device gives."""
        return self._capture.rate_hz

    @property
    def overflows(self) -> int:  # type: ignore[override]
        """How often the system reported that it lost audio before we saw it."""
        return self._overflows_before + self._capture.overflows

    @property
    def dropped(self) -> int:  # type: ignore[override]
        """Samples, at the rate of the frames, lost because the model did not keep up."""
        return round((self._dropped_before_s + self._capture.dropped_s) * self.rate_hz)

    @property
    def counts(self) -> dict[str, float]:
        """What else happened, for a summary."""
        return {"reconnects": self.reconnects, "away_s": round(self.away_s, 2),
                "silent_s": round(self.levels.heard_silence_s, 1),
                "clipped": self.levels.clipped, "saturated": self._track.saturated}

    def __iter__(self) -> Iterator[Frame]:
        self._start()
        lost_since_s: float | None = None
        while not self._closed.is_set():
            try:
                block = self._capture.read()
            except DeviceLostError as problem:
                yield from self._track.flush()
                if lost_since_s is None:
                    lost_since_s = self._lost(problem)
                self._reopen(lost_since_s, problem)
                continue
            if block is None:
                break
            if lost_since_s is not None:
                self._back(lost_since_s, block)
                lost_since_s = None
            yield from self._heard(block)

    def _heard(self, block: Block) -> Iterator[Frame]:
        mono = one_channel(block.samples, self.channel)
        self.levels.push(mono, at_full_scale(block.samples, self.channel))
        yield from self._track.push(mono * self._gain if self._gain != 1 else mono, block.missing)

    def _start(self) -> None:
        if self._closed.is_set():
            raise SourceError(f"{describe(self.device)} was closed; open a new Microphone.")
        sounddevice = portaudio.portaudio()
        try:
            self._capture.start()
        except sounddevice.PortAudioError as problem:
            raise refusal(self.device, problem, self.rate_hz) from problem

    def _lost(self, problem: DeviceLostError) -> float:
        """Tell of it; gives when the last sample should have come, or now if none ever did."""
        if self.give_up_s != 0:
            self._say(f"{problem} Waiting until it is back")
        return self._capture.last_s() or time.monotonic()

    def _reopen(self, lost_since_s: float, problem: DeviceLostError) -> None:
        """Wait for the device, and open it; without it if closed meanwhile."""
        self._capture.close()
        wait_s = RETRY_S
        why: SourceError = problem
        while True:
            away_s = time.monotonic() - lost_since_s
            if self.give_up_s is not None and away_s >= self.give_up_s:
                since = f" ({why})" if why is not problem else ""
                raise SourceError(
                    f"{describe(self.device)} {problem} It did not come back within "
                    f"{self.give_up_s:g} s{since}. Plug it in and start again.") from why
            left_s = wait_s if self.give_up_s is None else min(wait_s, self.give_up_s - away_s)
            if self._closed.wait(left_s):
                return
            try:
                return self._try_again()
            except SourceError as found:
                why = found
            wait_s = min(2 * wait_s, RETRY_MOST_S)

    def _try_again(self) -> None:
        portaudio.refresh()
        devices = list_devices()
        device = find_again(self.device, devices)
        if device is None:
            raise SourceError("no device of that name is there")
        capture = open_capture(device, devices, self.rate_hz, self.block, self.channel,
                               self.capture_hz)
        with portaudio.LOCK:
            self._overflows_before += self._capture.overflows
            self._dropped_before_s += self._capture.dropped_s
            self.device, self._capture = device, capture
            if self._closed.is_set():
                return capture.close()
        try:
            self._start()
        except SourceError:
            capture.close()
            raise

    def _back(self, lost_since_s: float, first: Block) -> None:
        """The device is back: its first block came."""
        rate_hz = self._capture.rate_hz
        away_s = max(0.0, first.came_s - len(first.samples) / rate_hz - lost_since_s)
        self.reconnects += 1
        self.away_s += away_s
        # One at least: whoever listens must know that this is another moment.
        self._track.begin(rate_hz, max(1, round(away_s * self.rate_hz)))
        self.levels.restart(rate_hz)
        self._say(f"is back after {away_s:.1f} s")

    def _say(self, what: str) -> None:
        print(f"edgernn: microphone {self.device.name!r} {what}", file=sys.stderr)

    def close(self) -> None:
        """Stop recording.  An iteration under way ends."""
        self._closed.set()
        with portaudio.LOCK:
            self._capture.close()
