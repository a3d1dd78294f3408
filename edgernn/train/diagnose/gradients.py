"""How the gradient of the loss shrinks or grows on its way back through time.

The gradient of the last frame's loss at the state k frames before says how much a weight
can learn from what was seen k frames before (Bengio, Simard and Frasconi 1994, doi
10.1109/72.279181; Pascanu et al. 2013, arXiv 1211.5063).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.train.architecture import Architecture
from edgernn.train.diagnose.tape import Node, Real, gradients
from edgernn.train.network import Network
from edgernn.train.reference import FloatOps

LONGEST = 500
"""Frames that gradients are followed back."""
VANISHED = 1e-3
"""Of what it was at the last frame: below it by the middle sequence's begin, it vanishes."""
EXPLODED = 10.0
"""Of what it was at the last frame: above it anywhere, it explodes."""
FEWEST = 5
"""Sequences that a median is taken of, and a tenth of them, at least (or all of fewer)."""


@dataclass(frozen=True)
class Through:
    """Gradient norms through time."""

    norms: dict[str, Real]
    """By state, shape (sequences, lags + 1): the norm at the state after the frame that
    many frames before the last; NaN before a sequence's begin."""
    used: dict[str, Real]
    """By state, shape (units,): the largest size of the gradient at each unit, anywhere."""

    @property
    def total(self) -> Real:
        """Norm over all states together, shape (sequences, lags + 1)."""
        return np.sqrt(sum(norm**2 for norm in self.norms.values()))


@dataclass(frozen=True)
class Decay:
    """What gradient norms come to, over sequences, by lag."""

    low: Real
    """10th percentile of norm / norm at lag 0, shape (lags,)."""
    median: Real
    high: Real
    """90th percentile."""
    verdict: str
    """vanishing, healthy or exploding."""
    half_life: float
    """Frames in which the median halves, from a line through its logarithm; negative where
    it doubles, infinite where it stays."""
    fitted: int
    """Lags that the line went through."""
    reach: int
    """The last lag up to which the median stays above 1 % of lag 0's, frames."""
    middle: int
    """Lag of the begin of a sequence of median length (at most the last lag), frames."""
    at_middle: float
    """The median there."""
    peak: float
    """The median's maximum."""


def through_time(network: Network, sequences: Sequence[NDArray[np.float32]],
                 labels: NDArray[np.int64] | None, longest: int = LONGEST) -> Through:
    """Gradient of the last frame's loss at every state of every frame, each run from reset.

    Parameters
    ----------
    network : Network
    sequences : sequence of float32 arrays, shape (frames, features)
        One frame or more each.
    labels : int array, shape (sequences,), or None
        What the last frame of each should say; None, or -1: what it does say.
    longest : int
        Frames to go back.

    Returns
    -------
    Through
        In the order of `sequences`.
    """
    # Aligned at their ends, longest first: those that have begun are always the first ones.
    order = np.argsort([-len(rows) for rows in sequences], kind="stable")
    rows = [sequences[i] for i in order]
    before = _trajectory(network, rows, longest)
    lags = len(before)
    norms = {name: np.full((len(rows), lags), np.nan) for name in network.states}
    used = {name: np.zeros(state.shape[-1]) for name, state in network.states.items()}
    passed: dict[str, Real] = {}
    for lag, states in enumerate(reversed(before)):
        x = _frames(rows, lag, len(next(iter(states.values()))))
        inputs = {name: Node(value) for name, value in states.items()}
        scores, made = network.step(FloatOps(), x, inputs)
        # A state that is the frame itself, as a ring of one row is, comes from no other state.
        after = {name: value if isinstance(value, Node) else Node(value)
                 for name, value in made.items()}
        loss = [(scores, _slope(network.architecture, scores.value,
                                None if labels is None else labels[order]))] if lag == 0 else []
        back = [(after[name], g[: len(x)]) for name, g in passed.items()]
        found = gradients([*loss, *back], [*(after[n] for n in norms), *(inputs[n] for n in norms)])
        for name, g in zip(norms, found[:len(norms)], strict=True):
            norms[name][: len(x), lag] = np.sqrt((g.reshape(len(x), -1) ** 2).sum(axis=1))
            seen = np.abs(g).reshape(-1, g.shape[-1]).max(axis=0)
            used[name] = np.maximum(used[name], seen)
        passed = dict(zip(norms, found[len(norms):], strict=True))
    undo = np.argsort(order)
    return Through({name: norm[undo] for name, norm in norms.items()}, used)


def decay(norms: Real) -> Decay:
    """Sum up norms, shape (sequences, lags + 1), by lag, and judge them."""
    norms = norms[norms[:, 0] > 0]  # a sequence without a gradient says nothing
    if not len(norms):
        nothing = np.zeros(1)
        return Decay(nothing, nothing, nothing, "vanishing", 0.0, 0, 0, 0, 0.0, 0.0)
    there = np.isfinite(norms).sum(axis=0)
    lags = int(np.count_nonzero(there >= min(max(FEWEST, len(norms) // 10), len(norms))))
    relative = norms[:, :lags] / norms[:, :1]
    low, median, high = np.nanpercentile(relative, [10, 50, 90], axis=0)
    middle = min(int(np.median(np.isfinite(norms).sum(axis=1))), lags) - 1
    reached = np.flatnonzero(median < 0.01)
    verdict = "healthy"
    if median[middle] < VANISHED:
        verdict = "vanishing"
    if median.max() >= EXPLODED:
        verdict = "exploding"
    rounding = np.flatnonzero(median < 1e-12)
    fitted = int(rounding[0]) if len(rounding) else lags
    return Decay(low, median, high, verdict, _half_life(median[:fitted]), fitted,
                 int(reached[0]) - 1 if len(reached) else lags - 1, middle,
                 float(median[middle]), float(median.max()))


def _trajectory(network: Network, rows: Sequence[NDArray[np.float32]], longest: int
                ) -> list[dict[str, Real]]:
    """States before each of the last `longest` + 1 frames, of the sequences that have begun."""
    ops, kept = FloatOps(), []
    states = {name: np.zeros((0, *state.shape)) for name, state in network.states.items()}
    for lag in range(len(rows[0]) - 1, -1, -1):
        begun = sum(len(one) > lag for one in rows)
        fresh = begun - len(next(iter(states.values()))) if states else 0
        states = {name: np.concatenate([value, np.zeros((fresh, *value.shape[1:]))])
                  for name, value in states.items()}
        if lag <= longest:
            kept.append(states)
        _, after = network.step(ops, _frames(rows, lag, begun), states)
        states = {name: after[name] for name in states}
    return kept


def _frames(rows: Sequence[NDArray[np.float32]], lag: int, begun: int) -> Real:
    """The frame `lag` frames before the last, of the first `begun` sequences."""
    return np.stack([one[-1 - lag] for one in rows[:begun]]).astype(np.float64)


def _slope(architecture: Architecture, scores: Real, labels: NDArray[np.int64] | None) -> Real:
    """Gradient of the loss at the scores: cross-entropy, where they are a softmax.

    Otherwise of their mean: another loss scales that by a number, and every lag's with it.
    """
    if architecture.layers[-1].activation != "softmax":
        return np.full(scores.shape, 1 / scores.shape[-1])
    said = scores.argmax(axis=1)
    right = said if labels is None else np.where(labels < 0, said, labels)
    rows = np.arange(len(scores))
    slope: Any = np.zeros(scores.shape)
    slope[rows, right] = -1 / np.maximum(scores[rows, right], 1e-300)
    return slope


def _half_life(median: Real) -> float:
    """From a straight line through log2 of the median, which is above 0."""
    if len(median) < 2:
        return 0.0
    slope = np.polyfit(np.arange(len(median)), np.log2(median), 1)[0]
    return float(-1 / slope) if abs(slope) > 1e-9 else float("inf")
