"""Pictures of an evaluation."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from edgernn import files
from edgernn.train.evaluate_report import Tree
from edgernn.train.svg import COLOURS, HEIGHT, SOFT, draw

MOST_LABELS = 30
"""More in one confusion matrix cannot be read."""
MISSES_SHOWN = (0.001, 0.99)
"""The normal distribution has no place for 0 and 1."""
MISS_TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99)


def write(tree: Tree, path: Path) -> None:
    """Draw misses against false alarms into a .png, .svg or .pdf.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    _det(axes, tree)
    axes.set_title(f"{Path(tree['model']).name}, by threshold")
    with files.replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)


def drawn(tree: Tree, labels: Sequence[str]) -> dict[str, list[str]]:
    """SVGs by the section they belong to: what the evaluation has to draw."""
    found: dict[str, list[str]] = {}
    plots: list[tuple[str, str, bool, Callable[[Any], None], float]] = [
        ("Whole sequences", "Confusion matrix",
         bool(tree["answers"]) and "confusion" in tree["answers"]
         and 1 < len(labels) <= MOST_LABELS,
         partial(_confusion, answers=tree["answers"], labels=labels), 1.5 + 0.28 * len(labels)),
        ("Words in continuous audio", "How late words are told",
         any(each["delays_s"] for each in tree.get("words", ())), partial(_delays, tree=tree),
         HEIGHT),
        ("False alarms", "Misses against false alarms (DET)", bool(tree.get("thresholds")),
         partial(_det, tree=tree), HEIGHT),
        ("False alarms", "Words found against false alarms (ROC)", bool(tree.get("thresholds")),
         partial(_roc, tree=tree), HEIGHT),
        ("Hours without a reset", "Carried state against reset", "drift" in tree,
         partial(_drift, tree=tree), HEIGHT)]
    for section, name, there, plot, height in plots:
        if there:
            found.setdefault(section, []).append(draw(name, plot, height))
    return found


def _det(axes: Any, tree: Tree) -> None:
    """On the axes of such curves (Martin et al. 1997, "The DET curve in assessment of detection
    task performance"): misses by the normal distribution, false alarms logarithmic, but for the
    first alarm's worth of the axis, which is linear, so that none at all has its place."""
    curve = tree["thresholds"]
    rates = [each["per_hour"] for each in curve]
    misses = np.clip([each["miss_rate"] for each in curve], *MISSES_SHOWN)
    low, high = np.array([each["interval"] for each in curve]).T
    axes.fill_betweenx(misses, low, high, color=COLOURS[0], alpha=0.15, linewidth=0)
    axes.hlines(misses, low, high, color=COLOURS[0], alpha=0.3, linewidth=0.8)
    axes.plot(rates, misses, marker="o", markersize=3, linewidth=1, color=COLOURS[0],
              clip_on=False)
    places = {}  # the lowest threshold of those that lie on one point
    for each, rate, miss in zip(reversed(curve), reversed(rates), reversed(misses), strict=True):
        places[rate, miss] = each
    for (rate, miss), each in list(places.items())[::-2]:
        axes.annotate(f"{each['threshold']:g}", (rate, miss), xytext=(4, 4),
                      textcoords="offset points", fontsize=7)
    normal = NormalDist()
    axes.set_yscale("function", functions=(
        np.vectorize(lambda p: normal.inv_cdf(np.clip(p, *MISSES_SHOWN)), otypes=[float]),
        np.vectorize(normal.cdf, otypes=[float])))
    shown = [p for p in MISS_TICKS if misses.min() / 2 <= p <= max(2 * misses.max(), 0.1)]
    axes.set_yticks(shown, [f"{100 * p:g}" for p in shown])
    first = min([rate for rate in rates if rate], default=1.0)
    axes.set_xscale("symlog", linthresh=first, linscale=0.5)
    ticks = [0, *(base * 10.0 ** power for power in range(-2, 5) for base in (1, 2, 5)
                  if first / 2 <= base * 10.0 ** power <= max(high))]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set(xlabel="false alarms an hour (shaded: 95 %), by threshold", xlim=(0, None),
             ylim=(shown[0], min(1.6 * misses.max() + 0.01, MISSES_SHOWN[1])),
             ylabel=f"words missed, %, {tree['read_at']}, carried")


def _roc(axes: Any, tree: Tree) -> None:
    curve = sorted(tree["thresholds"], key=lambda each: (each["per_hour"], -each["miss_rate"]))
    found = np.maximum.accumulate([100 * (1 - each["miss_rate"]) for each in curve])
    axes.hlines(found, *np.array([each["interval"] for each in curve]).T, color=COLOURS[0],
                alpha=0.3, linewidth=0.8)
    axes.step([each["per_hour"] for each in curve], found, where="post", color=COLOURS[0],
              marker="o", markersize=3)
    axes.set(xlabel="false alarms an hour (lines: 95 %)", xlim=(0, None), ylim=(None, 100.5),
             ylabel=f"words found, %, {tree['read_at']}, carried")


def _delays(axes: Any, tree: Tree) -> None:
    own = [each for each in tree["words"] if each["state"] == "carried"]
    for colour, each in zip(COLOURS, own, strict=False):
        late = np.sort(each["delays_s"]) * 1000
        axes.plot(late, 100 * np.arange(1, len(late) + 1) / max(each["said"], 1), color=colour,
                  label=each["condition"])
    axes.axvline(0, color=SOFT, linewidth=0.8)
    axes.set(xlabel="ms after the word's end", ylabel="words told by then, %", ylim=(0, 101))
    axes.legend()


def _drift(axes: Any, tree: Tree) -> None:
    parts = tree["drift"]["parts"]
    axes.plot([each["hours"] for each in parts], [100 * each["agree"] for each in parts],
              marker="o", color=COLOURS[0])
    axes.set(xlabel="hours without a reset", xlim=(0, None), ylim=(None, 100.5),
             ylabel="frames with the reset state's label, %")


def _confusion(axes: Any, answers: Tree, labels: Sequence[str]) -> None:
    counts = np.array(answers["confusion"], float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, j in zip(*np.nonzero(counts), strict=True):
        axes.annotate(f"{counts[i, j]:.0f}", (j, i), ha="center", va="center", fontsize=7,
                      color="white" if shares[i, j] > 0.6 else "black")
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="said by the model", ylabel="right")
    axes.grid(False)
