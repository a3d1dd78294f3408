"""A step as a list of calls, each with the memory that it reads and writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

INPUT, STATE, OUTPUT, SCRATCH, CONSTANT = "input", "state", "output", "scratch", "constant"
"""Where a value is: the frame as it came; what is remembered from step to step; the scores,
which `hold` repeats; memory without meaning between steps; the program itself."""


@dataclass(frozen=True)
class Value:
    """Integers that a call reads or writes."""

    place: str
    """One of `INPUT`, `STATE`, `OUTPUT`, `SCRATCH`, `CONSTANT`."""
    name: str
    """Of the tensor; of a state, that of its input."""
    dtype: str
    """numpy name."""
    count: int
    """How many."""
    offset: int = 0
    """Of the first one in its scratch (each type has its own), or in the tensor `name`."""
    data: NDArray[Any] | None = None
    """Of a constant."""


@dataclass(frozen=True)
class Call:
    """One call of a kernel, `ernn_<kernel>`."""

    kernel: str
    """fc_s8, add_s16, ..."""
    params: Mapping[str, Any]
    """The fields of its struct in ernn.h: whole numbers and arrays; empty if it has none."""
    inputs: tuple[Value, ...]
    output: Value
    counts: tuple[int, ...]
    """Its last arguments: how many values, rows, ..."""
    makes: str
    """Name of the tensor that it makes."""


@dataclass(frozen=True)
class Plan:
    """A step, whole."""

    calls: tuple[Call, ...]
    """In their order."""
    x: Value
    """The frame."""
    scores: Value
    """The model's output."""
    states: tuple[tuple[Value, int], ...]
    """What is remembered, and the integer that it begins with: 0.0 of its type."""
    scratch: Mapping[str, int]
    """Integers of scratch memory, by type."""
