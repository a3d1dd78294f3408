"""Plots as SVG text that stands in a page as it is."""

import io
from collections.abc import Callable
from typing import Any

from edgernn.errors import ConfigError

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


def draw(name: str, plot: Callable[[Any], None], height: float = HEIGHT, rows: int = 1) -> str:
    """One plot as an <svg> element.

    Parameters
    ----------
    name : str
        What it shows, read out where it cannot be seen; also keeps its ids its own.
    plot : callable
        Given the axes to draw on; an array of them, one above the other, if `rows` is not 1.
    height : float
        Inches.
    rows : int
        Axes, which share what is along them.
    """
    matplotlib = load_matplotlib()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = matplotlib.figure.Figure(figsize=(WIDTH, height), layout="constrained")
        plot(figure.subplots(rows, sharex=True))
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    begin = svg.index("<svg")
    label = name.replace("&", "and").replace('"', "'").replace("<", "below ")
    return f'<svg role="img" aria-label="{label}"' + svg[begin + len("<svg"):]
