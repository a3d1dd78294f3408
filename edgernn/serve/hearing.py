"""One client's audio, from its start to its stop."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgernn.detect import Detection
from edgernn.ensemble import Ensemble
from edgernn.frames import Frame
from edgernn.serve.convert import Converter, PcmFormat

SLICE_S = 0.25
"""Seconds heard at a time: between two slices other clients have their turn."""


class Hearing:
    """Raw audio in, detections out, with the time of each on the client's own clock.

    Parameters
    ----------
    ensemble : Ensemble
        A fresh one.
    rate_hz : int
        Samples per second that it hears.
    begin_ms : int
        What the client's clock said at the first sample.
    """

    def __init__(self, ensemble: Ensemble, rate_hz: int, begin_ms: int = 0) -> None:
        self.ensemble = ensemble
        self._rate_hz = rate_hz
        self._converter: Converter | None = None
        self._heard_s = 0.0  # of what came in
        self._given = 0  # samples given to the models
        self._clock_ms: float = begin_ms  # what the client's clock said at 0 s

    def push(self, data: bytes, form: PcmFormat, time_ms: int | None = None
             ) -> Iterator[Detection | None]:
        """Take a piece of audio; yield what was detected, and None after each slice.

        Parameters
        ----------
        data : bytes
        form : PcmFormat
            May change from piece to piece.
        time_ms : int, optional
            What the client's clock says of the first sample; without, it goes on from before.

        Raises
        ------
        SourceError
            If the bytes end within a sample, or the audio cannot be converted; nothing of this
            piece is then heard.
        """
        before = self._converter
        if before is None or before.form != form:
            self._converter = Converter(form, self._rate_hz)
            form.samples(data)  # before the end of what came in the other format is heard
            if before is not None:
                yield from self._hear(before.flush())
        assert self._converter is not None
        samples = self._converter.push(data)
        if time_ms is not None:
            self._clock_ms = time_ms - 1000 * self._heard_s
        self._heard_s += len(data) / (form.width * form.channels * form.rate_hz)
        yield from self._hear(samples)

    def flush(self) -> Iterator[Detection | None]:
        """End the audio."""
        if self._converter is not None:
            yield from self._hear(self._converter.flush())
        yield from self.ensemble.flush()

    def client_ms(self, found: Detection) -> int:
        """What the client's clock said when it was detected, milliseconds."""
        return round(self._clock_ms + 1000 * found.time_s)

    def _hear(self, samples: NDArray[np.int16]) -> Iterator[Detection | None]:
        step = int(SLICE_S * self._rate_hz)
        for start in range(0, len(samples), step):
            piece = samples[start:start + step]
            yield from self.ensemble.push(Frame(piece, self._given / self._rate_hz))
            self._given += len(piece)
            yield None
