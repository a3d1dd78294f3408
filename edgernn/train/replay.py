"""A detector over scores that were kept, all at once: what thresholds are tried with."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.detect import LARGEST, ONE, Detection, DetectorConstants
from edgernn.spec import DetectorSpec


def replay(spec: DetectorSpec, labels: tuple[str, ...], step_ms: float, scores: NDArray[Any],
           times_s: NDArray[np.float64]) -> list[Detection]:
    """What a new `edgernn.detect.Detector` makes of scores that were kept, all at once.

    Only steps whose sums reach a threshold are looked at one by one: an hour of nothing costs a
    few sums.

    Parameters
    ----------
    spec, labels, step_ms
        See `edgernn.detect.Detector`.
    scores : float array, shape (steps, labels)
    times_s : float array, shape (steps,)
        End of every step's frame.

    Returns
    -------
    list of Detection
        Those that `Detector.push` gives, step by step.
    """
    c = DetectorConstants.of(spec, labels, step_ms)
    sums = np.minimum(np.rint(scores[:, c.watched] * ONE), LARGEST).astype(np.int64)
    np.cumsum(sums, axis=0, out=sums)
    for column, n in zip(sums.T, c.n, strict=True):
        column[n:] -= column[:-n].copy()
    able = np.flatnonzero((sums >= c.fire).any(axis=1))
    found: list[Detection] = []
    if not len(able):
        return found
    steps = np.arange(len(sums))[:, None]
    rearmed = np.maximum.accumulate(np.where(sums < c.rearm, steps, -1), axis=0)
    fired, free = np.full(len(c.watched), -2), 0  # -2: before any step that could re-arm
    for step in able.tolist():
        if step < free:
            continue
        margin = np.where(rearmed[step] > fired, sums[step] - c.fire, -1)
        best = int(margin.argmax())
        if margin[best] >= 0:
            fired[best], free = step, step + int(c.pause[best])
            found.append(c.detection(labels, best, int(sums[step, best]), float(times_s[step])))
    return found
