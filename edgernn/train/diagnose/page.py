"""The diagnosis as one HTML page that needs nothing else: no network, no script."""

from collections.abc import Iterable
from html import escape

from edgernn import __version__
from edgernn.train.diagnose import PROFILES, Diagnosis, figures
from edgernn.train.diagnose.gates import HIGH, LOW, STUCK, TANH
from edgernn.train.diagnose.gradients import EXPLODED, VANISHED
from edgernn.train.diagnose.states import STILL
from edgernn.train.html import document, table


def page(found: Diagnosis) -> str:
    """The whole page."""
    layers = ", ".join(f"{layer.kind} {layer.units}" for layer in found.architecture.layers)
    about = (f"{layers}. {found.frames:,} frames of {found.sequences} {found.split} sequences. "
             f"edgernn {__version__}.")
    items = "\n".join(f'<li class="{"ok" if one.ok else "look"}">{escape(one.text)}</li>'
                      for one in found.findings)
    sections = (_gradient(found), _gates(found), _states(found), _drift(found), _integers(found))
    return document(f"Diagnosis of {found.run.name}", about,
                    f'<ul class="findings">\n{items}\n</ul>\n' + "\n".join(sections))


def _gradient(found: Diagnosis) -> str:
    return _section(
        "Gradient through time", figures.gradient(found),
        "Norm of the gradient of the last frame's loss at the state so many frames before, "
        "relative to that at the last frame. Each sequence is run from reset, in exact float64 "
        "arithmetic.",
        f"A line that falls slowly is healthy. Below {VANISHED:g} by the time the middle sequence "
        "begins it has <b>vanished</b>: training cannot connect the answer with what was heard "
        "so early. That is no fault where the answer needs only the last few frames. If it needs "
        "more: a gru or lstm cell, a longer hop so that fewer frames hold as much, layer "
        f"normalization. Above {EXPLODED:g} anywhere it <b>explodes</b>: a smaller "
        "<code>--clipnorm</code> or <code>--learning-rate</code>.")


def _gates(found: Diagnosis) -> str:
    rows = [(gate.name, gate.kind, f"{gate.low:.1%}", f"{gate.high:.1%}",
             ", ".join(map(str, gate.stuck[:8])) + (" …" if len(gate.stuck) > 8 else "") or "none")
            for gate in found.gates]
    return _section(
        "Gates", figures.gates(found),
        f"A sigmoid below {LOW} or above {HIGH}, and a tanh beyond ±{TANH}, is saturated: it "
        "passes next to no gradient. Each column of the plots after the first is one unit, darker "
        "where its value is found more often; the dashed lines are where saturation begins.",
        "Some saturation is a gate doing its work: an update or forget gate near 1 remembers. "
        "All columns dark at one edge is not: lower <code>--learning-rate</code>, or normalize "
        f"the features. A unit that stays at one edge for {STUCK:.0%} of the frames is stuck and "
        "could be left out.",
        table(("gate", "kind", "low", "high", "stuck units"), rows))


def _states(found: Diagnosis) -> str:
    rows = [(s.name, len(s.mean), f"{s.low.min():.3g}", f"{s.high.max():.3g}", f"{s.rms:.3g}",
             len(s.dead), len(found.unused[s.name])) for s in found.states]
    return _section(
        "States and units", figures.states(found),
        "How far each unit's state goes over all frames, reset for each sequence. A unit is dead "
        f"if its standard deviation is below {STILL:g}, and unused if no score depends on it: its "
        "gradient is 0 in every frame.",
        "Dead and unused units cost time and bytes for nothing: use fewer "
        "<code>--units</code>. One unit that goes much farther than the others sets the integer's "
        "scale for all of them, where the state has one (an LSTM's c).",
        table(("state", "units", "min", "max", "rms", "dead", "unused"), rows))


def _drift(found: Diagnosis) -> str:
    rows = [(s.name, f"{s.rms:.3g}", f"{s.carried_rms:.3g}", f"{s.carried_largest:.3g}",
             f"{s.drift:.2f}", f"{s.remembered:.1%}" if len(s.forgetting) else "")
            for s in found.states]
    return _section(
        "Carried over, against reset", figures.drift(found),
        "A device never resets. First: the state's rms along streams of all sequences laid end to "
        "end; the dotted line is what it is with a reset before each. Then: how far the carried "
        "state is from the reset one as a new sequence goes on.",
        "A rising first line is drift: the state goes where training never was. A second line "
        "that does not fall means that what was heard before still weighs on the answer. Train "
        "with sequences joined and the state carried over; if that does not help, reset the "
        "state when nothing is heard.",
        table(("state", "rms reset", "rms carried", "largest carried", "end / begin",
                "still remembered"), rows))


def _integers(found: Diagnosis) -> str:
    rows = [(trial.profile, s.name, s.dtype, f"{s.step:.3g}", f"{s.rms:.3g}", f"{s.relative:.2%}",
             f"{s.lost:.1%}", f"{s.unmoved:.1%}")
            for trial in found.streams.trials for s in trial.states]
    return _section(
        "In integers", figures.integers(found),
        f"The profiles {' and '.join(PROFILES)} beside float, all with their state carried. An "
        "update smaller than half a step of the state's integer is rounded away: the dead zone. "
        "Then, the unit that comes out worst.",
        "Much of the updates left of the line of int8, or a worst unit that stands still where "
        "float moves: take <code>--profile int8x16</code>, whose state has 16 bits. If int8x16 is "
        "as far from float as int8, the error comes from the 8-bit matmuls, not from the state: "
        "compare with <code>--profile int16x8</code>.",
        table(("profile", "state", "integer", "step", "rms error", "of its rms",
                "updates below half a step", "integers unmoved"), rows))


def _section(title: str, plots: Iterable[tuple[str, str]], what: str, todo: str,
             rows: str = "") -> str:
    drawn = "\n".join(f'<figure id="{escape(name)}">{svg}</figure>' for name, svg in plots)
    return (f"<h2>{escape(title)}</h2>\n<p>{what}</p>\n<div class=\"figures\">\n{drawn}\n</div>\n"
            f"{rows}\n<p><b>What to do.</b> {todo}</p>")
