"""A grid of models on one data set: which one for my device?

Each point is an ordinary run folder and .tflite, trained by a process of its own, so that
points run side by side and one that fails does not take the others along.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgernn import bundle, files, graph
from edgernn.train.config import TrainConfig
from edgernn.train.measure import METRICS

POINT = "point.json"
"""What is known of a point, beside its run folder; it is written last."""


@dataclass(frozen=True)
class Point:
    """One model of the grid."""

    cell: str
    units: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.cell}-{self.units}"


def macs(path: Path) -> int:
    """Multiplications with weights in one step of a model, its parts not counted."""
    found = graph.read(bundle.read(path).flatbuffer)
    weights = {"FULLY_CONNECTED": 1, "DEPTHWISE_CONV_2D": 1}
    return sum(int(np.prod(found.tensors[op.inputs[weights[op.name]]].shape))
               for op in found.ops if op.name in weights)


def pareto(costs: Sequence[float], gains: Sequence[float]) -> list[bool]:
    """Whether no other point costs at most as much and gains at least as much, one of them more.

    Parameters
    ----------
    costs : sequence of float
        The lower the better.
    gains : sequence of float
        The higher the better.
    """
    points = list(zip(costs, gains, strict=True))
    return [not any((c <= cost and g >= gain and (c, g) != (cost, gain)) for c, g in points)
            for cost, gain in points]


def compare(
    data: Path, out: Path, points: Sequence[Point], config: TrainConfig, profile: str,
    jobs: int, tell: Callable[[Point, dict[str, Any]], None],
) -> list[dict[str, Any]]:
    """Train, quantize and measure every point that is not there yet.

    Parameters
    ----------
    data : Path
        A data set, as `edgernn train` takes it.
    out : Path
        Folder of the grid; points that are complete in it are not trained again.
    points : sequence of Point
    config : TrainConfig
        Of all points, but for their cell and units.
    profile : str
        int8, int8x16 or int16x8.
    jobs : int
        Points at a time, each on one core.
    tell : callable
        Told of each point as it is done, with its line.

    Returns
    -------
    list of dict
        One line per point, in the order of `points`: accuracies, costs, `pareto` (a dict by
        cost), or `error`.

    Raises
    ------
    OutputError
        If `out` cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    files.write(out / "config.yaml", config.to_yaml().encode())
    lines: dict[Point, dict[str, Any]] = {}
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(_point, data, out, point, profile): point for point in points}
        for done in as_completed(waiting):
            point = waiting[done]
            lines[point] = done.result()
            tell(point, lines[point])
    return mark([lines[point] for point in points], METRICS[config.task].higher_is_better)


COSTS = {"bytes": "size, bytes", "macs": "multiplications per step", "state_bytes":
         "state, bytes per stream"}
"""What a point costs, by key of its line, and how a plot calls it."""


def mark(lines: list[dict[str, Any]], higher: bool = True) -> list[dict[str, Any]]:
    """The lines, each with whether it is on the front of each cost."""
    good = [line for line in lines if "error" not in line]
    sign = 1 if higher else -1
    gains = [sign * line["integer"]["carry"] for line in good]
    fronts = {cost: pareto([line[cost] for line in good], gains) for cost in COSTS}
    for i, line in enumerate(good):
        line["pareto"] = {cost: front[i] for cost, front in fronts.items()}
    return lines


def _point(data: Path, out: Path, point: Point, profile: str) -> dict[str, Any]:
    """One point's line, from its folder or from training it."""
    folder = out / f"{point.name}-{profile}"
    known = folder / POINT
    if known.exists():
        line: dict[str, Any] = json.loads(known.read_text(encoding="utf-8"))
        return line
    base = {"cell": point.cell, "units": point.units, "profile": profile}
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "model.tflite"
    run = folder / "run"
    trained = [] if run.exists() else [_edgernn(
        "train", data, "--config", out / "config.yaml", "--cell", point.cell, "--units",
        point.units, "--out", run)]
    for done in trained:
        if done.returncode:
            return base | {"error": _last(done.stderr)}
    done = _edgernn("quantize", run, "--out", model, "--profile", profile)
    if done.returncode:
        return base | {"error": _last(done.stderr)}
    report = json.loads(done.stdout)
    line = base | {"metric": report["metric"], "float": report["float"],
                   "integer": report[profile], "bytes": report["bytes"], "macs": macs(model),
                   "state_bytes": report["state_bytes"], "model": str(model)}
    files.write(known, (json.dumps(line) + "\n").encode())
    return line


def _edgernn(*arguments: Any) -> subprocess.CompletedProcess[str]:
    """Run a verb on one core."""
    one = {name: "1" for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS",
                                  "TF_NUM_INTEROP_THREADS", "OPENBLAS_NUM_THREADS")}
    return subprocess.run([sys.executable, "-m", "edgernn", *map(str, arguments)], text=True,
                          capture_output=True, env={**os.environ, **one})


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("edgernn: ") if lines else "it ended without a word"
