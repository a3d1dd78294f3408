"""Who is trained on, and who is only ever measured on."""

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Sequence

import numpy as np

from edgernn.errors import DataError
from edgernn.train.dataset import Recording

SPLITS = ("train", "validation", "test")
VALIDATION_SHARE = TEST_SHARE = 0.15
MOST_FILES = 2**27 - 1


def share_of(name: str) -> float:
    """A number in [0, 1) that depends on a name alone, evenly spread."""
    digest = hashlib.sha1(name.encode()).hexdigest()
    return int(digest, 16) % (MOST_FILES + 1) / MOST_FILES


def by_share(share: float, test: float = TEST_SHARE, validation: float = VALIDATION_SHARE) -> str:
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


def by_speaker(recordings: Sequence[Recording]) -> list[Recording]:
    """Give every recording a split such that no speaker is in two.

    Where nobody knows the speakers, each file is its own; with a handful of speakers,
    one is for validation and one for the test.
    """
    names = sorted({r.speaker or r.path.name for r in recordings}, key=share_of)
    tests = max(1, round(TEST_SHARE * len(names)))
    validations = max(1, round(VALIDATION_SHARE * len(names)))
    if len(names) < 3:
        raise DataError(f"there are recordings of {len(names)} speakers ({', '.join(names)}); "
                        "three or more were needed, to train, validate and test on different ones. "
                        "Add a column split to index.csv")
    chosen = {name: "test" if i < tests else "validation" if i < tests + validations else "train"
              for i, name in enumerate(names)}
    return [dataclasses.replace(r, split=chosen[r.speaker or r.path.name]) for r in recordings]


def hold_out(recordings: Sequence[Recording], speaker: str) -> list[Recording]:
    """Test on one speaker, train on the others; a twentieth of their files validates.

    Raises
    ------
    DataError
        If nobody of that name speaks.
    """
    speakers = sorted({r.speaker for r in recordings})
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
