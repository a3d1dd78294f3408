"""JSON lines on a text stream."""

import dataclasses
import json
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from edgernn.detect import Detection


class JsonLines:
    """One JSON object a line, each written at once.

    Parameters
    ----------
    stream : text file
    labels : tuple of str
        What each score means.
    """

    def __init__(self, stream: TextIO, labels: tuple[str, ...]) -> None:
        self._stream, self._labels = stream, labels

    def detection(self, found: Detection) -> None:
        """``{"label": "yes", "score": 0.97, "time_s": 3.42}``."""
        tree = dataclasses.asdict(found)
        self._write({**tree, "score": round(found.score, 4), "time_s": round(found.time_s, 3)})

    def scores(self, scores: NDArray[np.float32], time_s: float) -> None:
        """``{"scores": {"yes": 0.97, ...}, "time_s": 3.42}``."""
        self._write({"scores": {label: round(float(p), 5)
                                for label, p in zip(self._labels, scores, strict=True)},
                     "time_s": round(time_s, 3)})

    def _write(self, tree: dict[str, object]) -> None:
        self._stream.write(json.dumps(tree, ensure_ascii=False) + "\n")
        self._stream.flush()
