"""One stream of PortAudio: a device, opened once, and the blocks it gives until it ends."""

import queue
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import SourceError
from edgernn.sources import portaudio
from edgernn.sources.devices import Device, converts_badly

QUEUE_S = 2.0
"""Seconds of audio that may wait for the model before samples are dropped."""
STALL_S = 5.0
"""Seconds without a sample after which the device is taken for lost; PulseAudio's first
may take two."""
POLL_S = 0.1
"""Seconds between looks at whether the device is still there."""
USUAL_HZ = (48000, 44100, 32000)
"""Rates to record at, in this order, where a device's own will not do."""

INVALID_RATE, INVALID_CHANNELS = -9997, -9998
"""PortAudio's paInvalidSampleRate and paInvalidChannelCount."""


@dataclass(frozen=True, eq=False)
class Block:
    """What a device recorded at once."""

    samples: NDArray[np.int16]
    """Shape (n, channels)."""
    missing: int
    """Samples lost just before."""
    came_s: float
    """When its last sample came, by `time.monotonic`."""


class DeviceLostError(SourceError):
    """The device gives nothing any more."""


class Capture:
    """A device that records, from `start` until `close`.

    PortAudio's thread puts blocks into a bounded queue, and `read` takes them out.

    - If the queue is full the block is dropped, and counted to the sample in `dropped`.
    - If PortAudio says that the system lost audio (`overflows`), it does not say how much.
      `SampleClock` then estimates it, and finds losses that nobody told of.

    Parameters
    ----------
    device : Device
    rate_hz : int
        Samples per second.
    block : int
        Samples in a block.
    channels : int
    """

    def __init__(self, device: Device, rate_hz: int, block: int, channels: int) -> None:
        self.device, self.rate_hz, self.block, self.channels = device, rate_hz, block, channels
        self.overflows = 0
        self.dropped = 0
        self.clock = SampleClock(rate_hz)
        self._waiting: queue.Queue[Block] = queue.Queue(max(2, round(QUEUE_S * rate_hz / block)))
        self._missing = 0
        self._closed = False
        sounddevice = portaudio.portaudio()
        with portaudio.LOCK:
            # "high" latency is what PortAudio calls robust: some 40 to 100 ms.
            self._stream = sounddevice.InputStream(
                samplerate=rate_hz, blocksize=block, device=device.number, channels=channels,
                dtype="int16", latency="high", callback=self._heard)
            portaudio.began(self)

    def start(self) -> None:
        """Begin to record."""
        with portaudio.LOCK:
            if not self._closed:
                self._stream.start()

    def _heard(self, block: NDArray[np.int16], count: int, _: Any, status: Any) -> None:
        """Take a block; called in PortAudio's thread, which must never wait."""
        # PortAudio's own times are those of the wall clock, in versions that are widely
        # installed, and so jump with it.
        came_s = time.monotonic()
        overflow = bool(status.input_overflow)
        self.overflows += overflow
        self._missing += self.clock.lost(count, came_s, overflow)
        try:
            self._waiting.put_nowait(Block(block.copy(), self._missing, came_s))
        except queue.Full:
            self.dropped += count
            self._missing += count
        else:
            self._missing = 0

    def read(self) -> Block | None:
        """The next block, or None once closed.

        Raises
        ------
        DeviceLostError
            If the device stopped, after all blocks it gave, or gave none for `STALL_S`.
        """
        waited = 0.0
        while not self._closed:
            # Looked at first: what came before the end must still be given.
            active = self._active()
            try:
                return self._waiting.get(timeout=POLL_S if active else 0)
            except queue.Empty:
                # Counted, not timed: while this process is stopped (SIGSTOP) nothing can come.
                waited += POLL_S
            if self._closed:
                break
            if not active:
                raise DeviceLostError("stopped recording; was it unplugged?")
            if waited >= STALL_S:
                raise DeviceLostError(f"gave no sound for {STALL_S:g} s; is its sound server "
                                      "running?")
        return None

    @property
    def dropped_s(self) -> float:
        """Seconds that were dropped."""
        return self.dropped / self.rate_hz

    def last_s(self) -> float | None:
        """When the last sample that `read` gave came, by `time.monotonic`; None if none did."""
        if not self.clock.samples:
            return None
        return self.clock.on_time_s() - self._missing / self.rate_hz

    def _active(self) -> bool:
        with portaudio.LOCK:
            return not self._closed and bool(self._stream.active)

    def close(self) -> None:
        """Stop recording; harmless when done twice."""
        with portaudio.LOCK:
            if not self._closed:
                self._closed = True
                try:
                    self._stream.close()
                finally:
                    portaudio.ended(self)


class SampleClock:
    """Tells how many samples were lost, from the times at which blocks come.

    Blocks come late when the system is busy, or the process was stopped, and then hurry until
    they are on time again.  Those that stay late follow a loss.
    """

    LATE_S = 0.5
    """Later than this, for `LASTING_S`, is a loss, though nobody told of one."""
    LASTING_S = 2.0
    RISE = 1e-3
    """How fast what is on time may become later, seconds per second: clocks differ by less."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self.samples = 0
        """Recorded or lost so far."""
        self._zero_s: float | None = None
        self._late_since_s: float | None = None
        self._least_late_s = 0.0

    def lost(self, count: int, came_s: float, overflow: bool) -> int:
        """Count a block of `count` samples; give the samples lost before it."""
        self.samples += count
        late_s = came_s - self.on_time_s() if self._zero_s is not None else 0.0
        if self._zero_s is None or late_s < 0:
            # The earliest are on time.  Before the first block nothing was being heard.
            self._zero_s = came_s - self.samples / self._rate_hz
            self._late_since_s = None
            self.samples += overflow
            return int(overflow)
        lost = 0
        if overflow:
            lost = max(1, round(late_s * self._rate_hz))
        elif late_s <= self.LATE_S:
            self._zero_s += min(late_s, self.RISE * count / self._rate_hz)
        elif self._late_since_s is None:
            self._late_since_s, self._least_late_s = came_s, late_s
            return 0
        else:
            self._least_late_s = min(self._least_late_s, late_s)
            if came_s - self._late_since_s < self.LASTING_S:
                return 0
            lost = round(self._least_late_s * self._rate_hz)
        self._late_since_s = None
        self.samples += lost
        return lost

    def on_time_s(self) -> float:
        """When the last sample came or, if it was late, should have come."""
        if self._zero_s is None:
            raise SourceError("No block came yet; one was needed. Read one first")
        return self._zero_s + self.samples / self._rate_hz


def open_capture(device: Device, devices: Sequence[Device], rate_hz: int, block: int,
                 channel: int | None = None, capture_hz: int | None = None) -> Capture:
    """Open a device at the rate of the model or, where that will not do, at another.

    That is so where the device refuses it, as hardware does that has it not, and where it
    `converts_badly`; then at the device's usual rate, or one of `USUAL_HZ`.

    Parameters
    ----------
    device : Device
    devices : sequence of Device
        All there are.
    rate_hz : int
        Samples per second that the model needs.
    block : int
        Samples in a block at that rate; a block lasts as long at another.
    channel : int or None
        The channel that will be listened to, from 1; None: their mean.
    capture_hz : int or None
        Record at this rate, whatever the above says.

    Raises
    ------
    SourceError
        If the device has no such channel, refuses every rate, or is busy.
    """
    if channel is not None and not 1 <= channel <= device.channels:
        raise SourceError(f"{describe(device)} has {device.channels} channels; --channel {channel} "
                          "is none of them. `edgernn devices` shows how many each has.")
    sounddevice = portaudio.portaudio()
    refused: Exception | None = None
    for rate in _rates(device, devices, rate_hz, capture_hz):
        for channels in _channel_counts(device, channel):
            try:
                return Capture(device, rate, max(1, round(block * rate / rate_hz)), channels)
            except sounddevice.PortAudioError as problem:
                refused = problem
            if _code(refused) != INVALID_CHANNELS:
                break
        if _code(refused) != INVALID_RATE:
            break
    raise refusal(device, refused, capture_hz or rate_hz) from refused


def _rates(device: Device, devices: Sequence[Device], rate_hz: int,
           capture_hz: int | None) -> tuple[int, ...]:
    """Rates to try, the best first."""
    if capture_hz is not None:
        return (capture_hz,)
    if not _can_resample():
        return (rate_hz,)
    # ALSA's own devices that convert do not tell the hardware's rate; 48 kHz is all hardware's.
    own = (*USUAL_HZ, rate_hz) if converts_badly(device, devices) else (
        rate_hz, round(device.rate_hz), *USUAL_HZ)
    return tuple(dict.fromkeys(own))


def _channel_counts(device: Device, channel: int | None) -> tuple[int, ...]:
    """Numbers of channels to try: no more than needed or, where a device has no such mode, all.

    One channel of a device with several would be their mixture, so a chosen one takes two.
    """
    least = min(device.channels, max(2, channel)) if channel else 1
    return (least, device.channels) if least < device.channels else (least,)


def _can_resample() -> bool:
    try:
        import soxr  # noqa: F401
    except (ImportError, OSError):
        return False
    return True


def refusal(device: Device, problem: Exception | None, rate_hz: int) -> SourceError:
    """What to say of a device that PortAudio cannot open."""
    if _code(problem) == INVALID_RATE:
        install = "" if _can_resample() else ' To resample, pip install "edgernn[audio]".'
        return SourceError(f"{describe(device)} does not record at {rate_hz} Hz, which is "
                           f"needed; its usual rate is {device.rate_hz:g} Hz. Choose a device "
                           f"that converts, such as --device default or pulse.{install}")
    return SourceError(f"{describe(device)} cannot be opened ({_text(problem)}). Is another "
                       "program recording? Choose another with --device.")


def _code(problem: Exception | None) -> int:
    """PortAudio's number of an error; 0 if it has none."""
    return int(problem.args[1]) if problem is not None and len(problem.args) > 1 else 0


def _text(problem: Exception | None) -> str:
    return str(problem.args[0]) if problem is not None and problem.args else ""


def describe(device: Device) -> str:
    """What messages call a device."""
    return f"Device {device.number} ({device.name})"
