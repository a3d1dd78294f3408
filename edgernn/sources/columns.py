"""Which cell of a sensor row is what."""

from collections.abc import Sequence
from dataclasses import dataclass

TIME_UNITS_S = {"time": 0.0, "timestamp": 0.0, "time_s": 1.0, "timestamp_s": 1.0,
                "time_ms": 1e-3, "timestamp_ms": 1e-3, "millis": 1e-3,
                "time_us": 1e-6, "timestamp_us": 1e-6, "micros": 1e-6}
"""Seconds in a unit of a column of that name; 0 where the name does not say."""


@dataclass(frozen=True)
class Columns:
    """The cells of a row, found by name or by place."""

    names: tuple[str, ...]
    """Of every cell, in order."""
    time: int | None
    """Cell of the time stamp."""
    values: tuple[int, ...]
    """Cells of the model's values, in the model's order."""

    @property
    def time_name(self) -> str:
        """Name of the time stamp, or nothing."""
        return "" if self.time is None else self.names[self.time]

    @property
    def value_names(self) -> tuple[str, ...]:
        """Names of the model's values, in the model's order."""
        return tuple(self.names[cell] for cell in self.values)


def arrange(names: Sequence[str], wanted: Sequence[str], width: int) -> Columns | None:
    """Find time and values among named cells; None if they do not fit.

    Parameters
    ----------
    names : sequence of str
        Of a row's cells.  One of `TIME_UNITS_S` that is no value of the model is its time.
    wanted : sequence of str
        The model's own names, or none.  Where all are there they are found by name, in any
        order and among others; else the cells are taken in their order.
    width : int
        Values the model needs.
    """
    clean = tuple(name.strip() for name in names)
    times = [cell for cell, name in enumerate(clean)
             if name.casefold() in TIME_UNITS_S and name not in wanted]
    time = times[0] if times else None
    if wanted and set(wanted) <= set(clean):
        return Columns(clean, time, tuple(clean.index(name) for name in wanted))
    others = tuple(cell for cell in range(len(clean)) if cell != time)
    return Columns(clean, time, others) if len(others) == width else None


def untitled(width: int) -> Columns:
    """Cells without names: the values alone, in order."""
    return Columns(("",) * width, None, tuple(range(width)))
