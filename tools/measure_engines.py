"""Remaining life of turbofan engines (C-MAPSS): root mean square error, cycles.

    python tools/measure_engines.py [shared/data/cmapss] [--sets FD001 FD003] [--out FOLDER]

FD001 is measured on its own 100 test engines, each on its last cycle, as published.  The
shared FD003 has no test file: every fifth of its training engines is cut at a drawn cycle
and tested.  Lives are capped at 125 cycles in training and in the test.  One JSON line per
set: float, int8x16 and int8, one row at a time with the state reset for each engine, and, which no
engine does, carried over from another.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from measuring import reached

from edgernn.train.config import load as load_config
from edgernn.train.dataset import SensorSet
from edgernn.train.fit import fit
from edgernn.train.sequences import Sequences

PROJECT = Path(__file__).resolve().parent.parent
RECIPE = PROJECT / "recipes" / "engines.yaml"
CAP = 125
COLUMNS = tuple([f"setting{i}" for i in (1, 2, 3)] + [f"sensor{i}" for i in range(1, 22)])


def engines(path: Path) -> list[np.ndarray]:
    """Rows of each engine, shape (cycles, 24), in the order of the file."""
    table = np.loadtxt(path)
    return [table[table[:, 0] == unit][:, 2:] for unit in np.unique(table[:, 0])]


def life(rows: np.ndarray, after: float = 0.0) -> np.ndarray:
    """Cycles left on each row, capped, of an engine that runs `after` cycles beyond them."""
    return np.minimum(CAP, np.arange(len(rows))[::-1] + after).astype(np.float32)


def asked_last(targets: np.ndarray) -> np.ndarray:
    """The same, but only the last cycle is asked about."""
    last = np.full_like(targets, np.nan)
    last[-1] = targets[-1]
    return last


def fd001(data: Path) -> tuple[list, list, list]:
    """Rows, targets and splits of FD001 with its own test."""
    train = engines(data / "train_FD001.txt")
    test = engines(data / "test_FD001.txt")
    left = np.loadtxt(data / "RUL_FD001.txt")
    targets = [life(r) for r in train] + [asked_last(life(r, n)) for r, n in
                                          zip(test, left, strict=True)]
    return train + test, targets, ["train"] * len(train) + ["test"] * len(test)


def fd003(data: Path) -> tuple[list, list, list]:
    """Rows, targets and splits of FD003: every fifth engine cut short and tested."""
    rng = np.random.default_rng(0)
    rows, targets, split = [], [], []
    for i, engine in enumerate(engines(data / "train_FD003.txt")):
        if i % 5 == 4:
            stop = int(rng.integers(len(engine) // 4, len(engine)))
            rows.append(engine[:stop])
            targets.append(asked_last(life(engine)[:stop]))
            split.append("test")
        else:
            rows.append(engine)
            targets.append(life(engine))
            split.append("train")
    return rows, targets, split


SETS = {"FD001": fd001, "FD003": fd003}


def life_set(rows: list, targets: list, split: list) -> SensorSet:
    """Engines as a data set."""
    lengths = np.array([len(r) for r in rows])
    return SensorSet(("remaining_life",), Sequences(
        np.concatenate(rows).astype(np.float32), lengths, np.zeros(len(rows), np.int64),
        np.array(split, "U10"), np.concatenate(targets)[:, None]), COLUMNS)


def measure(data: Path, name: str, out: Path, settings: dict) -> dict:
    """Errors on one set."""
    rows, targets, split = SETS[name](data)
    run = out / name
    if not run.exists():
        out.mkdir(parents=True, exist_ok=True)
        fit(load_config(RECIPE, settings), life_set(rows, targets, split), run)
    return {"set": name, **reached(run, out / name, digits=3)}


def main() -> None:
    """Measure the sets asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?",
                        default=PROJECT.parent / "shared/data/cmapss")
    parser.add_argument("--sets", nargs="+", default=tuple(SETS), choices=tuple(SETS))
    parser.add_argument("--out", type=Path, help="where to leave the runs (default: nowhere); "
                                                 "those there are not trained again")
    parser.add_argument("--set", dest="settings", nargs="*", default=[], metavar="NAME=VALUE",
                        help="settings in place of the recipe's")
    arguments = parser.parse_args()
    settings = {k: json.loads(v) for k, _, v in (s.partition("=") for s in arguments.settings)}
    with tempfile.TemporaryDirectory() as nowhere:
        for name in arguments.sets:
            print(json.dumps(measure(arguments.data, name, arguments.out or Path(nowhere),
                                     settings)), flush=True)


if __name__ == "__main__":
    main()
