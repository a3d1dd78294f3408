"""Raw audio of any rate, width and number of channels to what a model hears."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import SourceError
from edgernn.sources.source import to_int16

RATES_HZ = (4000, 384_000)
WIDTHS = (1, 2, 3, 4)
CHANNELS = (1, 32)


@dataclass(frozen=True)
class PcmFormat:
    """How raw audio is to be read; little endian, signed but for single bytes, as in a wav.

    Raises
    ------
    SourceError
        If a number makes no sense.
    """

    rate_hz: int
    """Samples per second."""
    width: int
    """Bytes of a sample."""
    channels: int
    """Interleaved."""

    def __post_init__(self) -> None:
        for what, found, low, high in (("rate", self.rate_hz, *RATES_HZ),
                                       ("width", self.width, WIDTHS[0], WIDTHS[-1]),
                                       ("channels", self.channels, *CHANNELS)):
            # bool is an int to Python, but `true` is no number to a reader of JSON.
            if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
                raise SourceError(f"the audio has {what} {found!r:.40}; a whole number from {low} "
                                  f"to {high} was needed. Send such audio")

    def samples(self, data: bytes) -> NDArray[np.float64]:
        """Samples in [-1, 1), shape (n, channels).

        Raises
        ------
        SourceError
            If the bytes end within a sample.
        """
        frame = self.width * self.channels
        if len(data) % frame:
            raise SourceError(f"a piece of audio has {len(data)} bytes; a multiple of {frame} was "
                              f"needed, {self.channels} channels of {self.width} bytes. Send whole "
                              "samples")
        if self.width == 3:  # numpy has no such type: they become the upper bytes of 32 bits
            wide = np.zeros((len(data) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            whole: NDArray[Any] = wide.view("<i4")
            bits = 32
        elif self.width == 1:
            whole, bits = np.frombuffer(data, np.uint8) - 128.0, 8
        else:
            whole, bits = np.frombuffer(data, f"<i{self.width}"), 8 * self.width
        return whole.reshape(-1, self.channels) / 2.0 ** (bits - 1)


class Converter:
    """Pieces of raw audio to mono int16 at one rate; `push` them, and `flush` at the end.

    How the audio is cut into pieces never changes what comes out.  Audio that has the rate
    already is heard as `edgernn stream` hears a wav of it; other rates go through soxr's
    streaming resampler, which keeps back a few milliseconds until more audio comes.

    Parameters
    ----------
    form : PcmFormat
        Of what comes in.
    rate_hz : int
        Samples per second that come out.

    Raises
    ------
    SourceError
        If the rate must change and soxr is not installed.
    """

    def __init__(self, form: PcmFormat, rate_hz: int) -> None:
        self.form = form
        self._stream: Any = None
        if form.rate_hz != rate_hz:
            self._stream = _soxr(form.rate_hz, rate_hz).ResampleStream(
                form.rate_hz, rate_hz, 1, dtype="float64", quality="HQ")

    def push(self, data: bytes) -> NDArray[np.int16]:
        """Take raw audio; give what can be heard by now.

        Raises
        ------
        SourceError
            If the bytes end within a sample; nothing of them is then taken.
        """
        return self._out(self.form.samples(data).mean(axis=1), last=False)

    def flush(self) -> NDArray[np.int16]:
        """End the audio; give what the resampler still kept."""
        return self._out(np.zeros(0), last=True)

    def _out(self, mono: NDArray[np.float64], *, last: bool) -> NDArray[np.int16]:
        if self._stream is not None:
            mono = self._stream.resample_chunk(mono, last=last)
        return to_int16(mono, "the audio")


def _soxr(found_hz: int, needed_hz: int) -> Any:
    try:
        import soxr
    except ImportError as problem:
        raise SourceError(f"the audio has {found_hz} Hz but the model hears {needed_hz} Hz, and "
                          "there is no soxr to convert it. Send such audio, or install it: "
                          'pip install "edgernn[audio]"') from problem
    return soxr
