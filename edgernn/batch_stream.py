"""Many streams of audio that one model listens to: what `Listener` is for one."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgernn.batch import BatchStep
from edgernn.detect import Detection, DetectorConstants, native_detectors
from edgernn.errors import ModelError
from edgernn.frontend.logmel import native_logmel
from edgernn.frontend.tables import lengths
from edgernn.spec import DetectorSpec, LogMelSpec
from edgernn.step import StepModel
from edgernn.stream import is_long


class BatchListener:
    """Frontends, a model and detectors for so many streams: push a hop of each.

    Every stream gives the detections that it would give by itself, in `Listener`, to the byte.
    The backend `c` alone can do it.  Not for several threads at once.

    Parameters
    ----------
    model : StepModel
        Of the backend `c`, with a log-mel frontend.
    streams : int
        How many; begun from reset.
    detector : DetectorSpec, optional
        In place of the one stored in the model.

    Raises
    ------
    BackendError
        If the model runs on another backend.
    ModelError
        If the model hears no log-mel frames.
    """

    def __init__(self, model: StepModel, streams: int, detector: DetectorSpec | None = None
                 ) -> None:
        self.batch = BatchStep(model, streams)
        spec = model.spec
        if type(spec.frontend) is not LogMelSpec:
            raise ModelError(f"the model hears {spec.frontend.kind!r}; many streams at once need "
                             "log-mel frames of audio. Step it with edgernn.batch.BatchStep")
        self.model, self.labels = model, model.labels
        self.window, self.hop = lengths(spec.frontend)
        self.rate_hz = spec.frontend.sample_rate_hz
        self.constants = DetectorConstants.of(detector or spec.detector or DetectorSpec({}),
                                              self.labels, 1000 * self.hop / self.rate_hz)
        self._frontends = native_logmel(spec.frontend, streams)
        self._detectors = native_detectors(self.constants, len(self.labels), streams)
        self._places = np.empty(streams, np.int32)
        self._counts = np.empty(streams, np.int32)
        self._rows = np.zeros((streams, 1, spec.frontend.mels), np.int16)
        self._heard = np.zeros(streams, np.int64)       # samples, lost ones included
        self._next_end = np.full(streams, self.window)  # sample that ends the next row's window

    @classmethod
    def open(cls, path: str | Path, streams: int) -> "BatchListener":
        """Open a .tflite written by `edgernn quantize`; see `StepModel.open`."""
        return cls(StepModel.open(path, "c"), streams)

    def __len__(self) -> int:
        """How many streams."""
        return len(self.batch)

    def push(self, samples: NDArray[np.int16], late: NDArray[np.bool_] | None = None
             ) -> list[tuple[int, Detection]]:
        """Hear the next samples of every stream.

        Parameters
        ----------
        samples : int16 array, shape (streams, n)
            Any n; a hop of the frontend is cheapest.
        late : bool array, shape (streams,), optional
            Streams that gave nothing this time: their rows are not looked at, and they go on
            where they were.

        Returns
        -------
        list of (int, Detection)
            Which stream, and what; its time is that of the stream.

        Raises
        ------
        ValueError
            If the shape or type is another.
        """
        samples = np.ascontiguousarray(samples)
        room = (samples.shape[-1] if samples.ndim else 0) // self.hop + 1
        if room > self._rows.shape[1]:
            self._rows = np.zeros((len(self), room, self._rows.shape[2]), np.int16)
        self._frontends.push_all(samples, self._rows, self._counts, late)
        self._heard += samples.shape[1] if late is None else samples.shape[1] * ~late
        found: list[tuple[int, Detection]] = []
        for row in range(int(self._counts.max())):
            found += self._step(self._rows[:, row], self._counts <= row)
        return found

    def lose(self, stream: int, samples: int) -> list[tuple[int, Detection]]:
        """Let samples of a stream pass that were lost: it holds, or begins anew as `Listener`."""
        self._frontends.reset(stream)
        self._heard[stream] += samples
        end_after = int(self._heard[stream]) + self.window
        found: list[tuple[int, Detection]] = []
        if is_long(samples, self.rate_hz, self.hop):
            self.batch[stream].reset()
            self._detectors.reset(stream)
        else:
            while self._next_end[stream] < end_after:
                place = self._detectors.push(self.batch[stream].hold(), stream)
                if place >= 0:
                    found.append(self._detection(stream, place))
                self._next_end[stream] += self.hop
        self._next_end[stream] = end_after
        return found

    def reset(self, stream: int) -> None:
        """Begin a stream anew, at time 0."""
        self._frontends.reset(stream)
        self._detectors.reset(stream)
        self.batch[stream].reset()
        self._heard[stream], self._next_end[stream] = 0, self.window

    def _step(self, rows: NDArray[np.int16], waiting: NDArray[np.bool_]
              ) -> list[tuple[int, Detection]]:
        held = waiting if waiting.any() else None
        scores = self.batch.step(self.model.encode(rows), held)
        found = []
        if self._detectors.push_all(scores, self._places, held):
            found = [self._detection(int(i), int(self._places[i]))
                     for i in np.flatnonzero(self._places >= 0)]
        self._next_end += self.hop if held is None else self.hop * ~held
        return found

    def _detection(self, stream: int, place: int) -> tuple[int, Detection]:
        return stream, self.constants.detection(
            self.labels, place, self._detectors.sum(place, stream),
            self._next_end[stream] / self.rate_hz)
