"""From scores to detections, in integers that a device computes alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ModelError
from edgernn.spec import SHAREABLE, DetectorSpec, WatchSpec

ONE = 32768
"""A score of 1.0, were it not that scores are 16 bits: see `LARGEST`."""
LARGEST = ONE - 1
"""What 1.0 counts as, for a score and for a threshold."""
MOST = {"smoothing_ms": 3_600_000, "hysteresis": 1, "refractory_ms": 86_400_000}
"""What a detector can be asked at most: an average over an hour, silence for a day."""


@dataclass(frozen=True)
class Detection:
    """Something was heard."""

    label: str
    score: float
    """Smoothed score when it fired, 0 to 1."""
    time_s: float
    """End of the frame that fired, seconds since the stream began."""
    model: str = ""
    """Which model, where several listen."""
    input: str = ""
    """To what, where they listen to several inputs."""


def smoothed_steps(spec: DetectorSpec, label: str, step_ms: float) -> int:
    """How many steps' scores of a label the detector averages."""
    return max(1, round(spec.watch(label).smoothing_ms / step_ms))


@dataclass(frozen=True)
class DetectorConstants:
    """The whole numbers of a detector, as a device needs them."""

    watched: list[int]
    """Index, among the labels, of each that can fire."""
    n: NDArray[np.int64]
    """Steps whose scores are averaged, for each watched label."""
    pause: NDArray[np.int64]
    """Steps after its detection in which nothing fires."""
    fire: NDArray[np.int64]
    """Sum of n scores, 1.0 being 32768, at which it fires."""
    rearm: NDArray[np.int64]
    """Sum below which it may fire again."""

    @classmethod
    def of(cls, spec: DetectorSpec, labels: tuple[str, ...], step_ms: float
           ) -> "DetectorConstants":
        """Of a detector; parameters and errors are those of `Detector`."""
        _check(spec, labels)
        watched = [i for i, label in enumerate(labels) if label in spec.thresholds]
        rows = [_constants(spec.watch(labels[i]), smoothed_steps(spec, labels[i], step_ms), step_ms)
                for i in watched]
        return cls(watched, *np.array(rows, np.int64).reshape(-1, 4).T.copy())

    @property
    def rows(self) -> int:
        """Steps whose scores are kept."""
        return int(self.n.max(initial=1))

    def detection(self, labels: tuple[str, ...], place: int, total: int, time_s: float
                  ) -> Detection:
        """Of the watched label at a place, whose scores have this sum."""
        return Detection(labels[self.watched[place]], total / (ONE * int(self.n[place])), time_s)


def _constants(watch: WatchSpec, n: int, step_ms: float) -> tuple[int, ...]:
    """One label's n, pause, fire and rearm."""
    p = watch.threshold
    return (n, round(watch.refractory_ms / step_ms), n * min(round(ONE * p), LARGEST),
            n * round(ONE * max(p - watch.hysteresis, p / 2)))


class Detector:
    """Fire when a smoothed score reaches its threshold, once per event.

    The arithmetic, exactly, per step, where threshold, smoothing_ms, hysteresis and
    refractory_ms are those of label i:

    1. s[i] = round(32768 * score[i]), ties to even, at most 32767; sum[i] = s[i] of the
       last n[i] steps added, steps before the first counting 0;
       n[i] = max(1, round(smoothing_ms / step_ms)).
    2. A label is disarmed when it fires, and armed again when sum[i] < n[i] *
       round(32768 * low), where low = max(threshold - hysteresis, threshold / 2):
       a hysteresis as large as the threshold would let it fire only once.
    3. Of the armed labels with sum[i] >= n[i] * round(32768 * threshold), that too at most
       n[i] * 32767, the one whose sum is farthest above that fires (the first of equals),
       unless fewer than round(refractory_ms / step_ms) steps have passed since the last
       one fired; refractory_ms is that one's.

    A label that would fire during the refractory time fires after it if it is still
    above its threshold then.

    Parameters
    ----------
    spec : DetectorSpec
    labels : tuple of str
        What each score means.  Labels without a threshold never fire.
    step_ms : float
        Milliseconds from one step to the next.
    module : module, optional
        The compiled module to compute with, in place of the best one here.

    Attributes
    ----------
    constants : DetectorConstants

    Raises
    ------
    ModelError
        If a threshold or another number is for no label, or makes no sense.
    """

    def __init__(self, spec: DetectorSpec, labels: tuple[str, ...], step_ms: float,
                 module: ModuleType | None = None) -> None:
        self.constants = DetectorConstants.of(spec, labels, step_ms)
        self.spec, self.labels = spec, labels
        native = native_detectors(self.constants, len(labels), 1, module)
        self._state = _Numpy(self.constants) if native is None else _Compiled(native)

    def reset(self) -> None:
        """Forget everything; all labels are armed."""
        self._state.reset()

    def push(self, scores: NDArray[Any], time_s: float) -> Detection | None:
        """Take the scores of one step.

        Parameters
        ----------
        scores : float array, shape (labels,)
            0 to 1.
        time_s : float
            End of the step's frame, seconds since the stream began.

        Returns
        -------
        Detection or None
        """
        place = self._state.push(scores)
        return None if place < 0 else self.constants.detection(
            self.labels, place, self._state.sum(place), time_s)


def native_detectors(constants: DetectorConstants, labels: int, streams: int,
                     module: ModuleType | None = None) -> Any:
    """Detectors of the compiled module, or None where there is none."""
    from edgernn.native import kernels

    c = constants
    try:
        module = module or kernels.best()
    except ImportError:
        return None
    if c.rows * ONE >= 2**31:  # its sums have 32 bits
        return None
    return module.Detector(
        streams, labels, len(c.watched), c.rows,
        *(np.array(values, np.int32) for values in (c.watched, c.n, c.pause, c.fire, c.rearm)))


class _Compiled:
    """The detector of a device, firmware_export/c/ernn_detect.c, on this machine."""

    def __init__(self, native: Any) -> None:
        self._native = native

    def push(self, scores: NDArray[Any]) -> int:
        place: int = self._native.push(np.ascontiguousarray(scores, np.float32), 0)
        return place

    def sum(self, place: int) -> int:
        total: int = self._native.sum(place, 0)
        return total

    def reset(self) -> None:
        self._native.reset(0)


class _Numpy:
    """The same in numpy, where nothing was compiled."""

    def __init__(self, constants: DetectorConstants) -> None:
        self.constants = constants
        self.reset()

    def reset(self) -> None:
        count = len(self.constants.watched)
        self._window = np.zeros((self.constants.rows, count), np.int64)
        self._sum = np.zeros(count, np.int64)
        self._armed = np.ones(count, bool)
        self._columns = np.arange(count)
        self._at = self._wait = 0

    def push(self, scores: NDArray[Any]) -> int:
        c = self.constants
        new = np.minimum(np.rint(scores[c.watched] * ONE), LARGEST).astype(np.int64)
        self._sum += new - self._window[(self._at - c.n) % c.rows, self._columns]
        self._window[self._at] = new
        self._at = (self._at + 1) % c.rows
        self._armed |= self._sum < c.rearm
        self._wait = max(self._wait - 1, 0)
        margin = np.where(self._armed, self._sum - c.fire, -1)
        if self._wait or margin.max(initial=-1) < 0:
            return -1
        best = int(margin.argmax())
        self._armed[best] = False
        self._wait = int(c.pause[best])
        return best

    def sum(self, place: int) -> int:
        return int(self._sum[place])


def _check(spec: DetectorSpec, labels: tuple[str, ...]) -> None:
    given = {"a threshold": spec.thresholds, **{
        name: value if isinstance(value, Mapping) else {"": value}
        for name, value in ((name, getattr(spec, name)) for name in SHAREABLE)}}
    for name, values in given.items():
        unknown = sorted(set(values) - {"", *labels})
        if unknown:
            raise ModelError(f"{name} is set for {unknown[0]!r}, which is no label; the model has "
                             f"{', '.join(labels)}. Name one of those")
    for label, p in given.pop("a threshold").items():
        if not 0 < p <= 1:
            raise ModelError(f"the threshold of {label!r} is {p}; a score above 0 and up to 1 was "
                             "needed. Choose such a one")
    for name, values in given.items():
        for label, value in values.items():
            if not 0 <= value <= MOST[name]:
                raise ModelError(f"{name}{f' of {label!r}' if label else ''} is {value}; 0 to "
                                 f"{MOST[name]} was needed")
