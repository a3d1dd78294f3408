"""Who is trained on, and who is only ever measured on."""

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Sequence

import numpy as np

from edgernn.errors import DataError
from edgernn.train.dataset import Recording

SPLITS = ("train", "validation", "test")
ALL = frozenset(SPLITS)
OF_TRAIN = ALL - {"test"}
"""Those that are drawn where data marks its test set alone."""
HELD_SHARE = 0.15
"""Of the speakers, files or sequences, that validate, and as many that test."""
MOST_FILES = 2**27 - 1


def share_of(name: str) -> float:
    """A number in [0, 1) that depends on a name alone, evenly spread."""
    digest = hashlib.sha1(name.encode()).hexdigest()
    return int(digest, 16) % (MOST_FILES + 1) / MOST_FILES


def by_share(share: float, test: float, validation: float) -> str:
    """The split of whatever has this share."""
    if share < validation:
        return "validation"
    return "test" if share < validation + test else "train"


def speech_commands(file_name: str) -> str:
    """The split that the Speech Commands README gives a file, 10 % validation, 10 % test.

    By the hash of the name up to ``_nohash_``, which is the speaker, so that one voice is
    on one side (Warden 2018, arXiv 1804.03209, `which_set`).
    """
    return by_share(share_of(re.sub(r"_nohash_.*$", "", file_name)), 0.1, 0.1)


def by_speaker(recordings: Sequence[Recording], seed: int = 0,
               held: Sequence[str] = ("test", "validation")) -> list[Recording]:
    """Give every recording a split such that no speaker is in two.

    Where nobody knows the speaker, a file is its own, and each label gives its share of
    files.  With a handful of speakers, one is for each split that is held back.

    Parameters
    ----------
    recordings : sequence of Recording
    seed : int
        Another seed chooses other speakers and files.
    held : names of splits
        Each gets a share of 15 %; what is left is `train`.

    Raises
    ------
    DataError
        If there are too few speakers, or too few files of every label.
    """
    def order(name: str) -> float:
        return share_of(f"{seed}:{name}" if seed else name)

    speakers = sorted({r.speaker for r in recordings if r.speaker}, key=order)
    files: dict[str, list[str]] = {}
    for r in recordings:
        if not r.speaker:
            files.setdefault(r.label, []).append(_file(r))
    chosen = _cut(speakers, held)
    chosen_files: dict[str, str] = {}
    for names in files.values():
        chosen_files |= _cut(sorted(names, key=order), held)
    if not chosen and not chosen_files:
        what = f"{len(speakers)} speakers ({', '.join(speakers)})" if speakers else \
            f"{max(map(len, files.values()), default=0)} files of a label at most"
        needed = "three" if len(held) > 1 else "two"
        raise DataError(f"there are recordings of {what}; {needed} or more were needed, "
                        f"for {', '.join(held)} and train to differ. "
                        "Add a column split to index.csv")
    return [dataclasses.replace(r, split=chosen.get(r.speaker, "train") if r.speaker else
                                chosen_files.get(_file(r), "train")) for r in recordings]


def _file(recording: Recording) -> str:
    """What tells a file from those of the same name in other folders, on any machine."""
    return f"{recording.label}/{recording.path.parent.name}/{recording.path.name}"


def _cut(names: Sequence[str], held: Sequence[str]) -> dict[str, str]:
    """The split of the first of `names`, 15 % to each; none where no name would be left."""
    if len(names) <= len(held):
        return {}
    count = max(1, round(HELD_SHARE * len(names)))
    return {name: held[i // count] for i, name in enumerate(names[: count * len(held)])}


def hold_out(recordings: Sequence[Recording], speaker: str) -> list[Recording]:
    """Test on one speaker, train on the others; a twentieth of their files validates.

    Raises
    ------
    DataError
        If nobody of that name speaks.
    """
    speakers = sorted({r.speaker for r in recordings if r.speaker})
    if not speakers:
        raise DataError(f"nobody knows who speaks, so {speaker!r} cannot be held out; an index.csv "
                        "with a column speaker was needed. Write one, or do not hold out")
    if speaker not in speakers:
        raise DataError(f"no speaker is called {speaker!r}; there are {', '.join(speakers)[:200]}. "
                        "Name one of those")
    # With few voices each is needed for training; validation then only stops it in time.
    return [dataclasses.replace(r, split="test" if r.speaker == speaker else
                                "validation" if share_of(r.path.name) < 0.05 else "train")
            for r in recordings]


def straddling(recordings: Iterable[Recording]) -> list[str]:
    """Speakers that are in more than one split."""
    seen: dict[str, set[str]] = {}
    for recording in recordings:
        if recording.speaker:
            seen.setdefault(recording.speaker, set()).add(recording.split)
    return sorted(speaker for speaker, splits in seen.items() if len(splits) > 1)


def stratified(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """A boolean mask that picks `share` of each label's sequences, at least one of two."""
    rng = np.random.default_rng(seed)
    picked = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        count = min(len(own) - 1, max(1, round(share * len(own))))
        picked[rng.permutation(own)[:count]] = True
    return picked


def three(labels: np.ndarray, seed: int) -> np.ndarray:
    """A split for each sequence, shape (n,): 15 % of each label validate, 15 % test."""
    split = np.full(len(labels), "train", "U10")
    split[stratified(labels, HELD_SHARE, seed)] = "validation"
    rest = np.flatnonzero(split == "train")
    share = HELD_SHARE / (1 - HELD_SHARE)
    split[rest[stratified(labels[rest], share, seed + 1)]] = "test"
    return split
