"""The .ts format of the UEA and UCR archives (sktime, aeon)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import DataError
from edgernn.train import splits
from edgernn.train.dataset import SensorSet, check_labels
from edgernn.train.sequences import Sequences


def read(path: Path, seed: int) -> SensorSet:
    """Read NAME_TRAIN.ts and NAME_TEST.ts; part of the former, by label, is validation.

    `path` is either file, their common start (``folder/NAME``), or a folder that holds one
    pair.  A .ts of any other name is all the data there is: 15 % of it is the test.
    """
    train, test = _pair(path)
    rows, labels = _parse(train)
    test_rows, test_labels = _parse(test) if test else ([], [])
    names = check_labels(labels + test_labels, path)
    codes = np.array([names.index(label) for label in labels + test_labels], np.int64)
    split = np.array(["train"] * len(labels) + ["test"] * len(test_labels), "U10")
    validation = splits.stratified(codes[: len(labels)], splits.HELD_SHARE, seed)
    split[: len(labels)][validation] = "validation"
    if not test:
        split = splits.three(codes, seed)
    every = rows + test_rows
    widths = {row.shape[1] for row in every}
    if len(widths) != 1:
        raise DataError(f"{path} has sequences of {sorted(widths)} dimensions; one number for all "
                        "was needed. Repair the file")
    lengths = np.array([len(row) for row in every], np.int64)
    return SensorSet(names, Sequences(np.concatenate(every), lengths, codes, split),
                     drawn=splits.OF_TRAIN if test else splits.ALL)


def _pair(path: Path) -> tuple[Path, Path | None]:
    if not path.is_dir():
        if path.suffix != ".ts":
            path = path.with_name(f"{path.name}_TRAIN.ts")
        other = path.with_name(path.name.replace("_TEST.ts", "_TRAIN.ts"))
        train, test = other, path.with_name(other.name.replace("_TRAIN.ts", "_TEST.ts"))
        return train, test if test != train and test.exists() else None
    trains = sorted(path.glob("*_TRAIN.ts"))
    if len(trains) != 1:
        raise DataError(f"{path} has {len(trains)} files NAME_TRAIN.ts "
                        f"({', '.join(t.name for t in trains)}); one was needed. Name the file")
    return _pair(trains[0])


def _parse(path: Path) -> tuple[list[NDArray[np.float32]], list[str]]:
    rows, labels = [], []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError(f"{path} cannot be read ({problem}); a .ts file was needed") from problem
    for number, line in enumerate(text.splitlines(), 1):
        if line.lower().split() == ["@classlabel", "false"]:
            raise DataError(f"{path} has no labels (@classLabel false); a set to classify was "
                            "needed. Add `:label` to each line and name the labels after "
                            "@classLabel true")
        if not line.strip() or line.startswith(("#", "@")):
            continue
        *dimensions, label = line.strip().split(":")
        try:
            row = np.array([[float(v) for v in d.split(",")] for d in dimensions], np.float32).T
        except ValueError as problem:
            raise DataError(f"line {number} of {path} is not numbers ({problem}); every dimension "
                            "must have as many values as the first. Repair it") from problem
        if row.ndim != 2 or not np.isfinite(row).all():
            raise DataError(f"line {number} of {path} has a missing value, or no dimension; finite "
                            "numbers were needed. Fill or remove it")
        rows.append(row)
        labels.append(label)
    if not rows:
        raise DataError(f"{path} holds no sequence; lines of value,value,...:...:label were needed")
    return rows, labels
