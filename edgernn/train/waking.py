"""What of a stream a detector could wake at: hours in which it could not need not be kept."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgernn.detect import LARGEST, ONE
from edgernn.train.evaluation import Track


@dataclass(frozen=True)
class Quiet:
    """At what detectors of some kind do nothing, whatever their numbers are otherwise.

    They arm every label, and fire none, on a step before which no label has reached half of their
    lowest threshold for as long as they average; they are silent no longer than they pause.
    """

    lowest: float
    """Threshold, 0 to 1."""
    averaged: int
    """Steps, at most."""
    paused: int
    """Steps after a detection, at most."""


def waking(track: Track, columns: Sequence[int], quiet: Quiet) -> Track:
    """The same stream without the middle of every stretch at which detectors do nothing.

    What they find in it is what they find in the whole.

    Parameters
    ----------
    track : Track
    columns : sequence of int
        The labels that may be watched; the scores of all others are left out (0).
    quiet : Quiet
    """
    before, after = quiet.averaged, quiet.averaged + quiet.paused
    parts = np.zeros(track.scores.shape, np.int16)
    parts[:, columns] = np.minimum(np.rint(track.scores[:, columns] * ONE), LARGEST)
    loud = (parts >= round(ONE * quiet.lowest / 2)).any(axis=1)
    marks = np.concatenate([[0], np.cumsum(loud)])
    steps = np.arange(len(parts))
    near = marks[np.minimum(steps + before + 1, len(parts))] - marks[np.maximum(steps - after, 0)]
    kept = np.flatnonzero(near)
    begins = np.searchsorted(kept, sorted(track.begins))
    return replace(track, scores=(parts[kept] / np.float32(ONE)).astype(np.float32),
                   times_s=track.times_s[kept], begins=frozenset(begins.tolist()))
