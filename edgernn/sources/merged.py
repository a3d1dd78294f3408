"""Several sources at once, each read in a thread of its own."""

import queue
import sys
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from edgernn.errors import EdgernnError
from edgernn.frames import Frame

WAITING = 64
"""Frames of a source that may wait for the model; live ones have a queue of their own besides."""


class Merged:
    """Frames of several sources as they come, each with the number of its source.

    One that ends, or fails, ends alone; the others go on.  Failures are told on stderr.  If all
    have failed, the last failure is raised.

    Parameters
    ----------
    sources : sequence of sources
    names : sequence of str
        What messages call them.
    """

    def __init__(self, sources: Sequence[Any], names: Sequence[str]) -> None:
        self.sources, self.names = list(sources), list(names)
        self._waiting: queue.Queue[tuple[int, Frame | Exception | None]] = queue.Queue(
            WAITING * len(self.sources))
        self._closed = False

    def __iter__(self) -> Iterator[tuple[int, Frame | None]]:
        """Give (number, frame), and once (number, None) when a source has ended."""
        for number in range(len(self.sources)):
            threading.Thread(target=self._read, args=(number,), daemon=True).start()
        failures: list[Exception] = []
        running = len(self.sources)
        while running:
            number, item = self._waiting.get()
            if isinstance(item, Frame):
                yield number, item
                continue
            running -= 1
            if item is not None:
                failures.append(item)
                if running or len(failures) < len(self.sources):
                    print(f"edgernn: {self.names[number]}: {item}; the other inputs go on",
                          file=sys.stderr)
            yield number, None
        if len(failures) == len(self.sources):
            raise failures[-1]

    def _read(self, number: int) -> None:
        problem: Exception | None = None
        try:
            for frame in self.sources[number]:
                if not self._put(number, frame):
                    return
        except (EdgernnError, OSError) as found:
            problem = found
        self._put(number, problem)

    def _put(self, number: int, item: Frame | Exception | None) -> bool:
        """Whether there was somebody to take it."""
        while not self._closed:
            try:
                self._waiting.put((number, item), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    @property
    def live(self) -> bool:
        """Whether any of them is."""
        return any(source.live for source in self.sources)

    def count(self, name: str) -> int:
        """Sum of a counter of the sources, such as `overflows`."""
        return sum(getattr(source, name, 0) for source in self.sources)

    @property
    def counts(self) -> dict[str, float]:
        """Sums of what else the sources count."""
        sums: dict[str, float] = {}
        for source in self.sources:
            for name, count in getattr(source, "counts", {}).items():
                sums[name] = round(sums.get(name, 0) + count, 3)
        return sums

    def __enter__(self) -> "Merged":
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._closed = True
        for source in self.sources:
            source.close()
