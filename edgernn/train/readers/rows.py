"""Sensor sequences in NPZ and CSV files."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import DataError
from edgernn.train import splits
from edgernn.train.dataset import SensorSet, Skipped, Tell, check_labels, refuse_or_tell
from edgernn.train.sequences import Sequences

NPZ_KEYS = "x (n, time, features), y (n,) and lengths (n,), or rows, lengths and labels"


def read_npz(path: Path, seed: int) -> SensorSet:
    """Read an .npz in one of two layouts.

    Padded: `x` of shape (n, time, features), `lengths` (n,) (all of `time` if absent), `y`
    (n,) of names or numbers.  End to end: `rows` (sum of lengths, features), `lengths`,
    `labels`.  Either may have `split` (n,) and `columns` (features,).
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError) as problem:
        raise DataError(f"{path} cannot be read ({problem}); an .npz with {NPZ_KEYS} was needed") \
            from problem
    if {"x", "y"} <= arrays.keys():
        x, names = arrays["x"], arrays["y"]
        lengths = arrays.get("lengths", np.full(len(x), x.shape[1] if x.ndim == 3 else 0))
        if x.ndim != 3 or not len(x) == len(names) == len(lengths) or lengths.max() > x.shape[1]:
            raise DataError(f"{path} has x {x.shape}, y {names.shape} and lengths "
                            f"{lengths.shape}; they do not fit. {NPZ_KEYS} was needed")
        sequences = [row[:n] for row, n in zip(x, lengths, strict=True)]
    elif {"rows", "lengths", "labels"} <= arrays.keys():
        rows, lengths, names = arrays["rows"], arrays["lengths"], arrays["labels"]
        if rows.ndim != 2 or lengths.sum() != len(rows) or len(names) != len(lengths):
            raise DataError(f"{path} has rows {rows.shape}, lengths that add up to "
                            f"{lengths.sum()}, and {len(names)} labels; they do not fit")
        sequences = np.split(rows, np.cumsum(lengths)[:-1])
    else:
        raise DataError(f"{path} holds {', '.join(arrays) or 'nothing'}; {NPZ_KEYS} was needed")
    return _sensor_set(path, sequences, [str(n) for n in names], arrays.get("split"), seed,
                       tuple(str(c) for c in arrays.get("columns", ())))


def read_folder(folder: Path, seed: int, strict: bool, tell: Tell) -> SensorSet:
    """Read ``label/*.csv``, one sequence a file, a first line of names allowed."""
    sequences, labels, skipped, columns = [], [], [], None
    for path in sorted(folder.glob("*/*.csv")):
        try:
            names, values = _table(path)
        except (OSError, ValueError) as problem:
            skipped.append(Skipped(path, f"broken: {problem}"))
            continue
        columns = columns or names
        if not len(values):
            skipped.append(Skipped(path, "empty"))
        elif names != columns:
            skipped.append(Skipped(path, f"of other columns: {', '.join(names)[:60]}"))
        else:
            sequences.append(values)
            labels.append(path.parent.name)
    left_out = refuse_or_tell(skipped, strict, tell)
    found = _sensor_set(folder, sequences, labels, None, seed, tuple(columns or ()))
    return SensorSet(found.labels, found.sequences, found.columns, found.rate_hz, left_out)


def read_long_csv(path: Path, seed: int) -> SensorSet:
    """Read one CSV: columns `sequence` and `label`, optionally `split`, the others are values."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise DataError(f"{path} cannot be read ({problem}); a CSV was needed") from problem
    columns = list(lines[0]) if lines else []
    values = [c for c in columns if c not in ("sequence", "label", "split")]
    if not {"sequence", "label"} <= set(columns) or not values:
        raise DataError(f"{path} has the columns {', '.join(columns) or 'none'}; sequence, label "
                        "and at least one of values were needed")
    grouped: dict[str, list[dict[str, str]]] = {}
    for line in lines:
        grouped.setdefault(line["sequence"], []).append(line)
    try:
        sequences = [np.array([[float(line[c]) for c in values] for line in group], np.float32)
                     for group in grouped.values()]
    except (TypeError, ValueError) as problem:
        raise DataError(f"{path} has a value that is no number ({problem}). Repair it") \
            from problem
    first = [group[0] for group in grouped.values()]
    split = np.array([line["split"] for line in first]) if "split" in columns else None
    return _sensor_set(path, sequences, [line["label"] for line in first], split, seed,
                       tuple(values))


def _table(path: Path) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Names (empty if there are none) and numbers of one CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        lines = [line for line in csv.reader(file) if line]
    names: tuple[str, ...] = ()
    if lines and not _is_number(lines[0][0]):
        names = tuple(lines.pop(0))
    values = np.array([[float(cell) for cell in line] for line in lines], np.float32)
    if values.size and not np.isfinite(values).all():
        raise ValueError("NaN or infinity")
    return names, values


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _sensor_set(path: Path, sequences: Sequence[NDArray[np.float32]], names: list[str],
                split: NDArray[np.str_] | None, seed: int, columns: tuple[str, ...]) -> SensorSet:
    labels = check_labels(names, path)
    widths = {s.shape[1] for s in sequences}
    if len(widths) != 1:
        raise DataError(f"{path} has sequences {sorted(widths)} columns wide; one width for all "
                        "was needed")
    rows = np.concatenate(sequences).astype(np.float32)
    if not np.isfinite(rows).all():
        raise DataError(f"{path} holds NaN or infinity; finite numbers were needed. Fill them, or "
                        "shorten `lengths`, which is what tells padding from data")
    codes = np.array([labels.index(name) for name in names], np.int64)
    if split is None:
        split = np.full(len(codes), "train", "U10")
        split[splits.stratified(codes, splits.VALIDATION_SHARE + splits.TEST_SHARE, seed)] = "test"
        tests = np.flatnonzero(split == "test")
        split[tests[::2]] = "validation"
    unknown = sorted(set(split) - set(splits.SPLITS))
    if unknown:
        raise DataError(f"{path} has the split {unknown[0]!r}; {', '.join(splits.SPLITS)} were "
                        "needed")
    lengths = np.array([len(s) for s in sequences], np.int64)
    return SensorSet(labels, Sequences(rows, lengths, codes, split.astype("U10")), columns)
