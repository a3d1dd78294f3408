"""A microphone, through PortAudio."""

import queue
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import SourceError
from edgernn.frames import Frame
from edgernn.sources.devices import find_device, portaudio
from edgernn.sources.source import Source

QUEUE_S = 2.0
"""Seconds of audio that may wait for the model before samples are dropped."""
STALL_S = 5.0
"""Seconds without a sample after which the device is taken for lost; PulseAudio's first
may take two."""
POLL_S = 0.1
"""Seconds between looks at whether the device is still there."""

INVALID_RATE, INVALID_CHANNELS = -9997, -9998
"""PortAudio's paInvalidSampleRate and paInvalidChannelCount."""


class Microphone(Source):
    """Frames from a microphone, from the first `next` until `close`.

    PortAudio's thread puts blocks into a bounded queue, and the iterator takes
    them out.  Lost audio becomes `Frame.gap`, and `Frame.time_s` counts it, so
    that time never shifts:

    - If the queue is full the block is dropped, and counted to the sample in `dropped`.
    - If PortAudio says that the system lost audio (`overflows`), it does not say
      how much.  The gap is then how far the time of capture it gives for this
      block (inputBufferAdcTime) is ahead of the samples that came, 1 at least.
      That clock jitters by some milliseconds, so this is an estimate.

    Parameters
    ----------
    rate_hz : int
        Samples per second.
    block : int
        Samples per frame.
    device : int, str or None
        Number or part of the name, None for the default.

    Raises
    ------
    SourceError
        If sounddevice or PortAudio is missing; if no device, or not this one, is
        there; if it cannot record at this rate or is busy.  While iterating: if
        the device goes away, after all frames it gave.
    """

    live = True

    def __init__(self, rate_hz: int, block: int, device: int | str | None = None) -> None:
        super().__init__(rate_hz, block)
        self._sounddevice = portaudio()
        self.device = find_device(device)
        self._waiting: queue.Queue[tuple[NDArray[np.int16], int]] = queue.Queue(
            max(2, round(QUEUE_S * rate_hz / block)))
        self._clock = _Clock(rate_hz)
        self._missing = 0
        self._closed = False
        self._stream = self._open()

    def _open(self) -> Any:
        """Open with one channel or, where a device has no such mode, with all it has."""
        try:
            return self._open_channels(1)
        except self._sounddevice.PortAudioError as problem:
            refused = problem
        if refused.args[1:2] == (INVALID_CHANNELS,) and self.device.channels > 1:
            try:
                return self._open_channels(self.device.channels)
            except self._sounddevice.PortAudioError as problem:
                refused = problem
        raise self._refusal(refused) from refused

    def _open_channels(self, channels: int) -> Any:
        # "high" latency is what PortAudio calls robust: some 40 to 100 ms.
        return self._sounddevice.InputStream(
            samplerate=self.rate_hz, blocksize=self.block, device=self.device.number,
            channels=channels, dtype="int16", latency="high", callback=self._heard)

    def _refusal(self, problem: Exception) -> SourceError:
        if problem.args[1:2] == (INVALID_RATE,):
            return SourceError(f"{self._name()} does not record at {self.rate_hz} Hz, which the "
                               f"model needs; its usual rate is {self.device.rate_hz:g} Hz. Choose "
                               "a device that converts, such as --device default or pulse.")
        return SourceError(f"{self._name()} cannot be opened ({problem.args[0]}). Is another "
                           "program recording? Choose another with --device.")

    def _name(self) -> str:
        return f"Device {self.device.number} ({self.device.name})"

    def _heard(self, block: NDArray[np.int16], count: int, time: Any, status: Any) -> None:
        """Take a block; called in PortAudio's thread, which must never wait."""
        self.overflows += bool(status.input_overflow)
        self._missing += self._clock.lost(count, time, bool(status.input_overflow))
        mono = block[:, 0].copy() if block.shape[1] == 1 else _average(block)
        try:
            self._waiting.put_nowait((mono, self._missing))
        except queue.Full:
            self.dropped += count
            self._missing += count
        else:
            self._missing = 0

    def __iter__(self) -> Iterator[Frame]:
        self._start()
        done = 0
        while (item := self._next()) is not None:
            samples, gap = item
            done += gap
            yield Frame(samples, done / self.rate_hz, gap)
            done += len(samples)

    def _start(self) -> None:
        if self._closed:
            raise SourceError(f"{self._name()} was closed; open a new Microphone.")
        try:
            self._stream.start()
        except self._sounddevice.PortAudioError as problem:
            raise self._refusal(problem) from problem

    def _next(self) -> tuple[NDArray[np.int16], int] | None:
        """The next block and the gap before it, or None once closed."""
        waited = 0.0
        while not self._closed:
            # Looked at first: what came before the end must still be given.
            active = self._stream.active
            try:
                return self._waiting.get(timeout=POLL_S if active else 0)
            except queue.Empty:
                waited += POLL_S
            if self._closed:
                break
            if not active:
                raise SourceError(f"{self._name()} stopped recording; was it unplugged? "
                                  "Plug it in and start again.")
            if waited >= STALL_S:
                raise SourceError(f"{self._name()} gave no sound for {STALL_S:g} s; samples are "
                                  "needed all the time. Is its sound server running?")
        return None

    def close(self) -> None:
        """Stop recording.  An iteration under way ends."""
        if not self._closed:
            self._closed = True
            self._stream.close()


def _average(block: NDArray[np.int16]) -> NDArray[np.int16]:
    """Mean of the channels, halves to even."""
    return np.rint(block.mean(axis=1)).astype(np.int16)


class _Clock:
    """Tells how many samples an overflow lost, from PortAudio's time of capture."""

    SMOOTH = 1 / 50
    """Weight of one block in the average that evens out jitter: about a second of blocks."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._samples = 0
        self._zero_s: float | None = None

    def lost(self, count: int, time: Any, overflow: bool) -> int:
        """Count a block of `count` samples; give the samples lost before it."""
        # Some host interfaces leave the time of capture at 0 but give the present.
        captured_s = float(time.inputBufferAdcTime or time.currentTime)
        lost = 0
        if self._zero_s is None:
            # Before the first block nothing was being heard.
            self._zero_s = captured_s
        elif overflow:
            ahead = round((captured_s - self._zero_s) * self._rate_hz) - self._samples
            lost = max(1, ahead)
        else:
            late_s = captured_s - self._zero_s - self._samples / self._rate_hz
            self._zero_s += self.SMOOTH * late_s
        self._samples += lost + count
        return lost
