"""How far a sequence of tokens is from the one that was wanted."""

from collections.abc import Sequence


def distance(found: Sequence[str], wanted: Sequence[str]) -> int:
    """Fewest tokens to insert, leave out or replace (Levenshtein 1966)."""
    row = list(range(len(wanted) + 1))
    for i, one in enumerate(found, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(wanted, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (one != other))
    return row[-1]


def error_rate(found: Sequence[Sequence[str]], wanted: Sequence[Sequence[str]]) -> float:
    """Edits per wanted token, over all sequences: PER of phonemes; may exceed 1."""
    edits = sum(distance(a, b) for a, b in zip(found, wanted, strict=True))
    return edits / max(1, sum(map(len, wanted)))
