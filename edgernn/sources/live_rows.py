"""Sensor rows that come when they come: what a serial port and a broker have in common."""

import queue
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from edgernn.frames import Frame
from edgernn.sources.rows import RowFrames

WAITING = 1024
"""Lines that may wait for the model before they are dropped."""
POLL_S = 0.1
"""Seconds between looks at whether the source was closed."""

Self = TypeVar("Self", bound="LiveRows")


@dataclass(frozen=True)
class Arrival:
    """A line, and what happened before it."""

    line: str
    at_s: float
    """When it came, by the clock that never jumps."""
    lost: int
    """Lines dropped just before it."""
    anew: bool
    """Whether the connection had been broken."""


class LiveRows(ABC):
    """Frames of rows that another thread receives, until `close`.

    That thread calls `_came` for every line and never waits: what finds the queue full is
    dropped, counted, and held by the model.
    """

    overflows = 0
    live = True
    reconnects = 0
    """Connections that were broken and made again."""

    def __init__(self, frames: RowFrames) -> None:
        self._frames = frames
        self._waiting: queue.Queue[Arrival] = queue.Queue(WAITING)
        self._lost = 0
        self._anew = False
        self._closed = False

    @property
    def name(self) -> str:
        """What a message calls the source."""
        return self._frames.name

    @property
    def dropped(self) -> int:
        """Rows that came and were not used."""
        return self._frames.dropped + self._lost

    @property
    def counts(self) -> dict[str, int]:
        """What the summary tells of the rows."""
        counts = self._frames.counts
        counts["rows_lost"] += self._lost
        return {**counts, "reconnects": self.reconnects}

    def __iter__(self) -> Iterator[Frame]:
        """Give frames as they come, until `close`."""
        self._start()
        while not self._closed:
            try:
                came = self._waiting.get(timeout=POLL_S)
            except queue.Empty:
                if self._defect:
                    raise self._defect from None
                continue
            yield from self._frames.push(came.line, came.at_s, lost=came.lost, anew=came.anew)

    def _came(self, line: str) -> None:
        """Take a line, in the thread that receives."""
        arrival = Arrival(line, time.monotonic(), self._lost, self._anew)
        try:
            self._waiting.put_nowait(arrival)
        except queue.Full:
            self._lost += 1
        else:
            self._lost, self._anew = 0, False

    def _again(self) -> None:
        """Note that the connection was broken and is there again."""
        self.reconnects += 1
        self._anew = True

    @abstractmethod
    def _start(self) -> None:
        """Begin to receive."""

    @property
    @abstractmethod
    def _defect(self) -> Exception | None:
        """What the other thread died of, if it did."""

    @abstractmethod
    def close(self) -> None:
        """Let go; an iteration under way ends.  Harmless when done twice."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()
