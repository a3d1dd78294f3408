"""Text as numbers: one frame per character or word, exact and the same everywhere."""

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ConfigError
from edgernn.spec import FIRST, UNKNOWN, TokenSpec

UNITS = ("character", "word")


class Tokens:
    """Characters or words to rows of token numbers; nothing but the last few is remembered.

    Row t holds the number of unit t and, for n = 2 to `ngrams`, of the run of n units that
    ends there: FIRST + len(vocabulary) + (n - 2) * buckets + CRC-32(UTF-8 of the run)
    modulo `buckets`, the units joined by spaces if they are words.  At the beginning a run
    is as long as there are units.

    Parameters
    ----------
    spec : TokenSpec

    Raises
    ------
    ConfigError
        If the spec makes no sense.
    """

    hop = 1
    window = 1

    def __init__(self, spec: TokenSpec) -> None:
        if spec.unit not in UNITS or spec.ngrams < 1 or (spec.ngrams > 1) != (spec.buckets > 0):
            raise ConfigError(f"The frontend has tokens of {spec.unit!r}, {spec.ngrams} a frame, "
                              f"and {spec.buckets} buckets; {' or '.join(UNITS)}, 1 or more, and "
                              "buckets where there are runs were needed. Train again")
        self.spec = spec
        self.width = spec.width
        self._numbers = {token: FIRST + i for i, token in enumerate(spec.vocabulary)}
        self._glue = " " if spec.unit == "word" else ""
        self.reset()

    def split(self, text: str) -> list[str]:
        """The units of a text."""
        return text.split() if self.spec.unit == "word" else list(text)

    def reset(self) -> None:
        """Begin a new text."""
        self._before: list[str] = []

    def push(self, units: Iterable[str]) -> NDArray[np.int32]:
        """Numbers of units that go on from those before; a string is characters.

        Returns
        -------
        int32 array, shape (units, ngrams)
        """
        rows = []
        for unit in units:
            self._before = [*self._before[-(self.width - 1):], unit] if self.width > 1 else [unit]
            rows.append([self._numbers.get(unit, UNKNOWN),
                         *(self._run(n) for n in range(2, self.width + 1))])
        return np.array(rows, np.int32).reshape(-1, self.width)

    def flush(self) -> NDArray[np.int32]:
        """End the text: no unit is ever held back, so none comes out.  Shape (0, ngrams)."""
        return np.empty((0, self.width), np.int32)

    def whole(self, units: str | Sequence[str]) -> NDArray[np.int32]:
        """Rows of a whole text, or of its units, whatever was pushed before."""
        before, self._before = self._before, []
        rows = self.push(self.split(units) if isinstance(units, str) else units)
        self._before = before
        return rows

    def features(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Numbers are the features."""
        return rows

    def _run(self, n: int) -> int:
        spec = self.spec
        run = self._glue.join(self._before[-n:]).encode()
        return (FIRST + len(spec.vocabulary) + (n - 2) * spec.buckets
                + zlib.crc32(run) % spec.buckets)
