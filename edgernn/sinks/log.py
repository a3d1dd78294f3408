"""A log of detections that never outgrows its disk."""

import datetime
import json
import logging
import logging.handlers
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgernn.detect import Detection
from edgernn.errors import OutputError
from edgernn.sinks import LOG_MEGABYTES
from edgernn.sinks.jsonl import detection_tree, scores_tree

OLD_FILES = 4
"""How many full files are kept, as FILE.1, the newest, to FILE.4."""


class Log:
    """JSON lines in a file, a new one once it is full; each line says when, in UTC.

    Parameters
    ----------
    path : path
        Appended to if it is there.
    labels : tuple of str
        What each score means.
    megabytes : float
        Size, in millions of bytes, at which a file is full; with the old ones at most
        five times that is used.

    Raises
    ------
    OutputError
        If the file cannot be written, at the start or later.
    """

    def __init__(self, path: str | Path, labels: tuple[str, ...],
                 megabytes: float = LOG_MEGABYTES) -> None:
        self.path, self._labels = Path(path), labels
        try:
            self._file = _Handler(self.path, maxBytes=max(1, round(1e6 * megabytes)),
                                  backupCount=OLD_FILES, encoding="utf-8")
        except OSError as problem:
            raise self._refusal(problem) from problem

    def detection(self, found: Detection) -> None:
        """``{"utc": "2026-11-24T01:02:03.004Z", "label": "yes", "score": 0.97, ...}``."""
        self._write(detection_tree(found))

    def scores(self, scores: NDArray[np.float32], time_s: float) -> None:
        """``{"utc": "2026-11-24T01:02:03.004Z", "scores": {"yes": 0.97, ...}, ...}``."""
        self._write(scores_tree(self._labels, scores, time_s))

    def _write(self, tree: dict[str, object]) -> None:
        now = datetime.datetime.now(datetime.timezone.utc)
        utc = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"utc": utc, **tree}, ensure_ascii=False)
        try:
            self._file.emit(logging.makeLogRecord({"msg": line}))
        except OSError as problem:
            raise self._refusal(problem) from problem

    def _refusal(self, problem: OSError) -> OutputError:
        return OutputError(f"the log {self.path} cannot be written ({problem.strerror}). "
                           "Make room or permit it")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Handler(logging.handlers.RotatingFileHandler):
    """Raises where the standard library prints a traceback and goes on."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        raise
