"""The loop for models that see what comes after: detections come late, with their own times."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.bidirectional import Bidirectional
from edgernn.detect import Detection
from edgernn.spec import DetectorSpec
from edgernn.stream import FrameListener, Scores


class BidirectionalListener(FrameListener):
    """A bidirectional model that listens.

    A frame is answered once its chunk and the frames ahead of it are there; its time is its own.
    A gap ends the sequence: what waits is answered without what would have come after, and both
    directions begin anew.

    Parameters
    ----------
    model : Bidirectional
    detector, on_scores
        See `FrameListener`.
    """

    def __init__(self, model: Bidirectional, detector: DetectorSpec | None = None,
                 on_scores: Scores | None = None) -> None:
        super().__init__(model.spec, model.labels, model.encode, detector, on_scores)
        self.model = model

    def flush(self) -> Iterator[Detection]:
        """End the stream: answer all frames that wait."""
        yield from super().flush()
        yield from self._answered(self.model.flush)

    def _steps(self, codes: NDArray[Any]) -> Iterator[Detection]:
        yield from self._answered(lambda: self.model.push(codes))

    def _answered(self, answer: Callable[[], NDArray[np.float32]]) -> Iterator[Detection]:
        begin = time.perf_counter()
        scores = answer()
        spent = time.perf_counter() - begin
        self.summary.busy_s += spent
        for row in scores:
            self.summary.latency.add(spent / len(scores))
            self.summary.steps += 1
            found = self._detect(row)
            if found:
                yield found

    def _lost(self, gap: int) -> Iterator[Detection]:
        yield from self._answered(self.model.flush)
        self.summary.resets += 1
        self.detector.reset()
        self._next_end = self._skip(gap)
