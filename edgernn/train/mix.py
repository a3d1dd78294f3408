"""Several data sets as one, each with its share of the lessons."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ConfigError, DataError
from edgernn.train import splits
from edgernn.train.dataset import AudioSet, DataSet, Recording, SensorSet, Tell, TextSet
from edgernn.train.sequences import joined as joined_sequences


@dataclass(frozen=True)
class Mix:
    """How often what is from each source is drawn."""

    shares: tuple[float, ...] = ()
    """Of each source, sum 1; none: everything once an epoch."""
    sources: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Index of the source of each training sequence, shape (n,)."""

    @classmethod
    def of(cls, weights: Sequence[float], sources: Sequence[int], chosen: NDArray[Any]) -> "Mix":
        """From the setting `mix`.

        Parameters
        ----------
        weights : sequence of float
            One for each source, above 0; none: no mix.
        sources : sequence of int
            Of each sequence of the data; empty if there is but one source.
        chosen : index array
            The sequences that train.

        Raises
        ------
        ConfigError
            If there are not as many weights as sources.
        DataError
            If a source has nothing to train on.
        """
        if not weights:
            return cls()
        count = max(sources, default=0) + 1
        if len(weights) != count:
            raise ConfigError(f"mix has {len(weights)} weights and there "
                              f"{'is' if count == 1 else 'are'} {count} data set"
                              f"{'s' * (count > 1)}; one for each was needed, such as "
                              f"--mix {','.join(['3'] + ['1'] * (count - 1))}")
        own = np.asarray(sources or [0] * len(chosen), np.int64)[chosen]
        empty = sorted(set(range(count)) - set(own.tolist()))
        if empty:
            raise DataError(f"data set {empty[0] + 1} has nothing to train on, so it cannot have "
                            "a share of the lessons. Change its split, or leave it out")
        return cls(tuple(weight / sum(weights) for weight in weights), own)

    def order(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """An epoch's sequences in random order.

        Without shares each of `count` once; with them, as many in all, of which a source has
        its share: some of its sequences, or all of them and some again.
        """
        if not self.shares:
            return rng.permutation(count)
        ends = np.round(np.cumsum(self.shares) * count).astype(int)
        drawn = []
        for source, number in enumerate(np.diff(ends, prepend=0)):
            own = np.flatnonzero(self.sources == source)
            rounds = [rng.permutation(own) for _ in range(-(-number // len(own)))]
            drawn.append(np.concatenate([*rounds, own[:0]])[:number])
        return rng.permutation(np.concatenate(drawn))

    def one(self, pool: NDArray[np.int64], rng: np.random.Generator) -> int:
        """One of the sequences in `pool`, its source drawn by the shares."""
        if not self.shares:
            return int(rng.choice(pool))
        sources = self.sources[pool]
        chance = np.array(self.shares)[sources] / np.bincount(sources)[sources]
        return int(rng.choice(pool, p=chance / chance.sum()))


WHOLE = Mix()
"""All there is, once an epoch."""


def join(sets: Sequence[DataSet], tell: Tell = lambda message: None) -> DataSet:
    """One data set of several, which knows what came from where.

    Labels are those of all.  Each set keeps its split, but that a speaker who is held out
    in one of them is trained on in none.

    Parameters
    ----------
    sets : sequence of AudioSet, of SensorSet or of TextSet
    tell : callable
        Told whose split changed.

    Raises
    ------
    DataError
        If they are of different kinds, rates or columns.
    """
    if len(sets) == 1:
        return sets[0]
    kinds = {type(each): None for each in sets}
    if len(kinds) > 1:
        raise DataError(f"the data sets are of different kinds, "
                        f"{' and '.join(kind.__name__ for kind in kinds)}; one kind was needed. "
                        "Train on them apart")
    first = sets[0]
    labels = tuple(sorted({label for each in sets for label in each.labels}))
    sizes = [len(each.recordings) if isinstance(each, AudioSet) else
             len(each.sequences) if isinstance(each, SensorSet) else len(each.texts)
             for each in sets]
    sources = tuple(source for source, size in enumerate(sizes) for _ in range(size))
    common: Any = {"labels": labels, "sources": sources,
                   "skipped": tuple(one for each in sets for one in each.skipped)}
    if isinstance(first, AudioSet):
        return replace(_audio([e for e in sets if isinstance(e, AudioSet)], tell), **common)
    if isinstance(first, SensorSet):
        return replace(_sensor([e for e in sets if isinstance(e, SensorSet)], labels), **common)
    return replace(_text([e for e in sets if isinstance(e, TextSet)], labels), **common)


def _audio(sets: Sequence[AudioSet], tell: Tell) -> AudioSet:
    _same("sampled at", [f"{each.sample_rate_hz} Hz" for each in sets])
    recordings = _held(tuple(r for each in sets for r in each.recordings), tell)
    return replace(sets[0], recordings=recordings,
                   samples=tuple(s for each in sets for s in each.samples),
                   noises=tuple(s for each in sets for s in each.noises))


def _held(recordings: tuple[Recording, ...], tell: Tell) -> tuple[Recording, ...]:
    """A speaker of several splits is in the one that is farthest from training."""
    both = set(splits.straddling(recordings))
    split = {name: max((r.split for r in recordings if r.speaker == name),
                       key=splits.SPLITS.index) for name in both}
    if both:
        names = sorted(both)
        tell(f"{len(both)} speakers are in several of the data sets with another split; they are "
             f"held out in all: {', '.join(names[:5])}{', ...' * (len(names) > 5)}")
    return tuple(replace(r, split=split[r.speaker]) if r.speaker in both else r
                 for r in recordings)


def _sensor(sets: Sequence[SensorSet], labels: tuple[str, ...]) -> SensorSet:
    _same("of columns", [",".join(each.columns) or f"{each.sequences.rows.shape[1]} without names"
                         for each in sets])
    _same("sampled at", [f"{each.rate_hz:g} Hz" for each in sets])
    _same("with", ["a label a sequence" if targets is None else
                   "a label a row" if targets.ndim == 1 else f"{targets.shape[1]} numbers a row"
                   for targets in (each.sequences.targets for each in sets)])
    parts = []
    for each in sets:
        own, targets = each.sequences, each.sequences.targets
        if targets is not None and targets.ndim == 2:
            # Labels are names of the numbers: their order is that of the columns of targets.
            _same("of numbers", [",".join(e.labels) for e in sets])
            return replace(sets[0], sequences=reduce(joined_sequences,
                                                     [e.sequences for e in sets]))
        if targets is not None:
            targets = np.where(targets >= 0, _recoded(targets, each.labels, labels), targets)
        else:
            own = replace(own, labels=_recoded(own.labels, each.labels, labels))
        parts.append(replace(own, targets=targets))
    return replace(sets[0], sequences=reduce(joined_sequences, parts))


def _text(sets: Sequence[TextSet], labels: tuple[str, ...]) -> TextSet:
    _same("with", ["tags" if each.tags else "a label a text" for each in sets])
    codes = [each.codes if each.tags else _recoded(each.codes, each.labels, labels)
             for each in sets]
    return replace(sets[0], codes=np.concatenate(codes),
                   texts=tuple(text for each in sets for text in each.texts),
                   split=np.concatenate([each.split for each in sets]),
                   tags=tuple(_recoded(tags, each.labels, labels)
                              for each in sets for tags in each.tags))


def _recoded(codes: NDArray[np.int64], old: tuple[str, ...], new: tuple[str, ...]
             ) -> NDArray[np.int64]:
    """Indices of labels in `old` as indices of the same labels in `new`."""
    if not old:
        return codes
    return np.array([new.index(label) for label in old], np.int64)[codes]


def _same(what: str, found: Sequence[str]) -> None:
    for number, other in enumerate(found[1:], 2):
        if other != found[0]:
            raise DataError(f"data set 1 is {what} {found[0]} and data set {number} is {what} "
                            f"{other}; the same was needed to train on both. Convert one of them")
