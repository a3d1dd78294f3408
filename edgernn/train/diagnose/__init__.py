"""A trained run examined: gradients, gates, units, states, and what integers do to them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ConfigError, QuantizeError
from edgernn.frontend import make_frontend
from edgernn.train.architecture import Architecture
from edgernn.train.calibrate import calibrate
from edgernn.train.diagnose.findings import Finding, findings
from edgernn.train.diagnose.gates import Gate, GateMeter
from edgernn.train.diagnose.gradients import Decay, Through, decay, through_time
from edgernn.train.diagnose.integers import Streams, try_profiles
from edgernn.train.diagnose.states import StateMeter, StateRange, unused
from edgernn.train.diagnose.walk import deal, walk
from edgernn.train.network import Network
from edgernn.train.report import Progress
from edgernn.train.sequences import Sequences, calibration_rows, load_sequences, measured_split

PROFILES = ("int8", "int8x16")
"""That are tried."""
FRAMES = 20_000
"""Looked at, at most: more only take longer."""


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was measured of a run."""

    run: Path
    architecture: Architecture
    split: str
    """Which sequences were looked at: test, validation or train."""
    sequences: int
    frames: int
    through: Through
    decay: Decay
    gates: tuple[Gate, ...]
    states: tuple[StateRange, ...]
    unused: dict[str, NDArray[np.int64]]
    """By state, the units that no score depends on."""
    streams: Streams
    findings: tuple[Finding, ...]


def diagnose(run: Path, sequences: int = 200,
             progress: Progress = lambda title, frames: lambda done: None) -> Diagnosis:
    """Examine a trained run.

    Parameters
    ----------
    run : Path
        Folder written by `edgernn train`.
    sequences : int
        How many to look at, a fixed random choice from the most honest split; fewer if
        there are fewer, or if they have more than `FRAMES` frames.
    progress : callable
        See `edgernn.train.quantize.Progress`.

    Raises
    ------
    ModelError, QuantizeError, ConfigError
        If the run is incomplete, its weights are not finite, or it has no state.
    """
    network = Network.load(run)
    if not network.states:
        raise QuantizeError(f"{run} holds no layer with a state, and what happens through time "
                            "was to be examined. Train with --cell gru, lstm or simple_rnn")
    if network.contexts:
        raise QuantizeError(f"{run} needs {', '.join(network.contexts)} from another part of its "
                            "model, and a network that is given frames alone was needed. "
                            "Examine a run of another --task")
    every = load_sequences(run, network.architecture.features)
    split, pool = measured_split(every)
    chosen = _chosen(pool, sequences)
    frontend = make_frontend(network.architecture.frontend)
    rows = list(chosen)
    real = [frontend.features(one) for one in rows]
    frames = sum(map(len, rows))

    # First, since it refuses a state that grows without bound, of which plots say nothing.
    calibration = [frontend.features(one) for one in calibration_rows(every)]
    grows: list[str] = []
    ranges = calibrate(network, calibration,
                       progress("calibrating", 2 * sum(map(len, calibration))), grows.append)
    through = through_time(network, real, _labels(network.architecture, chosen))
    total = decay(through.total)
    gates, states = _meters(network, real, progress("states", frames))
    streams = try_profiles(network, ranges, rows, PROFILES, progress("integers", frames))
    idle = {name: unused(largest) for name, largest in through.used.items()}
    return Diagnosis(run, network.architecture, split, len(rows), frames, through, total, gates,
                     states, idle, streams, findings(total, gates, states, idle, streams, grows))


def summary(found: Diagnosis) -> dict[str, Any]:
    """A diagnosis in plain JSON values, without the curves."""
    return {
        "run": str(found.run), "split": found.split, "sequences": found.sequences,
        "frames": found.frames, "gradient": _of_decay(found.decay) | {
            "states": {name: _of_decay(decay(norms))
                       for name, norms in found.through.norms.items()}},
        "gates": [{"name": gate.name, "kind": gate.kind, "low": _short(gate.low),
                   "high": _short(gate.high), "stuck": gate.stuck.tolist()}
                  for gate in found.gates],
        "states": [{"name": state.name, "units": len(state.mean), "min": _short(state.low.min()),
                    "max": _short(state.high.max()), "rms": _short(state.rms),
                    "carried_rms": _short(state.carried_rms), "drift": _short(state.drift),
                    "remembered": _short(state.remembered), "dead": state.dead.tolist(),
                    "unused": found.unused[state.name].tolist()} for state in found.states],
        "integers": {trial.profile: [
            {"name": state.name, "dtype": state.dtype, "rms_error": _short(state.rms),
             "relative": _short(state.relative), "below_half_step": _short(state.lost),
             "unmoved": _short(state.unmoved)} for state in trial.states]
            for trial in found.streams.trials},
        "findings": [finding.text for finding in found.findings if not finding.ok]}


def _of_decay(found: Decay) -> dict[str, Any]:
    return {"verdict": found.verdict,
            "half_life_frames": _short(found.half_life) if np.isfinite(found.half_life) else None,
            "reach_frames": found.reach, "middle_frames": found.middle,
            "at_middle": _short(found.at_middle), "peak": _short(found.peak)}


def _short(value: float) -> float:
    """Four digits: more is noise of which sequences were looked at."""
    return float(f"{value:.4g}")


def _chosen(pool: Sequences, count: int) -> Sequences:
    if count < 1:
        raise ConfigError(f"{count} sequences were asked for; 1 or more are needed. "
                          "Give --sequences 200")
    order = np.random.default_rng(0).permutation(len(pool))[:count]
    within = np.cumsum(pool.lengths[order]) <= max(FRAMES, int(pool.lengths[order[0]]))
    return pool.where(order[within])


def _labels(architecture: Architecture, chosen: Sequences) -> NDArray[np.int64] | None:
    """What the last frame of each sequence should say, -1 where nobody knows.

    None where the answer is no label, or no one label of many.
    """
    if chosen.targets is None:
        return chosen.labels if architecture.task in ("classify", "spot") else None
    if chosen.targets.ndim > 1:
        return None
    last: NDArray[np.int64] = chosen.targets[chosen.ends - 1]
    return last


def _meters(network: Network, real: list[NDArray[np.float32]], progress: Callable[[int], None]
            ) -> tuple[tuple[Gate, ...], tuple[StateRange, ...]]:
    longest = max(sum(len(real[i]) for i in lane) for lane in deal(len(real)))
    gates, states = GateMeter(), StateMeter(network, longest)
    for moment in walk(network, real, progress):
        gates.see(moment)
        states.see(moment)
    return tuple(gates.gates()), tuple(states.ranges())
