"""A grid of models as a picture: accuracy against each cost, the Pareto front drawn."""

from pathlib import Path
from typing import Any

from edgernn import files
from edgernn.errors import ConfigError
from edgernn.train.compare import COSTS

MARKERS = "osD^vP*Xhp<>"


def draw(lines: list[dict[str, Any]], path: Path, title: str) -> None:
    """Write a picture, PNG or SVG by the name of `path`, whole or not at all.

    Parameters
    ----------
    lines : list of dict
        From `edgernn.train.compare.compare`; those with an error are left out.

    Raises
    ------
    ConfigError
        If Matplotlib is not installed.
    OutputError
        If the file cannot be written.
    """
    try:
        import matplotlib
    except ImportError as problem:
        raise ConfigError('The plot needs Matplotlib: pip install "edgernn[train]"') from problem
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter

    good = [line for line in lines if "error" not in line]
    cells = list(dict.fromkeys(line["cell"] for line in good))
    figure, panels = plt.subplots(1, len(COSTS), figsize=(13, 4.6), sharey=True,
                                  layout="constrained")
    for panel, (cost, name) in zip(panels, COSTS.items(), strict=True):
        for i, cell in enumerate(cells):
            own = [line for line in good if line["cell"] == cell]
            panel.plot([line[cost] for line in own], [line["integer"]["carry"] for line in own],
                       MARKERS[i % len(MARKERS)], label=cell, alpha=0.9, markersize=7)
        front = sorted((line for line in good if line["pareto"][cost]),
                       key=lambda line: line[cost])
        panel.step([line[cost] for line in front], [line["integer"]["carry"] for line in front],
                   where="post", color="0.45", linewidth=1, zorder=0, label="Pareto front")
        for line in front:
            # Above and to the left of a front there is no point, by definition.
            panel.annotate(f"{line['cell']} {line['units']}",
                           (line[cost], line["integer"]["carry"]), xytext=(-5, 7),
                           textcoords="offset points", ha="right", fontsize=8)
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        panel.margins(x=0.3, y=0.12)
        panel.set_xlabel(name)
        panel.grid(alpha=0.25)
    metric = good[0]["metric"] if good else ""
    panels[0].set_ylabel(f"{metric}, integers, state carried over")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle(title)
    with files.replacing(path) as temporary:
        figure.savefig(temporary, dpi=130)
    plt.close(figure)
