"""What the states do: how far they go, which units never move, how long the past stays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgernn.train.diagnose.walk import Moment
from edgernn.train.network import Network

STILL = 1e-3
"""Standard deviation below which a unit of a state is dead."""
UNUSED = 1e-9
"""Share of the largest unit's gradient below which nothing depends on a unit."""
WINDOWS = 60
"""Points along the stream at which its states are measured."""

Real = NDArray[np.float64]


@dataclass(frozen=True)
class StateRange:
    """One state over all frames, unit by unit; of a ring, all its rows together."""

    name: str
    """Such as `gru0_h`."""
    low: Real
    """Smallest value, shape (units,), with the state reset for each sequence."""
    high: Real
    mean: Real
    std: Real
    rms: float
    """Over all units and frames, state reset."""
    carried_rms: float
    """The same with the state carried over."""
    carried_largest: float
    """Largest size with the state carried over."""
    stream: Real
    """Rms of the carried state in windows along the stream, shape (windows,)."""
    window: int
    """Frames of a window."""
    forgetting: Real
    """Rms of carried - reset so many frames after a sequence's begin, shape (frames,)."""

    @property
    def dead(self) -> NDArray[np.int64]:
        """Units that never move."""
        return np.flatnonzero(self.std < STILL)

    @property
    def drift(self) -> float:
        """Rms in the stream's last quarter over that in its first; 1 stands still."""
        part = max(1, len(self.stream) // 4)
        first = float(np.sqrt((self.stream[:part] ** 2).mean()))
        last = float(np.sqrt((self.stream[-part:] ** 2).mean()))
        return last / first if first else 1.0

    @property
    def remembered(self) -> float:
        """Difference from reset when the forgetting curve ends, as a share of the state's rms."""
        return float(self.forgetting[-1] / self.rms) if len(self.forgetting) and self.rms else 0.0


def unused(gradient: Real) -> NDArray[np.int64]:
    """Units that the loss does not depend on; `gradient` is `Through.used` of their state."""
    return np.flatnonzero(gradient <= UNUSED * gradient.max(initial=0.0))


class StateMeter:
    """Takes the measure of every state, frame by frame.

    Parameters
    ----------
    network : Network
    frames : int
        How long the stream will be.
    """

    def __init__(self, network: Network, frames: int) -> None:
        self._frames = frames
        self._window = max(1, -(-frames // WINDOWS))
        self._tallies = {name: _Tally(state.shape[-1], frames // self._window + 1)
                         for name, state in network.states.items()}

    def see(self, moment: Moment) -> None:
        """Take in one frame."""
        for name, tally in self._tallies.items():
            tally.see(moment, name, moment.frame // self._window)

    def ranges(self) -> list[StateRange]:
        """In the order of the network."""
        return [tally.range(name, self._window) for name, tally in self._tallies.items()]


class _Tally:
    """Sums of one state."""

    def __init__(self, units: int, windows: int) -> None:
        self.low, self.high = np.full(units, np.inf), np.full(units, -np.inf)
        self.total, self.squares, self.count = np.zeros(units), np.zeros(units), 0
        self.carried_squares, self.carried_count, self.carried_largest = 0.0, 0, 0.0
        self.stream = np.zeros((windows, 2))
        self.apart: list[Real] = []
        """Sum of squares of carried - reset, and how many, by frames since the begin."""

    def see(self, moment: Moment, name: str, window: int) -> None:
        reset = moment.reset[name].astype(np.float64)
        carried = moment.carried[name].astype(np.float64)
        flat = reset.reshape(-1, reset.shape[-1])
        self.low = np.minimum(self.low, flat.min(axis=0))
        self.high = np.maximum(self.high, flat.max(axis=0))
        self.total += flat.sum(axis=0)
        self.squares += (flat**2).sum(axis=0)
        self.count += len(flat)
        squares = float((carried**2).sum())
        self.carried_squares += squares
        self.carried_count += carried.size
        self.carried_largest = max(self.carried_largest, float(np.abs(carried).max()))
        self.stream[window] += squares, carried.size
        gaps = ((carried - reset) ** 2).reshape(len(carried), -1)
        for age, gap in zip(moment.since[moment.parted], gaps[moment.parted], strict=True):
            while len(self.apart) <= age:
                self.apart.append(np.zeros(2))
            self.apart[age] += gap.sum(), gap.size

    def range(self, name: str, window: int) -> StateRange:
        mean = self.total / self.count
        std = np.sqrt(np.maximum(self.squares / self.count - mean**2, 0))
        stream = self.stream[self.stream[:, 1] > 0]
        apart = np.array(self.apart).reshape(-1, 2)
        # Where few sequences are that long, the curve would be theirs alone.
        apart = apart[apart[:, 1] >= apart[:1, 1].max(initial=0) / 10]
        return StateRange(
            name, self.low, self.high, mean, std,
            rms=float(np.sqrt(self.squares.sum() / (self.count * len(mean)))),
            carried_rms=float(np.sqrt(self.carried_squares / self.carried_count)),
            carried_largest=self.carried_largest,
            stream=np.sqrt(stream[:, 0] / stream[:, 1]), window=window,
            forgetting=np.sqrt(apart[:, 0] / apart[:, 1]))
