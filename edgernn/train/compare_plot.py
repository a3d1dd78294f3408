"""A grid of models as a picture: accuracy against each cost, the Pareto front drawn."""

from pathlib import Path
from typing import Any

from edgernn import files
from edgernn.errors import ConfigError
from edgernn.train.compare import COSTS

MARKERS = "osD^vP*Xhp<>"
PLACES = [(dx, dy) for reach in (7, 15, 24) for dx, dy in (
    (-reach, reach), (reach, -reach), (reach, reach), (-reach, -reach), (0, reach + 2),
    (0, -reach - 2), (reach + 2, 0), (-reach - 2, 0))]
"""Where a label may be, points of 1/72 inch from its own; the first that is free is taken."""
SIDES = {-1: ("right", "top"), 0: ("center", "center"), 1: ("left", "bottom")}
"""Which edge of a label is beside its point, by the sign of the distance."""


def check_matplotlib() -> None:
    """Say that Matplotlib is missing before hours of training, not after.

    Raises
    ------
    ConfigError
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as problem:
        raise ConfigError('The plot needs Matplotlib: pip install "edgernn[train]"') from problem


def draw(lines: list[dict[str, Any]], path: Path, title: str) -> None:
    """Write pictures, whole or not at all: `path` with the endings .png and .svg.

    Parameters
    ----------
    lines : list of dict
        From `edgernn.train.compare.compare`; those with an error are left out.

    Raises
    ------
    ConfigError
        If Matplotlib is not installed.
    OutputError
        If a file cannot be written.
    """
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    good = [line for line in lines if "error" not in line]
    cells = list(dict.fromkeys(line["cell"] for line in good))
    # Not pyplot: its backend is the caller's to choose.
    figure = Figure(figsize=(13, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(COSTS), sharey=True)
    for panel, cost in zip(panels, COSTS, strict=True):
        _panel(panel, good, cells, cost)
    panels[0].set_ylabel(f"{good[0]['metric'] if good else ''}\nintegers, state carried over")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 8),
                  frameon=False)
    figure.suptitle(title)
    # Labels avoid each other on paper, so the layout must be settled before they are placed.
    figure.draw_without_rendering()
    for panel, cost in zip(panels, COSTS, strict=True):
        _label(panel, good, cells, cost)
    for ending in (".png", ".svg"):
        with files.replacing(path.with_suffix(ending)) as temporary:
            figure.savefig(temporary, dpi=130)


def _panel(panel: Any, lines: list[dict[str, Any]], cells: list[str], cost: str) -> None:
    """Points, joined by cell as they widen, and the front."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    for i, cell in enumerate(cells):
        own = sorted((line for line in lines if line["cell"] == cell), key=lambda one: one[cost])
        panel.plot([line[cost] for line in own], [line["integer"]["carry"] for line in own],
                   color=f"C{i}", linewidth=1, alpha=0.3, zorder=1)
        panel.plot([line[cost] for line in own], [line["integer"]["carry"] for line in own],
                   MARKERS[i % len(MARKERS)], color=f"C{i}", label=cell, markersize=7, zorder=3)
    front = sorted((line for line in lines if line["pareto"][cost]), key=lambda one: one[cost])
    panel.step([line[cost] for line in front], [line["integer"]["carry"] for line in front],
               "o-", where="post", color="0.25", linewidth=1.2, markersize=12,
               markerfacecolor="none", zorder=2, label="Pareto front")
    panel.set_xscale("log", base=2)
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.margins(x=0.2, y=0.12)
    panel.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    panel.set_xlabel(COSTS[cost])
    panel.grid(alpha=0.25)
    low, high = panel.get_xlim()
    # A grid of nearly one cost would have no power of two to read it by.
    if high / low < 4:
        panel.set_xlim((low * high) ** 0.5 / 2, (low * high) ** 0.5 * 2)


def _label(panel: Any, lines: list[dict[str, Any]], cells: list[str], cost: str) -> None:
    """Name the points: those of the front first and in full, the others by their units."""
    from matplotlib.patheffects import withStroke
    from matplotlib.transforms import Bbox

    renderer = panel.figure.canvas.get_renderer()
    where = [panel.transData.transform((line[cost], line["integer"]["carry"])) for line in lines]
    taken = [Bbox.from_bounds(x - 8, y - 8, 16, 16) for x, y in where]
    inside = panel.get_window_extent(renderer)
    for line in sorted(lines, key=lambda one: not one["pareto"][cost]):
        on = line["pareto"][cost]
        text = panel.annotate(
            f"{line['cell']} {line['units']}" if on else str(line["units"]),
            (line[cost], line["integer"]["carry"]), xytext=(0, 0), textcoords="offset points",
            fontsize=8.5 if on else 7.5, color="black" if on else f"C{cells.index(line['cell'])}",
            zorder=4, path_effects=[withStroke(linewidth=2.5, foreground="white")])
        for dx, dy in PLACES:
            text.set_position((dx, dy))
            across, up = ((d > 0) - (d < 0) for d in (dx, dy))
            text.set_ha(SIDES[across][0])
            text.set_va(SIDES[up][1])
            box = text.get_window_extent(renderer)
            if not any(box.overlaps(other) for other in taken) and (
                    inside.containsx(box.x0) and inside.containsx(box.x1)
                    and inside.containsy(box.y0) and inside.containsy(box.y1)):
                break
        else:
            # No room anywhere: a name over others helps nobody, the marker is there.
            text.remove()
            continue
        taken.append(box)
