"""A set of labelled feature sequences, each with its own length."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import files
from edgernn.errors import QuantizeError

CALIBRATION_FRAMES = 100_000
"""Enough for ranges to settle; more only takes longer."""


@dataclass(frozen=True)
class Sequences:
    """Sequences end to end in one array, so that none is ever padded at rest."""

    rows: NDArray[Any]
    """Shape (sum of lengths, width): what the frontend's `push` returns, in its dtype."""
    lengths: NDArray[np.int64]
    """Rows of each sequence, shape (n,)."""
    labels: NDArray[np.int64]
    """Index of each sequence's label, shape (n,)."""
    split: NDArray[np.str_]
    """`train`, `validation` or `test` for each sequence, shape (n,)."""
    targets: NDArray[Any] | None = None
    """What is right on each row, if that changes within a sequence: int64 indices of labels,
    shape (sum of lengths,), -1 where nothing is asked; or float32 numbers, shape (sum of
    lengths, k), NaN where nothing is asked."""

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> NDArray[Any]:
        """Rows of one sequence, shape (lengths[index], width): a view."""
        return self.rows[self.span(index)]

    def span(self, index: int) -> slice:
        """Where the rows of one sequence are."""
        end = int(self.ends[index])
        return slice(end - int(self.lengths[index]), end)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[i] for i in range(len(self)))

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """Row after the last of each sequence, shape (n,)."""
        return np.cumsum(self.lengths)

    def where(self, chosen: NDArray[Any]) -> "Sequences":
        """The sequences a boolean mask or an index array picks, in its order."""
        index = np.arange(len(self))[chosen]
        parts = [self.span(int(i)) for i in index]
        rows = np.concatenate([np.zeros(0, np.int64),
                               *(np.arange(part.start, part.stop) for part in parts)])
        return Sequences(self.rows[rows], self.lengths[index], self.labels[index],
                         self.split[index],
                         None if self.targets is None else self.targets[rows])

    def of_split(self, name: str) -> "Sequences":
        """The sequences of one split; may be none."""
        return self.where(self.split == name)

    def save(self, path: Path) -> None:
        """Write an .npz, whole or not at all."""
        with files.replacing(path) as temporary:
            arrays = {"rows": self.rows, "lengths": self.lengths, "labels": self.labels,
                      "split": self.split}
            if self.targets is not None:
                arrays["targets"] = self.targets
            np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> "Sequences":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            targets = file["targets"] if "targets" in file.files else None
            return cls(file["rows"], file["lengths"], file["labels"], file["split"], targets)


def joined(first: Sequences, second: Sequences) -> Sequences:
    """The sequences of both; targets only if both have them."""
    both = [(getattr(first, name), getattr(second, name))
            for name in ("rows", "lengths", "labels", "split", "targets")]
    return Sequences(*(None if a is None or b is None else np.concatenate([a, b])
                       for a, b in both))  # type: ignore[arg-type]


def load_sequences(run: Path, features: int) -> Sequences:
    """The frames that a run folder keeps, but for sequences of none.

    Raises
    ------
    QuantizeError
        If there are none, or not `features` wide.
    """
    path = run / "sequences.npz"
    try:
        sequences = Sequences.load(path)
    except (OSError, ValueError, KeyError) as problem:
        raise QuantizeError(f"{path} cannot be read ({problem}); the frames to calibrate on were "
                            "needed. Train again: edgernn train DATA --out run/") from problem
    sequences = sequences.where(sequences.lengths > 0)
    width = sequences.rows.shape[1] if sequences.rows.ndim == 2 else 0
    if not len(sequences) or width != features:
        raise QuantizeError(f"{path} holds {len(sequences)} sequences {width} wide; at least one "
                            f"{features} wide was needed. "
                            "Train again: edgernn train DATA --out run/")
    return sequences


def calibration_rows(sequences: Sequences) -> list[NDArray[Any]]:
    """Training sequences, up to `CALIBRATION_FRAMES`; all if none is marked so."""
    pool = sequences.of_split("train") if "train" in sequences.split else sequences
    within = np.cumsum(pool.lengths) <= max(CALIBRATION_FRAMES, int(pool.lengths[0]))
    return list(pool.where(within))


def measured_split(sequences: Sequences) -> tuple[str, Sequences]:
    """The most honest split there is, and its name."""
    for split in ("test", "validation", "train", "calibration"):
        chosen = sequences.of_split(split)
        if len(chosen):
            return split, chosen
    raise QuantizeError(f"sequences.npz has the splits {sorted(set(sequences.split))}; test, "
                        "validation or train was needed. Train again: edgernn train")
