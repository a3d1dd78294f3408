"""The range of every value in a step, measured on real frames fed as streams."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import QuantizeError
from edgernn.train.blocks.ops import Array
from edgernn.train.network import Network
from edgernn.train.reference import FloatModel, FloatOps
from edgernn.train.stepper import sequence_scores

Ranges = dict[str, tuple[float, float]]
"""Smallest and largest value seen, by name."""
GROWTH = 2.0
"""A carried state may be larger than a reset one by this factor; beyond, it is told."""
LARGEST = 1e9
"""Nothing that a network computes on purpose is larger; 16 bits of it would say nothing."""


MASKED = 10.0
"""How far below the lowest score a masked one is: its softmax is e^-10 of it at most."""


class RangeOps(FloatOps):
    """Float arithmetic that remembers the range of each result."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges: Ranges = {}
        self.ranges_unmasked: Ranges = {}
        self._limits: dict[tuple[str, str], float] = {}
        self._names: dict[int, tuple[str, Array]] = {}

    def enter(self, prefix: str, precision: str) -> None:
        """Begin a layer: what `add` may be given comes from this layer alone."""
        super().enter(prefix, precision)  # type: ignore[arg-type]
        self._names.clear()

    def keep(self, name: str, value: Array) -> Array:
        """Widen the range of `name` by `value`."""
        name = self.prefix + name
        low, high = self.ranges.get(name, (0.0, 0.0))
        self.ranges[name] = (min(low, float(value.min())), max(high, float(value.max())))
        # The array is kept so that its id stays its own until the layer ends.
        self._names[id(value)] = (name, value)
        return value

    def mask(self, name: str, scores: Array, bias: Array) -> Array:
        """Only what is not masked counts, and room below it for what is."""
        masked = super().mask(name, scores, bias)
        shown = masked[bias == 0]
        low, high = float(shown.min()), float(shown.max())
        stem = self.prefix + name
        before = self.ranges_unmasked.get(stem, (low, high))
        low, high = min(low, before[0]), max(high, before[1])
        self.ranges_unmasked[stem] = (low, high)
        self.ranges[stem] = (min(low - MASKED, 0.0), max(high, 0.0))
        return masked

    def add(self, name: str, a: Array, b: Array, limit: float = np.inf, relu: bool = False
            ) -> Array:
        """Also remember which two values the limited sum was made of."""
        if np.isfinite(limit):
            # What comes from another part was measured there, and is not narrowed here.
            if id(a) in self._names and id(b) in self._names:
                self._limits[self._names[id(a)][0], self._names[id(b)][0]] = limit
            self._limits[self.prefix + name, self.prefix + name] = limit
        return super().add(name, a, b, limit, relu)

    def plus(self, name: str, x: Array, constant: Array, limit: float = np.inf) -> Array:
        """Also remember the limit.  What x may be is not limited by it: x may be used again."""
        if np.isfinite(limit):
            self._limits[self.prefix + name, self.prefix + name] = limit
        return super().plus(name, x, constant, limit)

    def clipped(self) -> Ranges:
        """Ranges, less what a saturated sigmoid or tanh cannot tell apart.

        A sum a + b beyond ±limit is as good as ±limit; so a beyond limit + max|b| is too.
        """
        ranges = dict(self.ranges)
        for (a, b), limit in self._limits.items():
            if a == b:
                ranges[a] = _clip(self.ranges[a], limit)
            else:
                ranges[a] = _clip(self.ranges[a], limit + _largest(self.ranges[b]))
                ranges[b] = _clip(self.ranges[b], limit + _largest(self.ranges[a]))
        return ranges


def _check_finite(ranges: Ranges, carried: bool) -> None:
    """Raise if a value has overflowed, or is on its way there."""
    for name, extent in ranges.items():
        if not np.isfinite(extent).all() or _largest(extent) > LARGEST:
            when = "carried over" if carried else "reset for each sequence"
            raise QuantizeError(
                f"{name} reached {_largest(extent):.3g} with the state {when}; a state that stays "
                "bounded was needed. Train a cell whose state is: --cell gru, or simple_rnn with "
                "--activation tanh")


def _largest(extent: tuple[float, float]) -> float:
    return max(abs(extent[0]), abs(extent[1]))


def _clip(extent: tuple[float, float], limit: float) -> tuple[float, float]:
    return max(extent[0], -limit), min(extent[1], limit)


def calibrate(
    network: Network,
    sequences: Sequence[NDArray[np.float32]],
    progress: Callable[[int], None] = lambda frames: None,
    warn: Callable[[str], None] = lambda text: None,
) -> Ranges:
    """Run the float step over sequences and return every value's range.

    Parameters
    ----------
    network : Network
    sequences : sequence of float32 arrays, shape (frames, features)
        Real features.  They are run from reset and, laid end to end, with the state
        carried over: a stream begins in one way and goes on in the other.
    progress : callable
        Told how many frames each step did.
    warn : callable
        Told of each state that grows when it is carried.

    Returns
    -------
    dict
        (low, high) by tensor name, always with 0 inside, in the units of the value.
        `x` is the input.

    Raises
    ------
    QuantizeError
        If a value leaves the range of floats: a state that grows without bound.
    """
    ops = RangeOps()
    model = FloatModel(network, ops)
    seen = []
    for carry in (False, True):
        # What overflows is told below, by its name.
        with np.errstate(over="ignore", invalid="ignore"):
            sequence_scores(model, sequences, carry, lanes=32, progress=progress)
        _check_finite(ops.ranges, carry)
        seen.append(dict(ops.ranges))
    for name, state in network.states.items():
        apart, carried = (_largest(ranges[f"{name}_out"]) for ranges in seen)
        if state.kind == "wide" and carried > GROWTH * apart:
            warn(f"the state {name} reaches {carried:.3g} when it is carried over, and {apart:.3g} "
                 "when it is reset for each sequence: it may go on growing in a longer stream, "
                 "and its integers stop at the range seen here")
    x_low = min(float(rows.min()) for rows in sequences)
    x_high = max(float(rows.max()) for rows in sequences)
    return ops.clipped() | {"x": (min(x_low, 0.0), max(x_high, 0.0))}
