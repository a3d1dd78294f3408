"""The loop: frames in, detections out."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.detect import Detection, Detector
from edgernn.drift import Carrier, carrier
from edgernn.encode import Encoder
from edgernn.errors import FeatureError, ModelError
from edgernn.frames import Frame
from edgernn.frontend import make_frontend
from edgernn.latency import LatencyHistogram
from edgernn.spec import DetectorSpec, DriftSpec, LogMelSpec, ModelSpec, StandardizeSpec
from edgernn.step import StepModel

HOLD_S = 0.5
"""A longer gap resets the model: what it remembers is then of another moment."""
HOLD_STEPS = 3
"""But one of so few steps never does, however slow the steps: a sensor of one row a second
may miss a row."""

Scores = Callable[[NDArray[np.float32], float], None]


@dataclass
class Summary:
    """What a stream was like."""

    heard_s: float = 0.0
    """Seconds of input, gaps included."""
    steps: int = 0
    held: int = 0
    """Steps that a short gap swallowed: the model held its state."""
    resets: int = 0
    """Gaps so long that the model began anew."""
    missing_s: float = 0.0
    """Seconds lost in gaps."""
    detections: int = 0
    busy_s: float = 0.0
    """Seconds of computing."""
    latency: LatencyHistogram = field(default_factory=LatencyHistogram)
    """Of each step, frontend apart."""

    def add(self, other: "Summary") -> None:
        """Count what another model, or another input, had besides."""
        self.heard_s = max(self.heard_s, other.heard_s)
        for name in ("steps", "held", "resets", "missing_s", "detections", "busy_s"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.latency.merge(other.latency)

    @property
    def real_time_factor(self) -> float:
        """Seconds of computing per second heard; 0.01 is a hundred times real time."""
        return self.busy_s / self.heard_s if self.heard_s else 0.0


class FrameListener(ABC):
    """Frontend, detector and clock around a model: push frames, get detections.

    How the input is cut into frames never changes what comes out.  Time is counted in
    samples from the source's beginning, lost ones included, so it never shifts.

    Parameters
    ----------
    spec : ModelSpec
    labels : tuple of str
        What each score means.
    encode : callable
        Frontend rows to codes that the model takes.
    detector : DetectorSpec, optional
        In place of the one stored in the model.
    on_scores : callable, optional
        Told the scores and the time of every step.
    """

    model: Any
    """What listens: a `StepModel` or a `Bidirectional`."""
    on_rows: Callable[[NDArray[Any], float], None] | None = None
    """Told the frontend's rows, and when the first of them ends, in seconds."""

    def __init__(self, spec: ModelSpec, labels: tuple[str, ...], encode: Encoder,
                 detector: DetectorSpec | None, on_scores: Scores | None) -> None:
        self.frontend = make_frontend(spec.frontend)
        self.rate_hz = sample_rate_hz(spec)
        self.detector = Detector(detector or spec.detector or DetectorSpec({}), labels,
                                 self._step_ms())
        self.summary = Summary()
        self._encode, self._on_scores = encode, on_scores
        self._samples = 0  # of the source so far, lost ones included
        self._next_end = self._first_end()  # sample at which the next row's window ends

    def push(self, frame: Frame) -> Iterator[Detection]:
        """Take what a source gave; yield what was detected in it."""
        if frame.gap:
            yield from self._lost(frame.gap)
        begin = time.perf_counter()
        rows = self.frontend.push(frame.samples)
        if self.on_rows is not None and len(rows):
            self.on_rows(rows, self._next_end / self.rate_hz)
        self._samples += len(frame.samples)
        self.summary.heard_s = self._samples / self.rate_hz
        codes = self._encoded(rows)
        self.summary.busy_s += time.perf_counter() - begin
        yield from self._steps(codes)

    def flush(self) -> Iterator[Detection]:
        """End the stream: what a frontend still keeps back."""
        yield from self._steps(self._encoded(self.frontend.flush()))

    @abstractmethod
    def _steps(self, codes: NDArray[Any]) -> Iterator[Detection]:
        """Give the model frames."""

    @abstractmethod
    def _lost(self, gap: int) -> Iterator[Detection]:
        """Let so many lost samples pass."""

    def _encoded(self, rows: NDArray[Any]) -> NDArray[Any]:
        if rows.dtype.kind == "f" and not np.isfinite(rows).all():
            raise FeatureError("a row holds NaN or infinity; finite numbers were needed. "
                               "Leave such rows out: the model then holds its state")
        return self._encode(rows)

    def _detect(self, scores: NDArray[np.float32]) -> Detection | None:
        at = self._next_end / self.rate_hz
        self._next_end += self.frontend.hop
        if self._on_scores:
            self._on_scores(scores, at)
        found = self.detector.push(scores, at)
        self.summary.detections += found is not None
        return found

    def _skip(self, gap: int) -> int:
        """The frontend begins a new window after a gap; gives the sample at which that ends."""
        self.frontend.reset()
        self._samples += gap
        self.summary.missing_s += gap / self.rate_hz
        return self._samples + self._first_end()

    def _step_ms(self) -> float:
        return 1000 * self.frontend.hop / self.rate_hz

    def _first_end(self) -> int:
        """Samples that the first row of a fresh frontend needs."""
        return int(getattr(self.frontend, "window", 1))


class Listener(FrameListener):
    """A step model that listens.

    - After a gap of up to `HOLD_S`, or `HOLD_STEPS` hops where that is longer, the model
      holds its state for the steps that were lost, as for masked frames, and the
      frontend begins a new window.
    - After a longer one model and detector begin anew too.

    Parameters
    ----------
    model : StepModel
    detector, on_scores
        See `FrameListener`.
    drift : DriftSpec, optional
        In place of the one stored in the model.

    Attributes
    ----------
    carrier : edgernn.drift.Carrier
        What carries the model's state: itself, unless something is done about drift.
    """

    def __init__(self, model: StepModel, detector: DetectorSpec | None = None,
                 on_scores: Scores | None = None, drift: DriftSpec | None = None) -> None:
        super().__init__(model.spec, model.labels, model.encode, detector, on_scores)
        self.model, self._drift = model, drift
        self.carrier = self._carrier()

    def replace(self, model: StepModel, detector: DetectorSpec | None = None) -> None:
        """Go on with another model, or with another detector, from the next frame on.

        No audio is lost.  The state goes on if the model's tensors are the same ones, and
        the window of the frontend if that is.

        Parameters
        ----------
        model : StepModel
        detector : DetectorSpec, optional
            In place of the one stored in the model.

        Raises
        ------
        ModelError
            If the model listens to another kind or rate of input.
        """
        spec, before = model.spec, self.model.spec
        if sample_rate_hz(spec) != self.rate_hz or type(spec.frontend) is not type(before.frontend):
            raise ModelError(f"the new model listens to {spec.frontend.kind!r} at "
                             f"{sample_rate_hz(spec):g} Hz, the old one to "
                             f"{before.frontend.kind!r} at {self.rate_hz:g} Hz; the same was "
                             "needed. Start the stream again for this one")
        state = self.carrier.state()
        same_frontend = spec.frontend == before.frontend
        if not same_frontend:
            self.frontend = make_frontend(spec.frontend)
            self._next_end = self._samples + self._first_end()
        wanted = detector or spec.detector or DetectorSpec({})
        if not (same_frontend and model.labels == self.model.labels
                and wanted == self.detector.spec):
            self.detector = Detector(wanted, model.labels, self._step_ms())
        self.model, self._encode = model, model.encode
        self.carrier = self._carrier()
        if spec.model_sha256 == before.model_sha256:
            self.carrier.restore(state)

    def _carrier(self) -> Carrier:
        return carrier(self.model, self._drift or self.model.spec.drift, self._step_ms() / 1000)

    def _steps(self, codes: NDArray[Any]) -> Iterator[Detection]:
        for frame in codes:
            begin = time.perf_counter()
            scores = self.carrier.step(frame)
            end = time.perf_counter()
            self.summary.latency.add(end - begin)
            self.summary.steps += 1
            found = self._detect(scores)
            self.summary.busy_s += time.perf_counter() - begin
            if found:
                yield found

    def _lost(self, gap: int) -> Iterator[Detection]:
        end_after = self._skip(gap)
        if is_long(gap, self.rate_hz, self.frontend.hop):
            self.carrier.reset()
            self.detector.reset()
            self.summary.resets += 1
        else:
            while self._next_end < end_after:
                self.summary.held += 1
                found = self._detect(self.carrier.hold())
                if found:
                    yield found
        self._next_end = end_after


def is_long(gap: int, rate_hz: float, hop: int) -> bool:
    """Whether a model begins anew after so many lost samples, rather than hold its state."""
    return gap > max(HOLD_S * rate_hz, HOLD_STEPS * hop)


def sample_rate_hz(model: ModelSpec) -> float:
    """Samples, or sensor rows, per second; 1 where the data never said, and of tokens."""
    spec = model.frontend
    if isinstance(spec, LogMelSpec):
        return spec.sample_rate_hz
    return spec.rate_hz or 1.0 if isinstance(spec, StandardizeSpec) else 1.0


def listen(frames: Iterable[Frame], listener: FrameListener) -> Iterator[Detection]:
    """Detections in all frames of a source."""
    for frame in frames:
        yield from listener.push(frame)
    yield from listener.flush()
