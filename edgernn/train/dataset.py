"""Recordings, sensor sequences and texts with their labels, speakers and splits."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import DataError
from edgernn.spec import LABEL
from edgernn.train.sequences import Sequences

SHORTEST_S = 0.1
"""A recording shorter than this, seconds, is no word, and may be less than one window."""
SILENT = 32
"""A recording that stays below this, of 32768, is silent (-60 dB)."""
SKIPPED = "skipped "
"""How a line begins that tells of what is left out."""

Samples = NDArray[np.int16]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Recording:
    """One audio file."""

    path: Path
    label: str
    speaker: str = ""
    """Empty where nobody knows."""
    split: str = "train"
    """train, validation or test."""


@dataclass(frozen=True)
class Skipped:
    """A file left out."""

    path: Path
    reason: str


@dataclass(frozen=True)
class AudioSet:
    """Labelled recordings, their samples read."""

    labels: tuple[str, ...]
    """Sorted; `Recording.label` is one of them."""
    recordings: tuple[Recording, ...]
    samples: tuple[Samples, ...]
    """Mono int16 of each recording, at `sample_rate_hz`."""
    sample_rate_hz: int
    noises: tuple[Samples, ...] = ()
    """Long recordings of background, to be mixed in."""
    skipped: tuple[Skipped, ...] = ()
    sources: tuple[int, ...] = ()
    """Which of several data sets each came from, if it was several."""
    drawn: frozenset[str] = frozenset()
    """Splits that its reader drew, for it has none of its own to go by."""


@dataclass(frozen=True)
class SensorSet:
    """Labelled sequences of sensor rows."""

    labels: tuple[str, ...]
    sequences: Sequences
    """Float rows in the sensor's own units."""
    columns: tuple[str, ...] = ()
    rate_hz: float = 0.0
    skipped: tuple[Skipped, ...] = field(default=())
    sources: tuple[int, ...] = ()
    """Which of several data sets each came from, if it was several."""
    drawn: frozenset[str] = frozenset()
    """Splits that its reader drew, for it has none of its own to go by."""


@dataclass(frozen=True)
class TextSet:
    """Labelled texts."""

    labels: tuple[str, ...]
    """Sorted; of whole texts, or of their units if there are tags."""
    texts: tuple[str | tuple[str, ...], ...]
    """As text, or cut into units already."""
    codes: NDArray[np.int64]
    """Index of each text's label, shape (texts,); 0 where units have tags."""
    split: NDArray[np.str_]
    """`train`, `validation` or `test` for each text, shape (texts,)."""
    tags: tuple[NDArray[np.int64], ...] = ()
    """Index of the label of each unit, one array per text, shape (units,); or none at all."""
    skipped: tuple[Skipped, ...] = field(default=())
    sources: tuple[int, ...] = ()
    """Which of several data sets each came from, if it was several."""
    drawn: frozenset[str] = frozenset()
    """Splits that its reader drew, for it has none of its own to go by."""


DataSet = AudioSet | SensorSet | TextSet


def splits_of(data: DataSet) -> list[str]:
    """The split of each recording, sequence or text."""
    if isinstance(data, AudioSet):
        return [recording.split for recording in data.recordings]
    found: list[str] = (data.sequences if isinstance(data, SensorSet) else data).split.tolist()
    return found


def check_labels(labels: Iterable[str], where: Path, least: int = 2) -> tuple[str, ...]:
    """Sorted labels, if they can be told apart and be used as file names.

    Raises
    ------
    DataError
        If there are fewer than `least`, or one is no file-safe name.
    """
    found = tuple(sorted(set(labels)))
    for label in found:
        check_label(label, where)
    if len(found) < least:
        raise DataError(f"{where} has {len(found)} label{'s' * (len(found) != 1)}"
                        f"{' (' + found[0] + ')' if found else ''}; two or more were needed to "
                        "tell apart. Give a folder of label/*.wav, or an index.csv with a column "
                        "label")
    return found


def check_label(label: str, where: Path) -> None:
    """Refuse a label that is no file-safe name, by a DataError that says so."""
    if not LABEL.fullmatch(label):
        raise DataError(f"{where} has the label {label!r}; letters, digits, spaces and _ . - + "
                        "' were needed, since labels become file names. Rename it")


def once(tell: Tell) -> Tell:
    """Say each thing one time, however often the same is read."""
    said: set[str] = set()

    def first(message: str) -> None:
        if message not in said:
            said.add(message)
            tell(message)

    return first


def refuse_or_tell(skipped: Iterable[Skipped], strict: bool, tell: Tell) -> tuple[Skipped, ...]:
    """Name every file left out, and count them by reason.

    Raises
    ------
    DataError
        If there is one and `strict`.
    """
    left_out = tuple(skipped)
    if left_out and strict:
        first = left_out[0]
        raise DataError(f"{first.path} is {first.reason}, and {len(left_out) - 1} more files cannot"
                        " be used. Repair or remove them, or run without --strict")
    for one in left_out:
        tell(f"{SKIPPED}{one.path}: {one.reason}")
    if left_out:
        counts = Counter(one.reason.split(":")[0] for one in left_out)
        tell(f"{SKIPPED}{len(left_out)} files: "
             + ", ".join(f"{n} {reason}" for reason, n in counts.most_common()))
    return left_out
