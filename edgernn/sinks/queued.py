"""A bounded queue before a sink, so that a slow one never holds up the audio."""

import queue
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgernn.detect import Detection
from edgernn.errors import EdgernnError

WAITING = 512
"""Detections, or steps' scores, that may wait for a sink: ten seconds of scores at 20 ms."""
CLOSE_S = 2.0
"""Seconds that a stream which was stopped waits for its sinks."""


class Sink(Protocol):
    """Where detections, and where asked for scores, go."""

    def detection(self, found: Detection) -> None:
        """Take a detection."""

    def scores(self, scores: NDArray[np.float32], time_s: float) -> None:
        """Take the scores of a step."""

    def close(self) -> None:
        """Let go at once, from whichever thread; harmless when done twice."""


class Queued:
    """A sink that is written to in a thread of its own.

    What finds the queue full is dropped.  What the sink fails to take, with an
    `EdgernnError` or `OSError`, is lost.  Either is told on stderr the first time and
    counted in `dropped`; the stream goes on.

    Parameters
    ----------
    sink : Sink
    name : str
        What a message calls it, such as the option that made it.
    patient : bool
        Wait for room rather than drop: for a recording, which loses nothing by it.
    fatal : bool
        A failure of the sink ends the stream, raised by the next call made here.
    waiting : int
        Items that may wait.
    """

    def __init__(self, sink: Sink, name: str, *, patient: bool = False, fatal: bool = False,
                 waiting: int = WAITING) -> None:
        self.sink, self.name = sink, name
        self.dropped = 0
        """Detections and scores the sink never took."""
        self._patient, self._fatal = patient, fatal
        self._told: set[str] = set()
        self._problem: Exception | None = None
        self._closed = False
        # Guards the counter, which both threads raise.
        self._lock = threading.Lock()
        self._waiting: queue.Queue[Callable[[], None] | None] = queue.Queue(waiting)
        self._thread = threading.Thread(target=self._write, name=name, daemon=True)
        self._thread.start()

    def detection(self, found: Detection) -> None:
        """Pass a detection on, later."""
        self._put(lambda: self.sink.detection(found))

    def scores(self, scores: NDArray[np.float32], time_s: float) -> None:
        """Pass the scores of a step on, later."""
        kept = scores.copy()  # the model may write its next ones into the same array
        self._put(lambda: self.sink.scores(kept, time_s))

    def drain(self) -> None:
        """Wait until the sink has taken everything."""
        if self._thread.is_alive():
            self._waiting.put(None)
        self._thread.join()
        self._raise()

    def close(self) -> None:
        """Give the sink `CLOSE_S` to take what waits, then close it; the rest is dropped."""
        if self._closed:
            return
        self._closed = True
        try:
            self._waiting.put(None, timeout=CLOSE_S)
            self._thread.join(CLOSE_S)
        except queue.Full:
            pass
        if self._thread.is_alive():
            # Emptied first, so that the thread, let go by the sink's end, finds nothing more.
            left = self._empty()
            self.sink.close()
            self._thread.join(CLOSE_S)
            self._drop(left, "late", f"{self.name} had not taken everything when the stream "
                                     "ended; the rest is dropped. Use a faster one")
        else:
            self.sink.close()

    @property
    def stuck(self) -> bool:
        """Whether the sink, though closed, still holds its thread."""
        return self._closed and self._thread.is_alive()

    def _put(self, item: Callable[[], None]) -> None:
        self._raise()
        try:
            self._waiting.put(item, block=self._patient)
        except queue.Full:
            self._drop(1, "slow", f"{self.name} does not keep up; what finds "
                                  f"{self._waiting.maxsize} waiting is dropped, so that the audio "
                                  "is not. Use a faster one; further ones are counted")

    def _write(self) -> None:
        while item := self._waiting.get():
            if self._problem:  # the stream is ending; a patient caller must not wait for ever
                self._drop(1)
                continue
            try:
                item()
            except (EdgernnError, OSError) as problem:
                if self._fatal:
                    self._problem = problem
                self._drop(1, "" if self._fatal else "failed",
                           f"{self.name} failed: {problem}. Further failures are counted")
            except Exception as problem:
                self._problem = problem  # a defect: raised where the stream is
                self._drop(1)

    def _empty(self) -> int:
        """Take out all that waits; give how many detections and scores that was."""
        count = 0
        try:
            while True:
                count += self._waiting.get_nowait() is not None
        except queue.Empty:
            self._waiting.put_nowait(None)
            return count

    def _drop(self, count: int, kind: str = "", message: str = "") -> None:
        with self._lock:
            self.dropped += count
            tell = bool(count and kind) and kind not in self._told
            self._told.add(kind)
        if tell:
            print(f"edgernn: {message}", file=sys.stderr)

    def _raise(self) -> None:
        if self._problem:
            raise self._problem

    def __enter__(self) -> "Queued":
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None,
                 trace: Any) -> None:
        self.close()
        if problem is None:
            self._raise()
