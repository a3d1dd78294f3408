"""Sensor rows as text: one row a line, values separated by commas."""

import sys
from collections.abc import Iterator
from typing import TextIO

import numpy as np

from edgernn.errors import SourceError
from edgernn.frames import Frame

LARGEST = 1e30
"""A value beyond this, either way, is a fault of the sender."""


class RowSource:
    """Rows of a CSV stream; a first line of names is skipped.

    A row with a wrong number of columns, or a value that is no number up to 1e30, is a gap
    of one row: the model holds.  The first is told on stderr, all are counted.

    Parameters
    ----------
    stream : text file
    columns : int
        Values in a row.
    rate_hz : float
        Rows per second, for the time of each.
    name : str
        What a message calls the stream.
    """

    overflows = 0
    live = False

    def __init__(self, stream: TextIO, columns: int, rate_hz: float, name: str = "stdin") -> None:
        self._stream, self.columns, self.rate_hz, self.name = stream, columns, rate_hz, name
        self.dropped = 0

    def __iter__(self) -> Iterator[Frame]:
        """One frame per good row."""
        row, gap = 0, 0
        for number, line in enumerate(self._stream, 1):
            if not line.strip() or (number == 1 and _is_header(line)):
                continue
            values = _numbers(line)
            if values is None or len(values) != self.columns:
                self._refuse(number, line)
                gap += 1
            else:
                yield Frame(np.array([values], np.float32), row / self.rate_hz, gap)
                gap = 0
            row += 1
        if row == self.dropped:
            raise SourceError(f"{self.name} held no row of {self.columns} numbers; lines such as "
                              f"{','.join(['0.5'] * min(self.columns, 4))}"
                              f"{',...' if self.columns > 4 else ''} were needed")

    def _refuse(self, number: int, line: str) -> None:
        if not self.dropped:
            print(f"edgernn: line {number} of {self.name} is {line.strip()!r:.60}; {self.columns} "
                  "finite numbers were needed. The model holds; further such lines are counted",
                  file=sys.stderr)
        self.dropped += 1

    def close(self) -> None:
        """Let go of the stream."""
        self._stream.close()

    def __enter__(self) -> "RowSource":
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()


def _is_header(line: str) -> bool:
    return not any(_is_number(cell) for cell in line.split(","))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(line: str) -> list[float] | None:
    """The numbers of a line, or None if anything else is in it."""
    try:
        values = [float(cell) for cell in line.split(",")]
    except ValueError:
        return None
    # A number that float32 cannot hold, or not once it is standardized, is no measurement.
    return values if all(abs(value) <= LARGEST for value in values) else None
