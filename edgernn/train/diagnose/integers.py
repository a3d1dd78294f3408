"""What each integer profile does to the states: error, and updates too small to happen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import EdgernnError
from edgernn.frontend import make_frontend
from edgernn.quant import dequantize
from edgernn.train.calibrate import Ranges
from edgernn.train.diagnose.walk import LANES, deal
from edgernn.train.emulated import EmulatedModel
from edgernn.train.network import Network
from edgernn.train.profile import get_profile
from edgernn.train.reference import FloatModel

SHOWN = 200
"""Frames of one stream whose states are kept to be drawn."""
DECADES = np.arange(-8, 1.01, 0.25)
"""Edges of the histogram of updates, as log10 of their size."""

Real = NDArray[np.float64]


@dataclass(frozen=True)
class StateError:
    """One state in one profile, over carried streams, against the float step's."""

    name: str
    dtype: str
    """Of its integer."""
    step: float
    """Real units of one step of the integer."""
    rms: float
    """Root mean square of the difference, in the state's units."""
    relative: float
    """The same as a share of the float state's own rms."""
    lost: float
    """Share of the float state's updates smaller than half a step: the dead zone.  0 of a ring
    of past rows, which is replaced rather than updated."""
    unmoved: float
    """Share of the integer's updates that leave it as it was."""


@dataclass(frozen=True)
class Trial:
    """One profile."""

    profile: str
    states: tuple[StateError, ...]
    shown: dict[str, Real]
    """By state, of one stream, shape (frames, units), in real units."""
    worst: dict[str, int]
    """By state, the unit farthest from float (rms)."""


@dataclass(frozen=True)
class Streams:
    """The float step's states over carried streams, that trials are held against."""

    shown: dict[str, Real]
    """As `Trial.shown`."""
    updates: dict[str, Real]
    """By state, share of updates by size, in the bins of `DECADES` (less and none: the first)."""
    trials: tuple[Trial, ...]
    refused: dict[str, str]
    """Why a profile cannot be made of this network, by its name."""

    def steps(self, name: str) -> dict[str, float]:
        """Real units of one step of a state's integer, by profile."""
        return {trial.profile: state.step for trial in self.trials for state in trial.states
                if state.name == name}


def try_profiles(
    network: Network, ranges: Ranges, rows: Sequence[NDArray[np.generic]],
    profiles: Sequence[str], progress: Callable[[int], None] = lambda frames: None,
) -> Streams:
    """Run the float step and each profile's integers side by side.

    Parameters
    ----------
    network : Network
    ranges : dict
        From `calibrate`.
    rows : sequence of arrays, shape (frames, width)
        Of the frontend, as `Sequences` has them; laid end to end on lanes.
    profiles : sequence of str
        Names of `edgernn.train.profile.PROFILES`.
    progress : callable
        Told how many frames each step did.
    """
    architecture = network.architecture
    features = make_frontend(architecture.frontend).features
    lanes = sorted((np.concatenate([rows[i] for i in lane]) for lane in deal(len(rows))),
                   key=len, reverse=True)
    meters, refused = [], {}
    for name in profiles:
        try:
            meters.append(_Meter(name, network,
                                 EmulatedModel.of(network, ranges, get_profile(name))))
        except EdgernnError as problem:
            refused[name] = str(problem)
    codes = [[meter.model.encode(lane) for lane in lanes] for meter in meters]
    real = [features(lane) for lane in lanes]
    float_model = FloatModel(network)
    states = float_model.initial(len(lanes))
    updates = {name: np.zeros(len(DECADES) - 1) for name in states}
    shown: dict[str, list[Real]] = {name: [] for name in states}
    for t in range(len(lanes[0])):
        n = sum(len(lane) > t for lane in lanes)
        before = {name: value[:n] for name, value in states.items()}
        _, states = float_model.step(np.stack([lane[t] for lane in real[:n]]), before)
        for name, counts in updates.items():
            moved = np.abs(states[name] - before[name]).ravel()
            sizes = np.log10(np.maximum(moved, 10.0 ** DECADES[0]))
            counts += np.histogram(np.minimum(sizes, DECADES[-1]), DECADES)[0]
            if t < SHOWN:
                shown[name].append(_flat(states[name][0]))
        for meter, own in zip(meters, codes, strict=True):
            meter.step(np.stack([lane[t] for lane in own[:n]]), before, states, t < SHOWN)
        progress(n)
    return Streams(
        {name: np.array(values) for name, values in shown.items()},
        {name: counts / counts.sum() for name, counts in updates.items()},
        tuple(meter.trial() for meter in meters), refused)


class _Meter:
    """One profile's integers on all lanes, and how far they are from float."""

    def __init__(self, profile: str, network: Network, model: EmulatedModel) -> None:
        self.profile = profile
        self.model = model
        self.rings = {name for name, state in network.states.items() if state.kind == "ring"}
        self.tensors = {name: model.graph.tensor(f"{name}_in") for name in network.states}
        self.states = model.initial(LANES)
        self.sums = {name: np.zeros(5) for name in network.states}
        """Squared error, squared float, dead-zone updates, unmoved integers, how many."""
        self.by_unit = {name: np.zeros(state.shape[-1]) for name, state in network.states.items()}
        self.shown: dict[str, list[Real]] = {name: [] for name in network.states}

    def step(self, x: NDArray[np.generic], float_before: dict[str, NDArray[np.float32]],
             float_after: dict[str, NDArray[np.float32]], show: bool) -> None:
        """One frame of the lanes that are still running."""
        before = {name: value[: len(x)] for name, value in self.states.items()}
        _, self.states = self.model.step(x, before)
        for name, tensor in self.tensors.items():
            codes, wanted = self.states[tensor.name], float_after[name].astype(np.float64)
            real = dequantize(codes, tensor.qtype).astype(np.float64)
            error = (real - wanted) ** 2
            moved = np.abs(wanted - float_before[name])
            still = (moved < tensor.qtype.scale / 2, codes == before[tensor.name])
            self.sums[name] += (error.sum(), (wanted**2).sum(),
                                *((0, 0) if name in self.rings else map(np.sum, still)),
                                codes.size)
            self.by_unit[name] += error.reshape(-1, error.shape[-1]).sum(axis=0)
            if show:
                self.shown[name].append(_flat(real[0]))

    def trial(self) -> Trial:
        """What came of it."""
        errors = []
        for name, (error, power, lost, unmoved, count) in self.sums.items():
            q = self.tensors[name].qtype
            errors.append(StateError(name, q.dtype, q.scale, float(np.sqrt(error / count)),
                                     float(np.sqrt(error / (power or 1.0))),
                                     float(lost / count), float(unmoved / count)))
        return Trial(self.profile, tuple(errors),
                     {name: np.array(values) for name, values in self.shown.items()},
                     {name: int(values.argmax()) for name, values in self.by_unit.items()})


def _flat(state: NDArray[np.floating]) -> Real:
    """One stream's state as a row of units: the newest row of a ring."""
    return np.asarray(state, np.float64).reshape(-1, state.shape[-1])[-1]
