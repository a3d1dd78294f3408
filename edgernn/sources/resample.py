"""Sensor rows that come at their own times, on the model's even grid."""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgernn.sources.row_text import Stamp

SNAP = 1e-3
"""Periods by which a row may miss a point of the grid and still be that point."""
MISSING = 1.75
"""Usual distances between rows from which on a row is missing in between: a row may be late by
three quarters of one."""
USUAL = 15
"""Distances whose median is the usual one."""
BACKWARD = 8
"""Rows in order among themselves, yet all before the last one: their clock was set back."""
JUMP_S = 86400.0
"""A clock that jumps ahead so far was set, and nothing was lost."""
EPOCH_UNITS_S = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))
"""A number so large can only be so many of these since 1970."""


@dataclass
class Faults:
    """Rows that were left out, and what was done about time."""

    late: int = 0
    """Rows older than one before them."""
    duplicate: int = 0
    """Rows of the same time as the one before."""
    restarts: int = 0
    """Times a sender's clock was set, and the grid laid anew."""


class Seconds:
    """Time stamps of an unknown unit as seconds since the first.

    Where neither name nor size says the unit, it is that of s, ms, us in which the first two
    rows are nearest to the model's rate apart.

    Parameters
    ----------
    rate_hz : float
        Rows per second the model expects; 0 if nobody knows: small numbers are then seconds.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._first: float | None = None
        self.unit_s = 0.0
        """Seconds in a unit; 0 as long as that is open."""

    def since_first(self, stamp: Stamp) -> float:
        """Seconds since the first row; of a row before it, less than 0."""
        if self._first is None:
            self._first = stamp.value
            self.unit_s = stamp.unit_s or next(
                (unit for least, unit in EPOCH_UNITS_S if stamp.value >= least), 0.0)
        apart = stamp.value - self._first
        if not self.unit_s and apart > 0:
            self.unit_s = self._nearest(apart)
        return apart * (self.unit_s or 1.0)

    def _nearest(self, apart: float) -> float:
        if not self._rate_hz:
            return 1.0
        return min((1.0, 1e-3, 1e-6), key=lambda unit: abs(math.log(apart * unit * self._rate_hz)))


class Resampler:
    """Rows at any times in, rows on an even grid out, one `push` at a time.

    The grid begins at the first row.  A point of it is the line between the rows on either
    side; a row that lies on a point, as far as `SNAP`, is given as it came.  Where rows are
    missing, a point within half a period of one is still such a line, and the others are gaps.

    A row not after the one before it is left out and counted; after `BACKWARD` such, or a
    leap of `JUMP_S`, the clock was set: the grid begins anew behind a gap that resets the model.

    Parameters
    ----------
    rate_hz : float
        Points per second.
    bridge_s : float, optional
        Seconds between rows over which a line is drawn.  By default `MISSING` times the longer
        of the grid's distance and the rows' usual one, but never as much as resets the model.
    """

    def __init__(self, rate_hz: float, bridge_s: float | None = None) -> None:
        self._rate_hz, self._bridge_s = rate_hz, bridge_s
        self._reset_s = longest_hold_s(rate_hz)
        self.faults = Faults()
        self.reset()

    def reset(self) -> None:
        """Forget all rows, and what is counted."""
        self.faults = Faults()
        self._apart: deque[float] = deque(maxlen=USUAL)
        self._row: NDArray[np.float32] | None = None
        self._time_s = self._origin_s = 0.0
        self._point = 0  # the next of the grid
        self._gap = 0  # points missing before it
        self._back_s, self._backward = 0.0, 0

    def push(self, time_s: float, row: NDArray[np.float32], *,
             anew: bool = False) -> list[tuple[int, NDArray[np.float32]]]:
        """Take a row; give the points it completes, each with the gap before it.

        Parameters
        ----------
        time_s : float
            Seconds since any fixed moment.
        row : float32 array, shape (columns,)
        anew : bool
            The sender may have begun anew, so that a time before the last is a clock set back.
        """
        if self._row is None:
            return self._begin(time_s, row)
        apart = time_s - self._time_s
        if apart <= 0 and not anew:
            if not self._set_back(time_s, apart):
                return []
            anew = True
        self._backward = 0
        if apart >= JUMP_S or apart <= 0:
            self.faults.restarts += 1
            self._gap += math.floor(self._reset_s * self._rate_hz) + 1
            return self._begin(time_s, row)
        found = self._points(time_s, row, self._is_missing(apart))
        self._apart.append(apart)
        self._time_s, self._row = time_s, row
        return found

    def _begin(self, time_s: float, row: NDArray[np.float32]
               ) -> list[tuple[int, NDArray[np.float32]]]:
        gap, self._gap = self._gap, 0
        self._time_s = self._origin_s = time_s
        self._row, self._point = row, 1
        return [(gap, row)]

    def _set_back(self, time_s: float, apart: float) -> bool:
        """Count a row that is not after the last; whether so many say that time was set back."""
        if apart == 0:
            self.faults.duplicate += 1
            return False
        self._backward = self._backward + 1 if self._backward and time_s > self._back_s else 1
        self._back_s = time_s
        if self._backward < BACKWARD:
            self.faults.late += 1
            return False
        return True

    def _is_missing(self, apart: float) -> bool:
        if self._bridge_s is not None:
            return apart > self._bridge_s
        usual = sorted(self._apart)[len(self._apart) // 2] if self._apart else apart
        return apart > min(MISSING * max(usual, 1 / self._rate_hz), self._reset_s)

    def _points(self, time_s: float, row: NDArray[np.float32], missing: bool
                ) -> list[tuple[int, NDArray[np.float32]]]:
        """The grid's points after the last row and up to this one."""
        begin, end = ((at - self._origin_s) * self._rate_hz for at in (self._time_s, time_s))
        last = math.floor(end + SNAP)
        found = []
        while self._point <= last:
            if missing and begin + 0.5 < self._point < end - 0.5:
                # At once, however long it was.
                after = min(last + 1, math.ceil(end - 0.5))
                self._gap += after - self._point
                self._point = after
                continue
            found.append((self._gap, self._between(self._point, begin, end, row)))
            self._gap = 0
            self._point += 1
        return found

    def _between(self, point: int, begin: float, end: float, row: NDArray[np.float32]
                 ) -> NDArray[np.float32]:
        assert self._row is not None
        if abs(point - end) <= SNAP:
            return row
        weight = (point - begin) / (end - begin)
        # In float64: two large rows that are nearly equal stay exact.
        before, after = self._row.astype(np.float64), row.astype(np.float64)
        return (before + weight * (after - before)).astype(np.float32)


def longest_hold_s(rate_hz: float) -> float:
    """Seconds of gap up to which a listener holds a model of rows; beyond it resets."""
    from edgernn.stream import HOLD_S, HOLD_STEPS  # the loop is above its sources

    return max(HOLD_S, HOLD_STEPS / rate_hz)
