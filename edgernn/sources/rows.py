"""Sensor rows, line by line, as frames for the model."""

import sys
from collections.abc import Iterator, Sequence
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import SourceError
from edgernn.frames import Frame
from edgernn.sources.resample import Resampler, Seconds, longest_hold_s
from edgernn.sources.row_text import Fault, Row, RowText, Stamp


class RowFrames:
    """Turns lines into frames, one `push` at a time.

    Rows without times are taken as they come; one that cannot be read is a gap of one row: the
    model holds.  Rows with times are put onto the model's even grid by a `Resampler`, or, where
    nobody knows the model's rate, only those that are late or come twice are left out.

    What is wrong with a row is told on stderr the first time, and counted.

    Parameters
    ----------
    text : RowText
    rate_hz : float
        Rows per second the model expects; 0 if nobody knows.
    name : str
        What a message calls the source.
    arrivals : bool
        A row's time is when it came, whatever it says itself.
    """

    def __init__(self, text: RowText, rate_hz: float, name: str, *,
                 arrivals: bool = False) -> None:
        self._text, self._rate_hz, self.name, self._arrivals = text, rate_hz, name, arrivals
        # What came may have waited in buffers: only a longer silence is a gap.
        self._grid = Resampler(rate_hz or 1.0, longest_hold_s(rate_hz or 1.0) if arrivals else None)
        self._seconds = Seconds(rate_hz)
        self._told: set[str] = set()
        self._timed: bool | None = None
        self._last_s: float | None = None
        self._came_s: float | None = None
        self._done = self._gap = self._lines = 0
        self.rows = 0
        """Rows that were read."""
        self.bad = 0
        """Rows that could not be read."""
        self.lost = 0
        """Rows that came faster than the model took them."""

    def push(self, line: str, came_s: float | None = None, *, lost: int = 0,
             anew: bool = False) -> list[Frame]:
        """Take a line; give the frames it completes.

        Parameters
        ----------
        line : str
        came_s : float, optional
            When it came, on any steady clock.
        lost : int
            Lines lost before it.
        anew : bool
            The connection was broken before it: rows without times are then missed by the clock.
        """
        self._lines += 1
        self.lost += lost
        self._gap += lost
        if anew and came_s is not None and self._came_s is not None and self._rate_hz:
            self._gap += max(0, round((came_s - self._came_s) * self._rate_hz) - 1)
        frames = []
        for row in self._text.rows(line):
            self._came_s = came_s if came_s is not None else self._came_s
            if isinstance(row, Fault):
                self._refuse(line, row.needed)
            else:
                self.rows += 1
                frames += self._frames(row, came_s, anew)
                anew = False
        return frames

    def _frames(self, row: Row, came_s: float | None, anew: bool) -> list[Frame]:
        values = np.array(row.values, np.float32)
        stamp = Stamp(came_s, 1.0) if self._arrivals and came_s is not None else row.stamp
        if self._timed is None:
            self._timed = stamp is not None
        if not self._timed:
            gap, self._gap = self._gap, 0
            return [self._frame(gap, values)]
        if stamp is None:
            self._refuse(repr(row.values), "a time, as the rows before it have,")
            return []
        time_s = self._seconds.since_first(stamp)
        if not self._rate_hz:
            return self._in_order(time_s, values, anew)
        # The grid sees by the times what is missing.
        self._gap = 0
        before = self.dropped
        found = self._grid.push(time_s, values, anew=anew)
        if self.dropped > before:
            self._tell("time", f"a row of {self.name} is late or came twice; rows in order were "
                               "needed. It is left out; further ones are counted")
        return [self._frame(gap, each) for gap, each in found]

    def _in_order(self, time_s: float, values: NDArray[np.float32], anew: bool) -> list[Frame]:
        self._tell("rate", f"{self.name} has times, but the model does not know its rate: rows are "
                           "taken as they come. Say it with --rate HZ")
        faults = self._grid.faults
        if self._last_s is not None and time_s <= self._last_s and not anew:
            if time_s == self._last_s:
                faults.duplicate += 1
            else:
                faults.late += 1
            return []
        self._last_s = time_s
        gap, self._gap = self._gap, 0
        return [self._frame(gap, values)]

    def _frame(self, gap: int, values: NDArray[np.float32]) -> Frame:
        self._done += gap
        frame = Frame(values[None], self._done / (self._rate_hz or 1.0), gap)
        self._done += 1
        return frame

    def _refuse(self, line: str, needed: str) -> None:
        self.bad += 1
        self._gap += 1
        self._tell("bad", f"line {self._lines} of {self.name} is {line.strip()!r:.60}; {needed} "
                          "were needed. The model holds; further such lines are counted")

    def _tell(self, kind: str, message: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            print(f"edgernn: {message}", file=sys.stderr)

    @property
    def dropped(self) -> int:
        """Rows that came and were not used."""
        faults = self._grid.faults
        return self.bad + self.lost + faults.late + faults.duplicate

    @property
    def counts(self) -> dict[str, int]:
        """What the summary tells of the rows."""
        faults = self._grid.faults
        return {"rows": self.rows, "rows_bad": self.bad, "rows_late": faults.late,
                "rows_duplicate": faults.duplicate, "rows_lost": self.lost,
                "clock_restarts": faults.restarts}


class RowSource:
    """Rows of a text file or pipe, to its end.

    Parameters
    ----------
    stream : text file
    columns : int
        Values in a row.
    rate_hz : float
        Rows per second, for the time of each; 0 if nobody knows.
    name : str
        What a message calls the stream.
    wanted, names
        Names of the model's columns, and of the rows': see `RowText`.

    Raises
    ------
    SourceError
        If `names` lacks what the model needs.  While iterating: if no row could be read.
    """

    overflows = 0
    live = False

    def __init__(self, stream: TextIO, columns: int, rate_hz: float, name: str = "stdin",
                 wanted: Sequence[str] = (), names: Sequence[str] = ()) -> None:
        self._stream, self.columns, self.rate_hz, self.name = stream, columns, rate_hz, name
        self._frames = RowFrames(RowText(columns, wanted, names), rate_hz, name)

    @property
    def dropped(self) -> int:
        """Rows that came and were not used."""
        return self._frames.dropped

    @property
    def counts(self) -> dict[str, int]:
        """What the summary tells of the rows."""
        return self._frames.counts

    def __iter__(self) -> Iterator[Frame]:
        """One frame per good row, or per point of the model's grid."""
        for line in self._stream:
            yield from self._frames.push(line)
        if not self._frames.rows:
            raise SourceError(f"{self.name} held no row of {self.columns} numbers; lines such as "
                              f"{','.join(['0.5'] * min(self.columns, 4))}"
                              f"{',...' if self.columns > 4 else ''} were needed")

    def close(self) -> None:
        """Let go of the stream."""
        self._stream.close()

    def __enter__(self) -> "RowSource":
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()
