"""Misses against false alarms, as a picture."""

from pathlib import Path
from typing import Any

from edgernn import files


def draw(tree: dict[str, Any], curve: list[dict[str, Any]], path: Path) -> None:
    """A DET curve over thresholds, with the interval of every rate of false alarms.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    rates = [each["per_hour"] for each in curve]
    misses = [100 * each["miss_rate"] for each in curve]
    spread = [[rate - each["interval"][0] for rate, each in zip(rates, curve, strict=True)],
              [each["interval"][1] - rate for rate, each in zip(rates, curve, strict=True)]]
    axes.errorbar(rates, misses, xerr=spread, marker="o", capsize=2, linewidth=1)
    for each, rate, miss in zip(curve, rates, misses, strict=True):
        axes.annotate(f"{each['threshold']:g}", (rate, miss), xytext=(4, 4),
                      textcoords="offset points", fontsize=7)
    axes.set(xlabel="false alarms an hour, and their 95 % interval", xlim=(0, None), ylim=(0, None),
             ylabel=f"words missed, %, {tree['read_at']}, state carried",
             title=f"{Path(tree['model']).name}, by threshold")
    axes.grid(alpha=0.3)
    with files.replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)
