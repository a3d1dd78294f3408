"""JSON lines on a text stream."""

import dataclasses
import json
from typing import Any, TextIO

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
        self._write(detection_tree(found))

    def scores(self, scores: NDArray[np.float32], time_s: float) -> None:
        """``{"scores": {"yes": 0.97, ...}, "time_s": 3.42}``."""
        self._write(scores_tree(self._labels, scores, time_s))

    def close(self) -> None:
        """Leave the stream to whoever opened it."""

    def _write(self, tree: dict[str, object]) -> None:
        self._stream.write(json.dumps(tree, ensure_ascii=False) + "\n")
        self._stream.flush()


def detection_tree(found: Detection) -> dict[str, Any]:
    """A detection as JSON has it: the score to four decimals, the time to a millisecond.

    Of which model and input it says only where there are several.
    """
    tree = {**dataclasses.asdict(found), "score": round(found.score, 4),
            "time_s": round(found.time_s, 3)}
    return {key: value for key, value in tree.items() if value != "" or key == "label"}


def scores_tree(labels: tuple[str, ...], scores: NDArray[np.float32],
                time_s: float) -> dict[str, Any]:
    """A step's scores as JSON has them, to five decimals."""
    return {"scores": {label: round(float(p), 5)
                       for label, p in zip(labels, scores, strict=True)},
            "time_s": round(time_s, 3)}
