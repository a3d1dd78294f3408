"""A set of labelled feature sequences, each with its own length."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
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
