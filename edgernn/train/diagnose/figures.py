"""The plots of a diagnosis, each as SVG text that stands in a page as it is."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.train.diagnose import Diagnosis
from edgernn.train.diagnose.gates import HIGH, LOW, TANH, Gate
from edgernn.train.diagnose.gradients import EXPLODED, VANISHED, Decay, decay
from edgernn.train.diagnose.integers import DECADES
from edgernn.train.diagnose.states import StateRange
from edgernn.train.svg import ALARM, COLOURS, HEIGHT, INK, SOFT, draw


def gradient(found: Diagnosis) -> Iterator[tuple[str, str]]:
    """Norm against lag, over all states, and state by state where there are several."""
    yield "gradient", draw("Gradient norm against lag", partial(_decay, one=found.decay))
    if len(found.through.norms) > 1:
        yield "gradient-states", draw("Gradient norm by state",
                                      partial(_by_state, norms=found.through.norms))


def _decay(axes: Any, one: Decay) -> None:
    lags = np.arange(len(one.median))
    axes.fill_between(lags, one.low, one.high, color=COLOURS[0], alpha=0.18, linewidth=0,
                      label="10 to 90 % of sequences")
    axes.plot(lags, one.median, color=COLOURS[0], label="median")
    fitted = one.median[: one.fitted]
    if np.isfinite(one.half_life) and one.half_life and len(fitted):
        middle = np.log2(fitted).mean() + (len(fitted) - 1) / 2 / one.half_life
        axes.plot(lags, 2.0 ** (middle - lags / one.half_life), ":", color=INK, linewidth=1,
                  label=f"half-life {one.half_life:.3g} frames" if one.half_life > 0
                  else f"doubles in {-one.half_life:.3g} frames")
    for edge, name, near in ((VANISHED, "vanished", one.median.min() < 10 * VANISHED),
                             (EXPLODED, "exploded", one.peak > EXPLODED / 5)):
        if near:
            axes.axhline(edge, color=ALARM, linewidth=0.8, linestyle="--")
            axes.annotate(name, (1, edge), (-2, 2), xycoords=("axes fraction", "data"),
                          textcoords="offset points", ha="right", color=ALARM, fontsize=8)
    axes.axvline(one.middle, color=SOFT, linewidth=0.8)
    axes.annotate("the middle\nsequence begins", (one.middle, 1), (3, -2), ha="left", va="top",
                  xycoords=("data", "axes fraction"), textcoords="offset points", fontsize=8,
                  color="#616e7c")
    _decades(axes, one.median)
    axes.set_xlabel("frames before the last")
    _whole_frames(axes)
    axes.set_ylabel("gradient norm / its last frame's")
    _legend(axes)


def _by_state(axes: Any, norms: dict[str, NDArray[np.float64]]) -> None:
    medians = {name: decay(values).median for name, values in norms.items()}
    for colour, (name, median) in zip(_colours(), medians.items(), strict=False):
        axes.plot(median, color=colour, label=name)
    _decades(axes, np.concatenate(list(medians.values())))
    axes.set_xlabel("frames before the last")
    _whole_frames(axes)
    axes.set_ylabel("median norm / its last frame's")
    _legend(axes)


def gates(found: Diagnosis) -> Iterator[tuple[str, str]]:
    """Shares of saturation of all gates, then each gate's values unit by unit."""
    if not found.gates:
        return
    yield "gates", draw("Saturation of each gate", partial(_shares, all_gates=found.gates),
                        1.2 + 0.28 * len(found.gates))
    for gate in found.gates:
        yield f"gate-{gate.name}", draw(f"Values of {gate.name} by unit",
                                        partial(_heat, gate=gate), 2.6)


def _shares(axes: Any, all_gates: tuple[Gate, ...]) -> None:
    names = [gate.name for gate in all_gates]
    low = np.array([100 * gate.low for gate in all_gates])
    high = np.array([100 * gate.high for gate in all_gates])
    axes.barh(names, low, color=COLOURS[0], label=f"low (below {LOW}; tanh below -{TANH})")
    axes.barh(names, high, left=low, color=COLOURS[1], label=f"high (above {HIGH})")
    for place, total in enumerate(low + high):
        axes.text(total, place, f" {total:.1f} %", va="center", fontsize=8)
    axes.set_xlim(0, max(1.0, 1.2 * float((low + high).max())))
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlabel("% of values that are saturated")
    _legend(axes)


def _heat(axes: Any, gate: Gate) -> None:
    units, bins = gate.histogram.shape
    low, saturated = (-1.0, (-TANH, TANH)) if gate.kind == "tanh" else (0.0, (LOW, HIGH))
    centres = low + (np.arange(bins) + 0.5) / bins * (1 - low)
    order = np.argsort(gate.histogram @ centres)
    # The square root: a unit that is spread out would be too pale beside one that is not.
    axes.imshow(np.sqrt(gate.histogram[order].T), origin="lower", aspect="auto", cmap="Blues",
                extent=(0, units, low, 1), interpolation="nearest", vmin=0,
                vmax=np.sqrt(np.percentile(gate.histogram, 98) or 1))
    for edge in saturated:
        axes.axhline(edge, color=ALARM, linewidth=0.7, linestyle="--")
    axes.grid(False)
    axes.set_title(f"{gate.name} ({gate.kind})")
    axes.set_xlabel("units, by their mean")
    _whole_frames(axes)
    axes.set_ylabel("value")


def states(found: Diagnosis) -> Iterator[tuple[str, str]]:
    """Range of each state, unit by unit."""
    for state in found.states:
        idle = np.union1d(state.dead, found.unused[state.name])
        yield f"state-{state.name}", draw(
            f"Range of {state.name} by unit",
            partial(_range, state=state, idle=idle), 2.6)


def _range(axes: Any, state: StateRange, idle: NDArray[np.int64]) -> None:
    order = np.argsort(state.mean)
    place = np.arange(len(order))
    low, high, mean, std = (values[order] for values in
                            (state.low, state.high, state.mean, state.std))
    axes.vlines(place, low, high, color=SOFT, linewidth=1, label="smallest to largest")
    axes.vlines(place, np.maximum(mean - std, low), np.minimum(mean + std, high),
                color=COLOURS[0], linewidth=2, label="mean ± std")
    bad = np.flatnonzero(np.isin(order, idle))
    if len(bad):
        axes.plot(place[bad], mean[bad], "x", color=ALARM, markersize=6, label="dead or unused")
    axes.set_title(state.name)
    axes.set_xlabel("units, by their mean")
    _whole_frames(axes)
    axes.set_ylabel("value")
    axes.margins(x=0.01)
    _legend(axes)


def drift(found: Diagnosis) -> Iterator[tuple[str, str]]:
    """The carried state along the stream, and how it forgets a sequence in the next one."""
    yield "stream", draw("Carried state along the stream",
                         partial(_stream, all_states=found.states))
    if any(len(state.forgetting) > 1 for state in found.states):
        yield "forgetting", draw("Carried against reset state",
                                 partial(_forgetting, all_states=found.states))


def _stream(axes: Any, all_states: tuple[StateRange, ...]) -> None:
    for colour, state in zip(_colours(), all_states, strict=False):
        axes.plot(np.arange(len(state.stream)) * state.window, state.stream, color=colour,
                  label=state.name)
        axes.axhline(state.rms, color=colour, linestyle=":", linewidth=1)
    axes.set_ylim(0, 1.1 * max(float(state.stream.max()) for state in all_states) or 1)
    axes.set_xlabel("frames since the stream began")
    _whole_frames(axes)
    axes.set_ylabel("rms of the state")
    _legend(axes)


def _forgetting(axes: Any, all_states: tuple[StateRange, ...]) -> None:
    shares = [100 * state.forgetting / (state.rms or 1.0) for state in all_states]
    for colour, state, share in zip(_colours(), all_states, shares, strict=False):
        axes.plot(share, color=colour, label=state.name)
    _decades(axes, np.concatenate(shares))
    axes.set_xlabel("frames since the new sequence began")
    _whole_frames(axes)
    axes.set_ylabel("carried − reset, % of rms")
    _legend(axes)


def integers(found: Diagnosis) -> Iterator[tuple[str, str]]:
    """Updates beside each profile's half step, and the worst unit of each state."""
    for state in found.states:
        yield f"updates-{state.name}", draw(
            f"Size of the updates of {state.name}",
            partial(_updates, found=found, name=state.name), 2.6)
        if not found.streams.trials:
            continue
        yield f"worst-{state.name}", draw(
            f"The worst unit of {state.name} in integers",
            partial(_worst, found=found, name=state.name), HEIGHT, 2)


def _updates(axes: Any, found: Diagnosis, name: str) -> None:
    axes.stairs(100 * found.streams.updates[name], 10.0**DECADES, fill=True, color=COLOURS[0],
                alpha=0.35)
    tops = (0.97, 0.82)
    for (profile, step), colour, top in zip(found.streams.steps(name).items(), COLOURS[1:], tops,
                                            strict=False):
        axes.axvline(step / 2, color=colour, label=profile)
        axes.annotate(f"half a step\nof {profile}", (step / 2, top), (-3, 0), ha="right",
                      va="top", xycoords=("data", "axes fraction"), textcoords="offset points",
                      fontsize=8, color=colour)
    filled = 10.0 ** DECADES[:-1][found.streams.updates[name] > 1e-3]
    ends = np.array([*filled, *(step / 2 for step in found.streams.steps(name).values())])
    axes.set_xscale("log")
    axes.set_xlim(ends.min() / 30, ends.max() * 3)  # room at the left for what the lines are
    axes.set_title(f"{name}: one frame's change")
    axes.set_xlabel("size of the change (left of a line it is lost)")
    axes.set_ylabel("% of updates")


def _worst(rows: Any, found: Diagnosis, name: str) -> None:
    above, below = rows
    first = found.streams.trials[0]
    unit = first.worst[name]
    wanted = found.streams.shown[name][:, unit]
    above.plot(wanted, color=SOFT, linewidth=3, label="float")
    for trial, colour in zip(found.streams.trials, COLOURS[1:], strict=False):
        values = trial.shown[name][:, unit]
        above.plot(values, color=colour, linewidth=0.9, label=trial.profile)
        below.plot(values - wanted, color=colour, linewidth=0.9)
    above.set_title(f"{name}, unit {unit}: the worst one in {first.profile}")
    above.set_ylabel("value")
    below.set_ylabel("less float")
    below.set_xlabel("frames of one stream, state carried")
    _whole_frames(below)
    _legend(above)


def _decades(axes: Any, values: NDArray[np.float64]) -> None:
    """A logarithmic axis, two decades high at least, and never down into rounding."""
    top = float(values.max(initial=0.0)) or 1.0
    low = max(float(values.min(initial=top)), 1e-12 * top)
    axes.set_yscale("log")
    axes.set_ylim(min(low / 2, top / 100), top * 2)


def _legend(axes: Any) -> None:
    """Below the plot, where it hides nothing."""
    labels = axes.get_legend_handles_labels()[1]
    columns = 3 if max(map(len, labels)) < 24 else 2
    axes.figure.legend(loc="outside lower center", ncols=min(columns, len(labels)))


def _whole_frames(axes: Any) -> None:
    """No ticks between two frames, lags or units."""
    axes.xaxis.get_major_locator().set_params(integer=True)


def _colours() -> Iterator[str]:
    while True:
        yield from COLOURS
