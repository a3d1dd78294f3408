"""Sequences to be turned into sequences of another length, such as spellings into phonemes."""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import DataError
from edgernn.frontend.tokens import Tokens
from edgernn.spec import TokenSpec

TEST, VALIDATION = 0.10, 0.05
"""Shares of the sources that are held out."""


@dataclass(frozen=True)
class Pair:
    """One source with its target."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    split: str
    """train, validation or test."""


@dataclass(frozen=True)
class Pairs:
    """A data set of pairs."""

    unit: str
    """What a token of a source is: a `character`, or a `word` between spaces."""
    pairs: tuple[Pair, ...]

    def of_split(self, name: str) -> tuple[Pair, ...]:
        """Those marked so, in the order of the file."""
        return tuple(pair for pair in self.pairs if pair.split == name)

    @functools.cached_property
    def source(self) -> TokenSpec:
        """Tokens of the sources that are trained on."""
        return TokenSpec(_tokens([p.source for p in self.of_split("train")]), self.unit)

    @functools.cached_property
    def target(self) -> TokenSpec:
        """Tokens of the targets that are trained on."""
        return TokenSpec(_tokens([p.target for p in self.of_split("train")]), "word")

    def digest(self) -> str:
        """What tells these pairs from others."""
        return hashlib.blake2b(repr((self.unit, self.pairs)).encode(), digest_size=8).hexdigest()

    def sources(self, pairs: Sequence[Pair]) -> list[NDArray[np.int32]]:
        """Token numbers of each source."""
        tokens = Tokens(self.source)
        return [tokens.whole(pair.source)[:, 0] for pair in pairs]

    def targets(self, pairs: Sequence[Pair]) -> list[NDArray[np.int32]]:
        """Token numbers of each target."""
        tokens = Tokens(self.target)
        return [tokens.whole(pair.target)[:, 0] for pair in pairs]

    def save(self, path: Path) -> None:
        """Write lines of source, target and split, between tabs."""
        glue = " " if self.unit == "word" else ""
        path.write_text("".join(f"{glue.join(p.source)}\t{' '.join(p.target)}\t{p.split}\n"
                                for p in self.pairs), encoding="utf-8")

    @classmethod
    def load(cls, path: Path, unit: str) -> "Pairs":
        """Read what `save` wrote.

        Raises
        ------
        DataError
            If it is missing or damaged.
        """
        try:
            cells = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
            return cls(unit, tuple(
                Pair(tuple(source.split() if unit == "word" else source), tuple(target.split()),
                     split) for source, target, split in cells))
        except (OSError, ValueError) as problem:
            raise DataError(f"{path} cannot be read ({problem}); lines of source, target and split "
                            "were needed. Train again: edgernn train DATA --out run/") from problem


def read(path: Path, seed: int = 0) -> Pairs:
    """Read a text file of lines ``source TAB target``, in UTF-8.

    A target's tokens stand between spaces; a source's too if any source has a space, else
    they are its characters.  A source is in the test split (10 %) or the validation split
    (5 %) by a hash of itself and `seed`: the same however the lines are ordered, and all
    targets of one source are in one split.

    Raises
    ------
    DataError
        If it cannot be read, a line is of another form, or a split would be empty.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError(f"{path} cannot be read as UTF-8 text ({problem}). Give a file of lines "
                        "with a source, a tab and a target") from problem
    cells = [(number, line.split("\t")) for number, line in enumerate(lines, 1) if line.strip()]
    for number, parts in cells:
        if len(parts) != 2 or not all(part.strip() for part in parts):
            raise DataError(f"line {number} of {path} is {lines[number - 1]!r:.60}; a source, one "
                            "tab and a target were needed. Correct or remove it")
    unit = "word" if any(" " in parts[0].strip() for _, parts in cells) else "character"
    pairs = tuple(
        Pair(tuple(source.split() if unit == "word" else source.strip()), tuple(target.split()),
             _split(source.strip(), seed))
        for _, (source, target) in cells)
    for name in ("train", "validation", "test"):
        if not any(pair.split == name for pair in pairs):
            raise DataError(f"{path} has {len(pairs)} pairs, none of which falls in the {name} "
                            "split; some hundred were needed. Add lines, or use another --seed")
    return Pairs(unit, pairs)


def _split(source: str, seed: int) -> str:
    digest = hashlib.sha256(f"{seed}\t{source}".encode()).digest()
    share = int.from_bytes(digest[:4], "little") / 2**32
    return "test" if share < TEST else "validation" if share < TEST + VALIDATION else "train"


def _tokens(sequences: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({token for sequence in sequences for token in sequence}))
