"""Several models that listen to one source, perhaps behind a gate."""

import dataclasses
from collections import deque
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from edgernn.detect import Detection, smoothed_steps
from edgernn.errors import ConfigError, ModelError
from edgernn.frames import Frame
from edgernn.spec import DetectorSpec
from edgernn.step import StepModel
from edgernn.stream import FrameListener, Listener, Summary

OPEN_S, BEFORE_S = 2.0, 1.0
"""Seconds for which a gate stays open, and of what came before that it lets through."""


class Gate:
    """A small model that decides what larger ones are worth waking for.

    It is open from `before_s` before a step at which the smoothed score of one of its labels
    reached the threshold, until `open_s` after the last such step.  Its labels are all but the
    first, which means that nothing was heard; their thresholds are those it stores, or one half.

    Parameters
    ----------
    model : StepModel
        It hears everything: a small wake word model, or one of voice activity.
    open_s, before_s : float
        Seconds, above 0 and at least 0.

    Raises
    ------
    ConfigError
        If a time makes no sense.
    """

    def __init__(self, model: StepModel, open_s: float = OPEN_S, before_s: float = BEFORE_S
                 ) -> None:
        if open_s <= 0 or before_s < 0:
            raise ConfigError(f"a gate that opens for {open_s:g} s, {before_s:g} s before; more "
                              "than 0 and at least 0 were needed")
        detector = model.spec.detector or DetectorSpec({})
        # The detections are not asked for: a word that lasts is one, but keeps a gate open.
        self.listener = Listener(model, DetectorSpec({}), self._hear)
        rate = self.listener.rate_hz
        self.open, self.before = round(open_s * rate), round(before_s * rate)
        thresholds = detector.thresholds or dict.fromkeys(model.labels, 0.5)
        self._watched = [i for i, label in enumerate(model.labels) if i and label in thresholds]
        self._thresholds = np.array([thresholds[model.labels[i]] for i in self._watched])
        step_ms = 1000 * self.listener.frontend.hop / rate
        self._steps = [smoothed_steps(detector, model.labels[i], step_ms) for i in self._watched]
        self._recent: deque[NDArray[np.float32]] = deque(maxlen=max(self._steps, default=1))
        self._opened: list[int] = []

    def push(self, frame: Frame) -> list[int]:
        """Hear a frame; give the ends, in samples, of the steps at which it opened."""
        self._opened = []
        for _ in self.listener.push(frame):
            pass
        return self._opened

    def _hear(self, scores: NDArray[np.float32], time_s: float) -> None:
        self._recent.append(scores[self._watched])
        columns = np.array(self._recent).T
        if any(column[-n:].sum() / n >= threshold for column, n, threshold
               in zip(columns, self._steps, self._thresholds, strict=True)):
            self._opened.append(round(time_s * self.listener.rate_hz))


class Ensemble:
    """Models that listen to one source together; push frames, get detections.

    What a closed gate keeps back is to the models behind it a gap: their clocks go on, and
    after half a second of it they begin anew (`Listener`).  How the input is cut into frames
    never changes what comes out.

    Parameters
    ----------
    listeners : mapping of str to FrameListener
        By the name that their detections tell, one or more.
    gate : Gate, optional
        What they wait behind.

    Raises
    ------
    ModelError
        If they do not listen to the same kind and rate of input.
    """

    def __init__(self, listeners: Mapping[str, FrameListener], gate: Gate | None = None) -> None:
        self.listeners, self.gate = dict(listeners), gate
        _check_alike([*self.listeners.values(), *([gate.listener] if gate else [])])
        self._let_through = 0  # samples
        self._kept: deque[tuple[int, NDArray]] = deque()  # samples not yet given, by position
        self._heard = 0       # samples of the source so far, lost ones included
        self._given = 0       # how far the models have come
        self._until = 0       # the gate is open up to here
        self._tells = len(self.listeners) > 1

    def push(self, frame: Frame) -> Iterator[Detection]:
        """Take what a source gave; yield what was detected in it."""
        if self.gate is None:
            yield from self._give(frame)
            return
        self._heard += frame.gap
        self._kept.append((self._heard, frame.samples))
        self._heard += len(frame.samples)
        for at in self.gate.push(frame):
            begin = at - self.gate.before
            if begin > self._until:  # it was closed between
                yield from self._open_until(self._until)
                self._forget(begin)
            self._until = at + self.gate.open
        yield from self._open_until(self._until)
        self._forget(self._heard - self.gate.before - 2 * len(frame.samples))

    def flush(self) -> Iterator[Detection]:
        """End the stream."""
        for name, listener in self.listeners.items():
            yield from self._told(name, listener.flush())

    def _open_until(self, end: int) -> Iterator[Detection]:
        """Give what is kept up to a position."""
        while self._kept and self._kept[0][0] < end:
            begin, samples = self._kept.popleft()
            now, later = samples[:end - begin], samples[end - begin:]
            if len(later):
                self._kept.appendleft((end, later))
            self._let_through += len(now)
            yield from self._give(Frame(now, begin / self._rate_hz, begin - self._given))
            self._given = begin + len(now)

    def _forget(self, begin: int) -> None:
        """Drop what is kept before a position, if the gate is closed there."""
        begin = max(begin, self._until)
        while self._kept and self._kept[0][0] < begin:
            start, samples = self._kept.popleft()
            if len(samples) > begin - start:
                self._kept.appendleft((begin, samples[begin - start:]))

    def _give(self, frame: Frame) -> Iterator[Detection]:
        for name, listener in self.listeners.items():
            yield from self._told(name, listener.push(frame))

    def _told(self, name: str, found: Iterator[Detection]) -> Iterator[Detection]:
        if self._tells:
            found = (dataclasses.replace(each, model=name) for each in found)
        return found

    @property
    def summary(self) -> Summary:
        """Of all models together, the gate's among them; the longest of what they heard."""
        whole = Summary()
        for listener in [*self.listeners.values(), *([self.gate.listener] if self.gate else [])]:
            whole.add(listener.summary)
        return whole

    @property
    def let_through_s(self) -> float:
        """Seconds that the gate let through."""
        return self._let_through / self._rate_hz

    @property
    def _rate_hz(self) -> float:
        return next(iter(self.listeners.values())).rate_hz


def _check_alike(listeners: list[FrameListener]) -> None:
    first = listeners[0]
    for other in listeners[1:]:
        mine, its = first.model.spec.frontend, other.model.spec.frontend
        audio = hasattr(mine, "sample_rate_hz"), hasattr(its, "sample_rate_hz")
        if first.rate_hz != other.rate_hz or audio[0] != audio[1] or (
                not audio[0] and mine.width != its.width):
            raise ModelError(f"one model listens to {mine.kind!r} at {first.rate_hz:g} Hz, another "
                             f"to {its.kind!r} at {other.rate_hz:g} Hz; the same input was needed. "
                             "Run them in streams of their own")
