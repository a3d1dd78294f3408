"""A picture of what frames cost."""

from pathlib import Path
from typing import Any

import numpy as np

from edgernn import files
from edgernn.cost.path import STAGES
from edgernn.errors import OutputError


def needs_matplotlib(path: Path) -> None:
    """Say before anything is measured if the picture cannot be drawn.

    Raises
    ------
    OutputError
        If matplotlib is missing, or the name has no suffix of a picture.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as problem:
        raise OutputError("a plot needs matplotlib. Install it: pip install matplotlib"
                          ) from problem
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise OutputError(f"{path} is to be a picture; .png, .svg or .pdf was needed at its end. "
                          "Choose one of these")


def draw(tree: dict[str, Any], path: Path) -> None:
    """How many frames took longer than so long, and what the median frame is made of.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    from matplotlib.figure import Figure

    runs = [run for run in tree["runs"] if "path" in run]
    several = len({run["model"] for run in runs}) > 1
    names = [f"{Path(run['model']).stem}, {run['backend']}" if several else run["backend"]
             for run in runs]
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    longer, stages = figure.subplots(1, 2)
    for name, run in zip(names, runs, strict=True):
        bars = run["path"]["histogram"]
        counts = np.array([bar["count"] for bar in bars])
        share = 1 - np.cumsum(counts) / counts.sum()
        longer.step([bars[0]["from_us"], *(bar["to_us"] for bar in bars)], [1, *share],
                    where="post", label=name)
    longer.set(xscale="log", yscale="log", xlabel="microseconds", ylim=(0.5 / counts.sum(), 1.2),
               ylabel="share of frames that took longer", title="A frame, samples to detections")
    longer.grid(alpha=0.3)
    longer.legend()
    bottom = np.zeros(len(runs))
    for stage in STAGES:
        values = np.array([run["path"]["stages"][stage]["p50"] for run in runs])
        stages.barh(names, values, left=bottom, label=stage)
        bottom += values
    for place, whole in enumerate(bottom):
        stages.text(whole, place, f" {whole:,.1f}", va="center")
    stages.set(xscale="log" if bottom.max() > 50 * bottom.min() else "linear",
               xlabel="microseconds", title="Medians of its stages")
    stages.margins(x=0.15)
    stages.invert_yaxis()
    stages.legend()
    figure.suptitle(tree["machine"], fontsize=8)
    with files.replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)
