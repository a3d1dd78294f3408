"""How often sigmoids and tanhs are where their slope is next to nothing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgernn.train.diagnose.walk import Moment

LOW, HIGH = 0.05, 0.95
"""A sigmoid outside is saturated: its slope is below a fifth of the steepest."""
TANH = 0.95
"""A tanh beyond, either way, is saturated: its slope is below a tenth of the steepest."""
STUCK = 0.99
"""Share of frames on one side that makes a unit stuck."""
BINS = 40
"""Of the histograms."""


@dataclass(frozen=True)
class Gate:
    """One sigmoid or tanh of a layer, over all frames."""

    name: str
    """Of its tensor, such as `gru0_z`."""
    kind: str
    """sigmoid or tanh."""
    histogram: NDArray[np.float64]
    """Share of frames by value, shape (units, `BINS`); of [0, 1], or [-1, 1] of a tanh."""
    unit_low: NDArray[np.float64]
    """Share of frames that each unit is saturated at the low end, shape (units,)."""
    unit_high: NDArray[np.float64]
    """The same at the high end."""

    @property
    def low(self) -> float:
        """Share of all values saturated at the low end."""
        return float(self.unit_low.mean())

    @property
    def high(self) -> float:
        """Share of all values saturated at the high end."""
        return float(self.unit_high.mean())

    @property
    def stuck(self) -> NDArray[np.int64]:
        """Units that are on one side practically always."""
        return np.flatnonzero(np.maximum(self.unit_low, self.unit_high) >= STUCK)


class GateMeter:
    """Counts the values of every sigmoid and tanh but the network's own answer."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._counts: dict[str, NDArray[np.float64]] = {}
        self._low: dict[str, NDArray[np.float64]] = {}
        self._high: dict[str, NDArray[np.float64]] = {}

    def see(self, moment: Moment) -> None:
        """Count one frame."""
        for name, kind in moment.kinds.items():
            if name == "scores" or name not in moment.seen:
                continue
            values = moment.seen[name]
            values = values.reshape(-1, values.shape[-1])
            if name not in self._counts:
                self._kinds[name] = kind
                self._counts[name] = np.zeros((values.shape[1], BINS))
                self._low[name], self._high[name] = np.zeros((2, values.shape[1]))
            low, high, first = (-TANH, TANH, -1) if kind == "tanh" else (LOW, HIGH, 0)
            bins = np.clip((values - first) / (1 - first) * BINS, 0, BINS - 1).astype(np.int64)
            np.add.at(self._counts[name], (np.arange(values.shape[1])[None], bins), 1)
            self._low[name] += (values < low).sum(axis=0)
            self._high[name] += (values > high).sum(axis=0)

    def gates(self) -> list[Gate]:
        """In the order in which a step computes them."""
        found = []
        for name, counts in self._counts.items():
            frames = counts[0].sum()
            found.append(Gate(name, self._kinds[name], counts / frames,
                              self._low[name] / frames, self._high[name] / frames))
        return found
