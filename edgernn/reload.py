"""A model file that changes while it runs: the new one is opened beside the old one."""

import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

POLL_S = 1.0
"""Seconds between looks at the file."""


class Reloader:
    """Watches a file; opens it, in a thread of its own, when it has changed or `ask` is called.

    Nothing waits for it: `take` gives what was opened, when there is something.  A file that
    is being written gives an error and is looked at again when it has changed once more;
    what writes by renaming, as edgernn does, never gives one.

    Parameters
    ----------
    path : path
    open_it : callable
        Makes of the path what `take` gives.  Called in the thread.
    watch : bool
        Look at the file every second; else only when asked.
    """

    def __init__(self, path: Path, open_it: Callable[[Path], Any], *, watch: bool) -> None:
        self.path, self._open, self._watch = path, open_it, watch
        self._asked, self._ended = threading.Event(), False
        self._opened: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._seen = _identity(path)
        self._thread = threading.Thread(target=self._run, name=f"reload {path.name}", daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Open the file again, changed or not; harmless in a signal handler."""
        self._asked.set()

    def take(self) -> Any:
        """What was opened since, or None.

        Raises
        ------
        Exception
            What `open_it` raised, if the file cannot be used; the next one is waited for.
        """
        if self._opened.empty():
            return None
        found = self._opened.get()
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        """Stop watching."""
        self._ended = True
        self._asked.set()
        self._thread.join(2 * POLL_S)

    def _run(self) -> None:
        while True:
            asked = self._asked.wait(POLL_S if self._watch else None)
            self._asked.clear()
            if self._ended:
                return
            identity = _identity(self.path)
            if not asked and (identity is None or identity == self._seen):
                continue
            self._seen = identity
            try:
                self._opened.put(self._open(self.path))
            except Exception as problem:  # raised where the stream is, which knows what to do
                self._opened.put(problem)


def _identity(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file does; None if there is none at present."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
