"""Music as sets of sounding notes, in the JSON of the JSB Chorales data set."""

import json
from pathlib import Path

import numpy as np

from edgernn.errors import DataError
from edgernn.train.dataset import SensorSet
from edgernn.train.sequences import Sequences

LOWEST, HIGHEST = 21, 108
"""MIDI notes of a piano, A0 to C8."""
SPLITS = {"train": "train", "valid": "validation", "validation": "validation", "test": "test"}


def read(path: Path) -> SensorSet:
    """Read ``{"train": [[[60, 64], ...], ...], "valid": ..., "test": ...}``.

    Each piece is a list of steps, each step the MIDI notes that sound.  Rows are 88 zeros
    and ones, columns named by note number.

    Raises
    ------
    DataError
        If it is other JSON, or holds a note that no piano has.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        pieces = [(SPLITS[name], piece) for name, part in tree.items() for piece in part]
        rolls = [_roll(piece) for _, piece in pieces]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise DataError(f"{path} is no set of pieces ({type(problem).__name__}: {problem}); "
                        '{"train": [[[60, 64], ...], ...], "valid": ..., "test": ...} with notes '
                        f"{LOWEST} to {HIGHEST} was needed") from problem
    if not rolls:
        raise DataError(f"{path} holds no piece; lists of steps of MIDI notes were needed")
    lengths = np.array([len(roll) for roll in rolls], np.int64)
    columns = tuple(str(note) for note in range(LOWEST, HIGHEST + 1))
    return SensorSet((), Sequences(np.concatenate(rolls), lengths, np.zeros(len(rolls), np.int64),
                                   np.array([split for split, _ in pieces], "U10")), columns)


def _roll(piece: list[list[int]]) -> np.ndarray:
    roll = np.zeros((len(piece), HIGHEST - LOWEST + 1), np.float32)
    for step, notes in enumerate(piece):
        for note in notes:
            if not LOWEST <= note <= HIGHEST:
                raise ValueError(f"note {note}")
            roll[step, note - LOWEST] = 1
    return roll
