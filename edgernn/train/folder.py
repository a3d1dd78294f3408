"""The folder of a run: there once it is complete; until then, a hidden one beside it."""

import contextlib
import csv
import dataclasses
import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgernn.errors import OutputError
from edgernn.train.config import TrainConfig


@dataclass(frozen=True)
class Unfinished:
    """``.NAME.partial`` beside the run folder NAME, while its training goes on.

    A run that was stopped or killed after an epoch leaves it behind with a checkpoint, and
    the same run goes on from there.
    """

    path: Path

    @classmethod
    def of(cls, out: Path) -> "Unfinished":
        """That of the run folder `out`."""
        return cls(out.parent / f".{out.name}.partial")

    @property
    def checkpoint(self) -> Path:
        """What the run goes on from; see `edgernn.train.checkpoint`."""
        return self.path / "checkpoint.npz"

    @property
    def run(self) -> Path:
        """What becomes the run folder."""
        return self.path / "run"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out; a process that dies lets go.

        Raises
        ------
        OutputError
            If another process trains here.
        """
        with (self.path / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as problem:
                raise OutputError(f"{self.path} is in use: another process trains the same run. "
                                  "Wait for it, or choose another --out") from problem
            yield


@contextlib.contextmanager
def making(out: Path, overwrite: bool, read: Sequence[Path] = ()) -> Iterator[Unfinished]:
    """Where to make the run folder `out`; it is moved there if the block ends well.

    If the block does not, only what the run can go on from is left.

    Raises
    ------
    OutputError
        If `out` is there already, has anything in it that is `read`, or cannot be written.
    """
    refuse_existing(out, overwrite, read)
    place = Unfinished.of(out)
    try:
        place.path.mkdir(parents=True, exist_ok=True)
        with place.locked():
            try:
                shutil.rmtree(place.run, ignore_errors=True)
                place.run.mkdir()
                yield place
                if out.exists():
                    shutil.rmtree(out)
                place.run.rename(out)
                shutil.rmtree(place.path)
            finally:
                shutil.rmtree(place.run, ignore_errors=True)
                if not place.checkpoint.exists():
                    shutil.rmtree(place.path, ignore_errors=True)
    except OSError as problem:
        raise OutputError(f"{out} cannot be written: {problem.strerror or problem}. "
                          "Choose another place, or make room there") from problem


def record(run: Path, config: TrainConfig, metrics: Mapping[str, Any], history: Sequence[Any]
           ) -> None:
    """Write what every run folder has: config.yaml, metrics.json, and history.csv, one line per
    epoch, whose columns are the fields of `history`'s dataclass.
    """
    (run / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    (run / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    with (run / "history.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(history[0])])
        writer.writeheader()
        writer.writerows(vars(epoch) for epoch in history)


def refuse_existing(out: Path, overwrite: bool, read: Sequence[Path] = ()) -> None:
    """Fail before the work, not after it, where a run cannot be written.

    Raises
    ------
    OutputError
        If `out` is there, and not to be replaced, no run folder, or has in it what is `read`.
    """
    if out.exists() and not overwrite:
        raise OutputError(f"{out} is there already; training does not write over it. Choose "
                          "another --out, or pass --overwrite")
    lost = [path for path in read if path.resolve().is_relative_to(out.resolve())]
    if lost:
        raise OutputError(f"{lost[0]} is read here, and would be lost with {out}. Choose another "
                          "--out")
    if out.exists() and not (out / "config.yaml").exists() and \
            not (out.is_dir() and not any(out.iterdir())):
        raise OutputError(f"{out} is no run folder (it has no config.yaml), so --overwrite does "
                          "not delete it. Choose another --out")
