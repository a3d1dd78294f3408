"""Sensor sequences in NPZ and CSV files."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

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
    (n,) of names or numbers.  End to end, as `Sequences.save` writes: `rows` (sum of lengths,
    features), `lengths`, `labels`.  Either may have `split` (n,), `columns` (features,),
    `rate_hz`, and `label_names`, into which whole-number labels are then an index.

    Raises
    ------
    DataError
        If it is damaged, lacks one of these, or their shapes do not fit together.
    """
    arrays = read_arrays(path)
    padded = {"x", "y"} <= arrays.keys()
    if not padded and not {"rows", "lengths", "labels"} <= arrays.keys():
        raise DataError(f"{path} holds {', '.join(arrays) or 'nothing'}; {NPZ_KEYS} was needed")
    values, given = (arrays[key] for key in (("x", "y") if padded else ("rows", "labels")))
    if values.ndim != (3 if padded else 2) or given.ndim != 1 or values.dtype.kind not in "fiub":
        raise DataError(f"{path} has {values.dtype} values of shape {values.shape} and labels of "
                        f"shape {given.shape}; {NPZ_KEYS} was needed")
    every = np.full(len(values), values.shape[1])
    lengths = arrays["lengths"] if "lengths" in arrays or not padded else every
    if lengths.dtype.kind not in "iu" or lengths.shape != given.shape or (lengths < 1).any() or (
            len(values) != len(given) or (lengths > values.shape[1]).any() if padded
            else lengths.sum() != len(values)):
        raise DataError(f"{path} has values of shape {values.shape}, {len(given)} labels, and "
                        f"{lengths.dtype} lengths of shape {lengths.shape} that add up to "
                        f"{lengths.sum()}; whole numbers of 1 or more that fit were needed")
    sequences = [row[:n] for row, n in zip(values, lengths, strict=True)] if padded else \
        np.split(values, np.cumsum(lengths)[:-1])
    found = _sensor_set(path, sequences, _names(path, given, arrays.get("label_names")),
                        arrays.get("split"), seed,
                        tuple(str(c) for c in np.ravel(arrays.get("columns", ()))))
    rate = arrays.get("rate_hz", np.zeros(()))
    if rate.size != 1 or rate.dtype.kind not in "fiu" or not 0 <= rate.item() < np.inf:
        raise DataError(f"{path} has the rate_hz {rate}; one number, rows per second, was needed")
    return replace(found, rate_hz=float(rate.item()))


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Everything in an .npz, by name."""
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("it is one array, an .npy")
        with file:
            return {key: file[key] for key in file.files}
    # zipfile, zlib, tokenize and numpy each have their own ways to meet a flipped bit.
    except Exception as problem:
        raise DataError(f"{path} cannot be read ({problem}); an .npz with {NPZ_KEYS} was needed") \
            from problem


def _names(path: Path, given: NDArray[Any], names: NDArray[Any] | None) -> list[str]:
    """Labels as text, through `names` if there are any."""
    if names is None:
        return [str(one) for one in given]
    if given.dtype.kind not in "iu" or names.ndim != 1 or (
            given.size and not 0 <= given.min() <= given.max() < len(names)):
        raise DataError(f"{path} has {given.dtype} labels that are no index into its {names.size} "
                        "label_names; 0 to one less than their number was needed")
    return [str(names[i]) for i in given]


def read_folder(folder: Path, seed: int, strict: bool, tell: Tell) -> SensorSet:
    """Read ``label/*.csv``, one sequence a file, a first line of names allowed."""
    sequences, labels, skipped, columns = [], [], [], None
    for path in sorted(folder.glob("*/*.csv")):
        try:
            names, values = _table(path)
        except (OSError, ValueError, csv.Error) as problem:
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
    return replace(found, skipped=left_out)


def read_long_csv(path: Path, seed: int) -> SensorSet:
    """Read one CSV: columns `sequence` and `label` or `target`, maybe `split`; others are values.

    A label may change from row to row: then each row has its own.  `target` is a number
    for each row; an empty one is not asked for.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise DataError(f"{path} cannot be read ({problem}); a CSV was needed") from problem
    columns = list(lines[0]) if lines else []
    values = [c for c in columns if c not in ("sequence", "label", "target", "split")]
    if "sequence" not in columns or len({"label", "target"} & set(columns)) != 1 or not values:
        raise DataError(f"{path} has the columns {', '.join(columns) or 'none'}; sequence, label "
                        "or target, and at least one of values were needed")
    grouped: dict[str, list[dict[str, str]]] = {}
    for line in lines:
        grouped.setdefault(line["sequence"], []).append(line)
    try:
        sequences = [np.array([[float(line[c]) for c in values] for line in group], np.float32)
                     for group in grouped.values()]
    except (TypeError, ValueError) as problem:
        raise DataError(f"{path} has a value that is no number ({problem}). Repair it") \
            from problem
    for column in sorted({"split"} & set(columns)):
        for name, group in grouped.items():
            given = {line[column] for line in group}
            if len(given) > 1 or not all(given):
                raise DataError(f"{path} has the {column}s {', '.join(map(str, given))[:60]} in "
                                f"sequence {name}; one for all its rows was needed. Repair it")
    first = [group[0] for group in grouped.values()]
    split = np.array([line["split"] for line in first]) if "split" in columns else None
    ordered = [line for group in grouped.values() for line in group]
    if "target" in columns:
        found = _sensor_set(path, sequences, None, split, seed, tuple(values))
        return replace(found, labels=("target",), sequences=replace(
            found.sequences, targets=_numbers(path, [line["target"] for line in ordered])))
    if not all(line["label"] for line in ordered):
        raise DataError(f"{path} has a row without a label; one for each was needed. Repair it")
    changing = any(len({line["label"] for line in group}) > 1 for group in grouped.values())
    if not changing:
        return _sensor_set(path, sequences, [line["label"] for line in first], split, seed,
                           tuple(values))
    labels = check_labels((line["label"] for line in ordered), path)
    found = _sensor_set(path, sequences, None, split, seed, tuple(values))
    codes = np.array([labels.index(line["label"]) for line in ordered], np.int64)
    return replace(found, labels=labels, sequences=replace(found.sequences, targets=codes))


def _numbers(path: Path, cells: list[str]) -> NDArray[np.float32]:
    """A column of targets, shape (rows, 1); NaN where a cell is empty."""
    try:
        column = np.array([float(cell) if cell else np.nan for cell in cells], np.float32)
    except ValueError as problem:
        raise DataError(f"{path} has a target that is no number ({problem}). Repair it, or leave "
                        "it empty") from problem
    if np.isinf(column).any() or np.isnan(column).all():
        raise DataError(f"{path} has a target that is infinite, or none at all; finite numbers "
                        "were needed")
    return column[:, None]


def _table(path: Path) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Names (empty if there are none) and numbers of one CSV file."""
    with path.open(newline="", encoding="utf-8-sig") as file:
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


def _sensor_set(path: Path, sequences: Sequence[NDArray[Any]], names: list[str] | None,
                split: NDArray[Any] | None, seed: int, columns: tuple[str, ...]) -> SensorSet:
    """Checked sequences; without `names` they have no labels of their own."""
    labels = check_labels(names, path) if names is not None else ()
    widths = {s.shape[1] for s in sequences}
    if len(widths) != 1 or 0 in widths:
        raise DataError(f"{path} has sequences {sorted(widths)} columns wide; one width for all "
                        "was needed")
    if columns and len(columns) != min(widths):
        raise DataError(f"{path} names {len(columns)} columns and has {min(widths)}; as many names "
                        "were needed. Repair the names")
    rows = np.concatenate(sequences).astype(np.float32)
    if not np.isfinite(rows).all():
        raise DataError(f"{path} holds NaN or infinity; finite numbers were needed. Fill them, or "
                        "shorten `lengths`, which is what tells padding from data")
    code = {label: i for i, label in enumerate(labels)}
    codes = np.array([code[name] for name in names], np.int64) if names is not None else \
        np.zeros(len(sequences), np.int64)
    drawn = splits.ALL if split is None else frozenset()
    if split is None:
        split = splits.three(codes, seed)
    if split.shape != codes.shape:
        raise DataError(f"{path} has a split of shape {split.shape} for {len(codes)} sequences; "
                        "one for each was needed")
    unknown = sorted({str(s) for s in split} - set(splits.SPLITS))
    if unknown:
        raise DataError(f"{path} has the split {unknown[0]!r}; {', '.join(splits.SPLITS)} were "
                        "needed")
    lengths = np.array([len(s) for s in sequences], np.int64)
    return SensorSet(labels, Sequences(rows, lengths, codes, split.astype("U10")), columns,
                     drawn=drawn)
