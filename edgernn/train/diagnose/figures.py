"""The plots of a diagnosis, each as SVG text that stands in a page as it is."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ConfigError
from edgernn.train.diagnose import Diagnosis
from edgernn.train.diagnose.gates import HIGH, LOW, TANH, Gate
from edgernn.train.diagnose.gradients import VANISHED, Decay, decay
from edgernn.train.diagnose.integers import DECADES
from edgernn.train.diagnose.states import StateRange

WIDTH, HEIGHT = 5.0, 3.0
"""Inches at 72 to one: legible still where a telephone shrinks it to 360 pixels."""
INK, SOFT, ALARM = "#1f2933", "#9aa5b1", "#c0392b"
COLOURS = ("#2563a8", "#d97706", "#2f855a", "#8e44ad", "#b83280", "#5d6d7e")
STYLE = {
    "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "axes.titlesize": 10,
    "axes.edgecolor": SOFT, "axes.labelcolor": INK, "text.color": INK, "xtick.color": INK,
    "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "#e4e7eb", "grid.linewidth": 0.6, "axes.axisbelow": True,
    "lines.linewidth": 1.4, "legend.frameon": False, "legend.fontsize": 8,
    "figure.facecolor": "none", "axes.facecolor": "white"}


def load_matplotlib() -> Any:
    """Matplotlib, which nothing else of edgernn needs.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    try:
        import matplotlib
        import matplotlib.figure
    except ImportError as problem:
        raise ConfigError('Plots need Matplotlib: pip install "edgernn[train]" '
                          f"({problem})") from problem
    return matplotlib


def draw(name: str, plot: Callable[[Any], None], height: float = HEIGHT) -> str:
    """One plot as an <svg> element.

    Parameters
    ----------
    name : str
        What it shows, read out where it cannot be seen; also keeps its ids its own.
    plot : callable
        Given the axes to draw on.
    height : float
        Inches.
    """
    matplotlib = load_matplotlib()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = matplotlib.figure.Figure(figsize=(WIDTH, height), layout="constrained")
        plot(figure.add_subplot())
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    begin = svg.index("<svg")
    label = name.replace("&", "and").replace('"', "'").replace("<", "below ")
    return f'<svg role="img" aria-label="{label}"' + svg[begin + len("<svg"):]


def gradient(found: Diagnosis) -> Iterator[tuple[str, str]]:
    """Norm against lag, over all states, and state by state where there are several."""
    yield "gradient", draw("Gradient norm against lag", lambda axes: _decay(axes, found.decay))
    if len(found.through.norms) > 1:
        yield "gradient-states", draw("Gradient norm by state",
                                      lambda axes: _by_state(axes, found.through.norms))


def _decay(axes: Any, one: Decay) -> None:
    lags = np.arange(len(one.median))
    floor = 1e-12  # below it is rounding
    axes.fill_between(lags, np.maximum(one.low, floor), np.maximum(one.high, floor),
                      color=COLOURS[0], alpha=0.18, linewidth=0, label="10 to 90 % of sequences")
    axes.plot(lags, np.maximum(one.median, floor), color=COLOURS[0], label="median")
    if np.isfinite(one.half_life) and one.half_life and one.peak:
        line = 2.0 ** (-lags / one.half_life)
        axes.plot(lags, line * one.median[0], ":", color=INK, linewidth=1,
                  label=f"half-life {one.half_life:.3g} frames" if one.half_life > 0
                  else f"doubles in {-one.half_life:.3g} frames")
    if min(one.median.min(), one.low.min()) < 10 * VANISHED:
        axes.axhline(VANISHED, color=ALARM, linewidth=0.8, linestyle="--")
        axes.text(0, VANISHED, "vanished", color=ALARM, fontsize=8, va="bottom")
    axes.axvline(one.middle, color=SOFT, linewidth=0.8)
    axes.annotate("the middle\nsequence begins", (one.middle, 1), (-3, -2), ha="right", va="top",
                  xycoords=("data", "axes fraction"), textcoords="offset points", fontsize=8,
                  color="#616e7c")
    axes.set_yscale("log")
    axes.set_xlabel("frames before the last")
    axes.set_ylabel("gradient norm / its last frame's")
    axes.legend(loc="lower left")


def _by_state(axes: Any, norms: dict[str, NDArray[np.float64]]) -> None:
    for colour, (name, values) in zip(_colours(), norms.items(), strict=False):
        median = decay(values).median
        axes.plot(np.maximum(median, 1e-12), color=colour, label=name)
    axes.set_yscale("log")
    axes.set_xlabel("frames before the last")
    axes.set_ylabel("median norm / its last frame's")
    axes.legend(loc="lower left")


def gates(found: Diagnosis) -> Iterator[tuple[str, str]]:
    """Shares of saturation of all gates, then each gate's values unit by unit."""
    if not found.gates:
        return
    yield "gates", draw("Saturation of each gate", lambda axes: _shares(axes, found.gates),
                        0.9 + 0.28 * len(found.gates))
    for gate in found.gates:
        yield f"gate-{gate.name}", draw(f"Values of {gate.name} by unit",
                                        lambda axes, gate=gate: _heat(axes, gate), 2.6)


def _shares(axes: Any, all_gates: tuple[Gate, ...]) -> None:
    names = [gate.name for gate in all_gates]
    low = np.array([100 * gate.low for gate in all_gates])
    high = np.array([100 * gate.high for gate in all_gates])
    axes.barh(names, low, color=COLOURS[0], label=f"low (below {LOW}; tanh below -{TANH})")
    axes.barh(names, high, left=low, color=COLOURS[1], label=f"high (above {HIGH})")
    for place, total in enumerate(low + high):
        axes.text(total, place, f" {total:.2g} %", va="center", fontsize=8)
    axes.set_xlim(0, max(1.0, 1.15 * float((low + high).max())))
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlabel("% of values that are saturated")
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1), ncols=2)


def _heat(axes: Any, gate: Gate) -> None:
    units, bins = gate.histogram.shape
    low, saturated = (-1.0, (-TANH, TANH)) if gate.kind == "tanh" else (0.0, (LOW, HIGH))
    centres = low + (np.arange(bins) + 0.5) / bins * (1 - low)
    order = np.argsort(gate.histogram @ centres)
    # The square root: a unit that is spread out would be too pale beside one that is not.
    axes.imshow(np.sqrt(gate.histogram[order].T), origin="lower", aspect="auto", cmap="Blues",
                extent=(0, units, low, 1), interpolation="nearest", vmin=0, vmax=1)
    for edge in saturated:
        axes.axhline(edge, color=ALARM, linewidth=0.7, linestyle="--")
    axes.grid(False)
    axes.set_title(f"{gate.name} ({gate.kind})")
    axes.set_xlabel("units, by their mean")
    axes.set_ylabel("value")


def states(found: Diagnosis) -> Iterator[tuple[str, str]]:
    """Range of each state, unit by unit."""
    for state in found.states:
        idle = np.union1d(state.dead, found.unused[state.name])
        yield f"state-{state.name}", draw(
            f"Range of {state.name} by unit",
            lambda axes, state=state, idle=idle: _range(axes, state, idle), 2.6)


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
    axes.set_ylabel("value")
    axes.margins(x=0.01)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, -0.52), ncols=3)


def drift(found: Diagnosis) -> Iterator[tuple[str, str]]:
    """The carried state along the stream, and how it forgets a sequence in the next one."""
    yield "stream", draw("Carried state along the stream",
                         lambda axes: _stream(axes, found.states))
    if any(len(state.forgetting) > 1 for state in found.states):
        yield "forgetting", draw("Carried against reset state",
                                 lambda axes: _forgetting(axes, found.states))


def _stream(axes: Any, all_states: tuple[StateRange, ...]) -> None:
    for colour, state in zip(_colours(), all_states, strict=False):
        axes.plot(np.arange(len(state.stream)) * state.window, state.stream, color=colour,
                  label=f"{state.name}, carried")
        axes.axhline(state.rms, color=colour, linestyle=":", linewidth=1,
                     label=f"{state.name}, reset")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("frames since the stream began")
    axes.set_ylabel("rms of the state")
    axes.legend(loc="lower right", ncols=2)


def _forgetting(axes: Any, all_states: tuple[StateRange, ...]) -> None:
    for colour, state in zip(_colours(), all_states, strict=False):
        share = 100 * state.forgetting / (state.rms or 1.0)
        axes.plot(np.maximum(share, 1e-4), color=colour, label=state.name)
    axes.set_yscale("log")
    axes.set_xlabel("frames since the new sequence began")
    axes.set_ylabel("carried − reset, % of rms")
    axes.legend(loc="upper right")


def integers(found: Diagnosis) -> Iterator[tuple[str, str]]:
    """Updates beside each profile's half step, and the worst unit of each state."""
    for state in found.states:
        yield f"updates-{state.name}", draw(
            f"Size of the updates of {state.name}",
            lambda axes, state=state: _updates(axes, found, state.name), 2.6)
        yield f"worst-{state.name}", draw(
            f"The worst unit of {state.name} in integers",
            lambda axes, state=state: _worst(axes, found, state.name), 2.6)


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
    axes.set_xscale("log")
    axes.set_title(f"{name}: one frame's change")
    axes.set_xlabel("size of the change (left of a line it is lost)")
    axes.set_ylabel("% of updates")


def _worst(axes: Any, found: Diagnosis, name: str) -> None:
    unit = found.streams.trials[0].worst[name]
    axes.plot(found.streams.shown[name][:, unit], color=INK, label="float")
    for trial, colour in zip(found.streams.trials, COLOURS[1:], strict=False):
        axes.plot(trial.shown[name][:, unit], color=colour, linewidth=0.9, label=trial.profile)
    axes.set_title(f"{name}, unit {unit}: the worst one in {found.streams.trials[0].profile}")
    axes.set_xlabel("frames of one stream, state carried")
    axes.set_ylabel("value")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, -0.52), ncols=3)


def _colours() -> Iterator[str]:
    while True:
        yield from COLOURS
