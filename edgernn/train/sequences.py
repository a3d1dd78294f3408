"""A set of labelled feature sequences, each with its own length."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import files


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

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> NDArray[Any]:
        """Rows of one sequence, shape (lengths[index], width): a view."""
        end = int(self.ends[index])
        return self.rows[end - int(self.lengths[index]) : end]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[i] for i in range(len(self)))

    @property
    def ends(self) -> NDArray[np.int64]:
        """Row after the last of each sequence, shape (n,)."""
        return np.cumsum(self.lengths)

    def where(self, chosen: NDArray[Any]) -> "Sequences":
        """The sequences a boolean mask or an index array picks, in its order."""
        index = np.arange(len(self))[chosen]
        parts = [self[int(i)] for i in index]
        rows = np.concatenate(parts) if parts else self.rows[:0]
        return Sequences(rows, self.lengths[index], self.labels[index], self.split[index])

    def of_split(self, name: str) -> "Sequences":
        """The sequences of one split; may be none."""
        return self.where(self.split == name)

    def save(self, path: Path) -> None:
        """Write an .npz, whole or not at all."""
        with files.replacing(path) as temporary:
            np.savez_compressed(temporary, rows=self.rows, lengths=self.lengths,
                                labels=self.labels, split=self.split)

    @classmethod
    def load(cls, path: Path) -> "Sequences":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(file["rows"], file["lengths"], file["labels"], file["split"])
