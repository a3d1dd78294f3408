"""Sensor rows as text: numbers between commas, tabs or spaces, or JSON."""

import datetime
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgernn.errors import SourceError
from edgernn.sources.columns import TIME_UNITS_S, Columns, arrange, untitled

LARGEST = 1e30
"""A value beyond this, either way, is a fault of the sender."""


@dataclass(frozen=True)
class Stamp:
    """When a row says it was measured."""

    value: float
    unit_s: float
    """Seconds in a unit of `value`; 0 if nothing said it."""


@dataclass(frozen=True)
class Row:
    """The model's values, in its order."""

    values: list[float]
    stamp: Stamp | None


@dataclass(frozen=True)
class Fault:
    """A row that cannot be used, and what was needed."""

    needed: str


class RowText:
    """Turns lines into rows.

    - ``1.5,2,3``: commas, or as Edge Impulse's data forwarder reads them
      (``n.split(/[,\\t\\s]/)`` in its cli/data-forwarder.ts) tabs or spaces.
    - A line of names that fit, before the first row or again later, says the order.
    - ``[1.5, 2, 3]``, or several rows in a list; ``{"time": 0.1, "x": 1.5, ...}``.

    Parameters
    ----------
    width : int
        Values the model needs.
    wanted : sequence of str
        The model's own names of them, or none.
    columns : sequence of str
        Names of a row's cells in their order, over whatever a line of names says.

    Raises
    ------
    SourceError
        If `columns` has not all that the model needs.
    """

    def __init__(self, width: int, wanted: Sequence[str] = (),
                 columns: Sequence[str] = ()) -> None:
        self._width, self._wanted = width, tuple(wanted)
        self._fixed = bool(columns)
        found = arrange(columns, wanted, width) if columns else untitled(width)
        if found is None:
            names = f" ({', '.join(wanted)})" if wanted else ""
            raise SourceError(f"--columns {','.join(columns)} names {len(columns)} columns; the "
                              f"model needs {width}{names}, and maybe a time. Name each as it "
                              "comes in a row")
        self._columns: Columns = found
        self._begun = False

    def rows(self, line: str) -> list[Row | Fault]:
        """The rows of a line; none of a blank one or of one of names."""
        text = line.strip()
        if not text:
            return []
        if text[0] in "[{":
            return self._json(text)
        cells = _cells(text)
        if self._is_title(cells):
            return []
        return [self._by_place(cells)]

    def _is_title(self, cells: list[str]) -> bool:
        """Take a line of names; a device that starts anew may say it again."""
        if any(_is_number(cell) for cell in cells):
            return False
        found = arrange(cells, self._wanted, self._width)
        if self._fixed or self._begun or found is None:
            # Names that --columns overrides are still no row.
            return found is not None and (self._fixed or found == self._columns)
        self._columns = found
        return True

    def _json(self, text: str) -> list[Row | Fault]:
        try:
            tree = json.loads(text)
        except (ValueError, RecursionError):
            return [Fault("whole JSON")]
        many = isinstance(tree, list) and tree and isinstance(tree[0], list | dict)
        return [self._by_name(each) if isinstance(each, dict) else
                self._by_place(each if isinstance(each, list) else [each])
                for each in (tree if many else [tree])]

    def _by_place(self, cells: Sequence[Any]) -> Row | Fault:
        columns = self._columns
        if len(cells) != len(columns.names):
            time = " and the time" if columns.time is not None else ""
            return Fault(f"{len(columns.names) - bool(time)} finite numbers{time}")
        stamp = None if columns.time is None else cells[columns.time]
        return self._row([cells[cell] for cell in columns.values], stamp)

    def _by_name(self, tree: dict[str, Any]) -> Row | Fault:
        names = self._columns.value_names
        if not any(names):
            names = self._wanted
        if not names:
            return Fault("the names of the model's columns, which it does not know itself: "
                         "--columns a,b,c; or arrays")
        missing = [name for name in names if name not in tree]
        if missing:
            return Fault(f"a key {missing[0]!r}")
        stamp_name = self._columns.time_name or next(
            (name for name in tree if name.casefold() in TIME_UNITS_S and name not in names), "")
        return self._row([tree[name] for name in names], tree.get(stamp_name), stamp_name)

    def _row(self, cells: Sequence[Any], stamp: Any, stamp_name: str = "") -> Row | Fault:
        values = [_number(cell) for cell in cells]
        # A number that float32 cannot hold, or not once it is standardized, is no measurement.
        good = [value for value in values if value is not None and abs(value) <= LARGEST]
        if len(good) != self._width:
            return Fault(f"{self._width} finite numbers")
        name = stamp_name or self._columns.time_name
        time = _stamp(stamp, TIME_UNITS_S.get(name.casefold(), 0.0)) if name else None
        if name and time is None:
            return Fault(f"a number or an ISO time for {name}")
        self._begun = True
        return Row(good, time)


def _cells(text: str) -> list[str]:
    """Between commas if there are any, one at the end forgiven; else between blanks."""
    if "," in text:
        return [cell.strip() for cell in text.removesuffix(",").split(",")]
    return re.split(r"\s+", text)


def _number(cell: Any) -> float | None:
    if isinstance(cell, bool) or not isinstance(cell, int | float | str):
        return None
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return None


def _is_number(cell: str) -> bool:
    return _number(cell) is not None


def _stamp(cell: Any, unit_s: float) -> Stamp | None:
    number = _number(cell)
    if number is not None:
        return Stamp(number, unit_s) if abs(number) <= LARGEST else None
    if not isinstance(cell, str):
        return None
    # Python 3.10 knows neither ISO 8601's Z nor fractions but of 3 or 6 digits.
    text = re.sub("[zZ]$", "+00:00", cell.strip())
    text = re.sub(r"[.,](\d+)", lambda found: f".{found[1][:6]:0<6}", text)
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.timezone.utc)
    return Stamp(when.timestamp(), 1.0)
