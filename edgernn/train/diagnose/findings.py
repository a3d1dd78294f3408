"""What the measurements mean, in sentences: what was seen, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgernn.train.diagnose.gates import Gate
from edgernn.train.diagnose.gradients import Decay
from edgernn.train.diagnose.integers import Streams, Trial
from edgernn.train.diagnose.states import StateRange

GROWN = 1.5
"""Carried over reset, or end over begin: above it, a state drifts."""
SATURATED = 0.5
"""Share of values beyond which a gate is called saturated."""
FAR = 0.05
"""Error of a state, as a share of its rms, that is worth more bits."""


@dataclass(frozen=True)
class Finding:
    """One sentence or two."""

    ok: bool
    """Whether nothing needs to be done."""
    text: str


def findings(
    decay: Decay, gates: Sequence[Gate], states: Sequence[StateRange],
    unused: dict[str, NDArray[np.int64]], streams: Streams,
    grows: Sequence[str],
) -> tuple[Finding, ...]:
    """All there is to say, in the order of the page; `grows` is what `calibrate` warned of."""
    return (_gradient(decay), _gates(gates), _units(states, unused), _drift(states),
            *(Finding(False, f"Calibration: {text}.") for text in grows),
            *(_integers(trial, decay) for trial in streams.trials),
            *(Finding(False, f"Profile {name} cannot be made of this network: {why}")
              for name, why in streams.refused.items()))


def life(half_life: float) -> str:
    """A half-life in words."""
    if not np.isfinite(half_life):
        return "it stays as it is from frame to frame"
    if half_life < 0:
        return f"it doubles every {-half_life:.3g} frames"
    return f"it halves every {half_life:.3g} frames"


def _left(share: float) -> str:
    """How much of a gradient there still is."""
    if share >= 1:
        return f"{share:.3g} times as much"
    return f"{100 * share:.2g} % of it" if share > 1e-6 else "practically nothing of it"


def _gradient(decay: Decay) -> Finding:
    how = (f"Gradient {decay.verdict}: on its way back {life(decay.half_life)}, and "
           f"{decay.middle} frames before the last, where the middle sequence begins, "
           f"{_left(decay.at_middle)} is left.")
    what = {
        "healthy": "",
        "vanishing": " What the answer owes to frames so far back is hardly learnt. If it should "
                     "be: a gru or lstm cell, fewer and longer frames, or layer normalization.",
        "exploding": f" It is up to {decay.peak:.3g} times the last frame's: one update can undo "
                     "many. Train with a smaller --clipnorm or --learning-rate, or with a gru or "
                     "lstm cell."}
    return Finding(decay.verdict == "healthy", how + what[decay.verdict])


def _gates(gates: Sequence[Gate]) -> Finding:
    if not gates:
        return Finding(True, "No sigmoid or tanh in the network.")
    worst = max(gates, key=lambda gate: gate.low + gate.high)
    share = worst.low + worst.high
    stuck = {gate.name: len(gate.stuck) for gate in gates if len(gate.stuck)}
    text = f"Gates: the most saturated is {worst.name}, {share:.0%} of the time."
    if stuck:
        text += " Units on one side practically always: " + ", ".join(
            f"{count} in {name}" for name, count in stuck.items()) + "."
    if share > SATURATED:
        text += (" Hardly any gradient passes there. An update or forget gate may be near 1 to "
                 "remember; otherwise train with a lower --learning-rate or layer "
                 "normalization, or look for features of a huge scale.")
    return Finding(share <= SATURATED and not stuck, text)


def _units(states: Sequence[StateRange], unused: dict[str, NDArray[np.int64]]) -> Finding:
    dead = {state.name: len(state.dead) for state in states if len(state.dead)}
    idle = {name: len(units) for name, units in unused.items() if len(units)}
    parts = [f"{count} of {name} never move" for name, count in dead.items()]
    parts += [f"{count} of {name} reach no score" for name, count in idle.items()]
    if not parts:
        return Finding(True, "Units: all of them move, and all of them reach the scores.")
    return Finding(False, "Units: " + "; ".join(parts) + ". A layer of fewer --units would do "
                   "the same for less.")


def _drift(states: Sequence[StateRange]) -> Finding:
    grown = [state.name for state in states
             if max(state.drift, state.carried_rms / (state.rms or 1.0)) > GROWN]
    slow = max(states, key=lambda state: state.remembered)
    text = (f"Carried state: the slowest to forget is {slow.name}; after {len(slow.forgetting)} "
            f"frames of a new sequence it is {slow.remembered:.1%} of its rms from what a reset "
            "gives." if len(slow.forgetting) else "Carried state: one sequence a stream; nothing "
            "was carried.")
    if not grown:
        return Finding(True, text + " No state grows along the stream.")
    return Finding(False, text + f" Grown when carried over: {', '.join(grown)}. Train with "
                   "sequences joined and the state carried, or reset it at silence.")


def _integers(trial: Trial, decay: Decay) -> Finding:
    worst = max(trial.states, key=lambda state: state.relative)
    lost = max(trial.states, key=lambda state: state.lost)
    text = (f"Profile {trial.profile}: state {worst.name} is {worst.relative:.2%} of its rms from "
            f"float; {lost.lost:.1%} of the updates of {lost.name} are smaller than half a step "
            f"of its {lost.dtype}.")
    far = worst.relative > FAR
    if far and decay.verdict == "exploding":
        text += " A network whose gradient explodes enlarges every rounding: mend that first."
    elif far:
        text += (" Quantize with --profile int8x16." if worst.dtype == "int8"
                 else " `edgernn quantize` names the tensors it comes from; try --profile int16x8.")
    return Finding(not far, text)
