"""A grid of models on one data set: which one for my device?

Each point is an ordinary run folder and .tflite, trained by a process of its own, so that
points run side by side and one that fails does not take the others along.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from edgernn import bundle, files, graph, tflite
from edgernn.errors import ConfigError, ModelError, OutputError
from edgernn.train.checkpoint import NO_MATTER
from edgernn.train.config import TrainConfig
from edgernn.train.dataset import SKIPPED, once
from edgernn.train.fingerprint import fingerprint
from edgernn.train.measure import METRICS
from edgernn.train.spread import Spread

GRID = "grid.json"
"""What all points of a folder have in common."""
MEASURED = ("metric", "split", "sequences", "float", "integer", "bytes", "macs", "state_bytes")
"""What is known of a point that is complete."""


@dataclass(frozen=True)
class Point:
    """One model of the grid."""

    cell: str
    units: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.cell}-{self.units}"


@dataclass(frozen=True)
class Material:
    """What every point learns from, as `edgernn train` takes it."""

    data: tuple[Path, ...]
    noise: tuple[Path, ...] = ()
    negative: tuple[Path, ...] = ()
    hold_out: str = ""

    def arguments(self) -> list[str]:
        """Of `edgernn train`."""
        flags = [str(path) for path in self.data]
        for name, paths in (("--noise", self.noise), ("--negative", self.negative)):
            flags += [part for path in paths for part in (name, str(path))]
        return flags + (["--hold-out", self.hold_out] if self.hold_out else [])

    def absolute(self) -> "Material":
        """The same for processes elsewhere, whose working directory is another."""
        data, noise, negative = (tuple(path.absolute() for path in paths)
                                 for paths in (self.data, self.noise, self.negative))
        return Material(data, noise, negative, self.hold_out)


def macs(path: Path) -> int:
    """Multiplications of matmuls and convolutions in one step of a model of one part."""
    found = tflite.read(bundle.read(path).flatbuffer)

    def count(op: graph.Op) -> int:
        x, w = (found.tensors[i].shape for i in op.inputs[:2])
        y = found.tensors[op.outputs[0]].shape
        if op.name == "DEPTHWISE_CONV_2D":
            return prod(w)
        return prod(y) * x[-1] if op.name == "BATCH_MATMUL" else prod(y) * w[-1]

    counted = ("FULLY_CONNECTED", "BATCH_MATMUL", "DEPTHWISE_CONV_2D")
    return sum(count(op) for op in found.ops if op.name in counted)


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


def refuse(config: TrainConfig) -> None:
    """Fail before the work where cells and widths would not say what a model is.

    Raises
    ------
    ConfigError
        If the settings have a stack of layers, or ask for a model of several parts.
    """
    if config.stack:
        raise ConfigError("the settings have a stack, which says the layers of every point, so "
                          "--cells and --hidden would change nothing. Remove `stack`")
    if config.task == "transduce" or config.bidirectional:
        what = "task transduce" if config.task == "transduce" else "bidirectional"
        raise ConfigError(f"the settings say {what}, a model of several steps that run at "
                          "different times; compare needs one step a frame. Train and quantize "
                          "those one by one: edgernn train")


def compare(
    material: Material, out: Path, points: Sequence[Point], config: TrainConfig, profile: str,
    jobs: int, tell: Callable[[Point, dict[str, Any]], None], scheduler: str = "",
    talk: Callable[[str], None] = lambda message: None,
) -> list[dict[str, Any]]:
    """Train, quantize and measure every point that is not there yet.

    Parameters
    ----------
    material : Material
    out : Path
        Folder of the grid: a folder per point with its run, and a .tflite and a .json for
        each profile it was quantized with.  What is there is not made again.
    points : sequence of Point
    config : TrainConfig
        Of all points, but for their cell and units.
    profile : str
        int8, int8x16 or int16x8.
    jobs : int
        Points at a time, each on one core.
    tell : callable
        Told of each point as it is done, with its line.
    scheduler : str
        Of Dask, whose workers then train the points, however many there are; `out` and the data
        must be at the same path for all.
    talk : callable
        Told what else is worth a line: what of the data was left out and why, once.

    Returns
    -------
    list of dict
        One line per point, in the order of `points`: accuracies, costs, `pareto` (a dict by
        cost), or `error`.

    Raises
    ------
    ConfigError
        See `refuse`.
    OutputError
        If `out` cannot be written, or holds something else.
    """
    refuse(config)
    _claim(out, material, config)
    left_out = once(talk)

    def done_with(point: Point, line: dict[str, Any]) -> None:
        for message in line.pop("left_out", ()):
            left_out(message)
        tell(point, line)

    if scheduler:
        found = Spread(scheduler, tell=talk).run(
            trained, [(material.absolute(), out.absolute(), point, profile) for point in points],
            each=lambda i, line: done_with(points[i], line))
        return mark(found, METRICS[config.task].higher_is_better)
    lines: dict[Point, dict[str, Any]] = {}
    workers = _Workers()
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(_point, workers, material, out, point, profile): point
                   for point in points}
        try:
            for done in as_completed(waiting):
                point = waiting[done]
                lines[point] = done.result()
                done_with(point, lines[point])
        except BaseException:
            # Without this, leaving the pool would train all that is left first.
            pool.shutdown(wait=False, cancel_futures=True)
            workers.stop()
            raise
    return mark([lines[point] for point in points], METRICS[config.task].higher_is_better)


def trained(material: Material, out: Path, point: Point, profile: str) -> dict[str, Any]:
    """One point's job, for a worker of Dask."""
    return _point(_Workers(bound=True), material, out, point, profile)


def _claim(out: Path, material: Material, config: TrainConfig) -> None:
    """Make `out` the folder of this grid, unless it is that of another: points of two
    settings or data sets do not compare.
    """
    def plain(value: Any) -> Any:
        return json.loads(json.dumps(value, default=str))

    settings = {f"setting {name}": value for name, value in asdict(config).items()
                if name not in (*NO_MATTER, "cell", "units")}
    sources = {name: [path.resolve() for path in value] if isinstance(value, tuple) else value
               for name, value in vars(material).items()}
    contents = {f"{name} content": fingerprint(paths, out)
                for name, paths in vars(material).items() if isinstance(paths, tuple) and paths}
    now: dict[str, Any] = plain({**sources, **contents, **settings})
    known = out / GRID
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not known.exists() and any(out.iterdir()):
            raise OutputError(f"{out} is there and holds no grid (it has no {GRID}). Choose "
                              "another --out")
        was = json.loads(known.read_text(encoding="utf-8")) if known.exists() else now
        if not isinstance(was, dict):
            raise ValueError(f"{known} holds no grid")
    except (OSError, ValueError) as problem:
        raise OutputError(f"{out} cannot be used: {problem}. Choose another --out") from problem
    # Where none was trained, data that was mended is no other grid's.
    free = () if any(out.glob("*/run")) else contents
    for name in {**was, **now}:
        if was.get(name) != now.get(name) and name not in free:
            raise OutputError(f"{out} holds a grid whose {name} was {was.get(name, 'not kept')}, "
                              f"and now it is {now.get(name)}; their points do not compare. Choose "
                              f"another --out, or delete it: rm -r {out}")
    files.write(out / "config.yaml", config.to_yaml().encode())
    files.write(known, (json.dumps(now, indent=1) + "\n").encode())


def _point(workers: "_Workers", material: Material, out: Path, point: Point, profile: str
           ) -> dict[str, Any]:
    """One point's line, from its folder or from training it."""
    folder = out / point.name
    known, model = folder / f"{profile}.json", folder / f"{profile}.tflite"
    line: dict[str, Any] = {"cell": point.cell, "units": point.units, "profile": profile}
    if known.exists() and model.exists():
        return line | _read(known, model)
    folder.mkdir(parents=True, exist_ok=True)
    run = folder / "run"
    if not run.exists():
        done = workers.run("train", *material.arguments(), "--config", out / "config.yaml",
                           "--cell", point.cell, "--units", point.units, "--out", run)
        line["left_out"] = [said for said in done.stderr.splitlines() if said.startswith(SKIPPED)]
        if done.returncode:
            return line | {"error": _reason(done)}
    done = workers.run("quantize", run, "--out", model, "--profile", profile)
    if done.returncode:
        return line | {"error": _reason(done)}
    report = json.loads(done.stdout)
    measured = {"metric": report["metric"], "split": report["split"],
                "sequences": report["sequences"], "float": report["float"],
                "integer": report[profile], "bytes": report["bytes"], "macs": macs(model),
                "state_bytes": report["state_bytes"], "model": str(model)}
    # Written last: a point with this file is complete.
    files.write(known, (json.dumps(measured) + "\n").encode())
    return line | measured


def _read(known: Path, model: Path) -> dict[str, Any]:
    """What is known of a point, or why that or its model cannot be read."""
    try:
        found: dict[str, Any] = json.loads(known.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not found.keys() >= set(MEASURED):
            raise ValueError(f"it has not all of {', '.join(MEASURED)}")
    except (OSError, ValueError) as problem:
        return {"error": f"{known} cannot be read ({problem}). Delete it, and it is made again"}
    try:
        # The folder may have been moved since.
        return found | {"macs": macs(model), "model": str(model)}
    except ModelError as problem:
        return {"error": f"{model} cannot be read ({problem}). Delete it, and it is made again"}


@dataclass
class _Workers:
    """Processes of `edgernn`, each on one core, that can be stopped together."""

    bound: bool = False
    """Whether they end when this process is killed."""
    live: set[subprocess.Popen[str]] = field(default_factory=set)
    stopping: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, *arguments: Any) -> "subprocess.CompletedProcess[str]":
        """Wait for a verb."""
        one = {name: "1" for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS",
                                      "TF_NUM_INTEROP_THREADS", "OPENBLAS_NUM_THREADS")}
        with self.lock:
            if self.stopping:
                return subprocess.CompletedProcess(arguments, 1, "", "stopped")
            process = subprocess.Popen(
                [sys.executable, "-m", "edgernn", *map(str, arguments)], text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={**os.environ, **one}, preexec_fn=_dies_with_us if self.bound else None)
            self.live.add(process)
        try:
            out, talk = process.communicate()
        finally:
            with self.lock:
                self.live.discard(process)
        return subprocess.CompletedProcess(arguments, process.returncode, out, talk)

    def stop(self) -> None:
        """End all that run, and begin no more; trainings leave their checkpoints."""
        with self.lock:
            self.stopping = True
            for process in self.live:
                process.terminate()


_LIBC = ctypes.CDLL(None)
"""Opened here: between fork and exec nothing may be."""


def _dies_with_us() -> None:
    """Have Linux end this process with its parent: a worker that is lost must not train on, or
    the one that takes over finds its run in use."""
    if sys.platform == "linux":
        _LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _reason(done: "subprocess.CompletedProcess[str]") -> str:
    """Why a verb failed, in a line."""
    if done.returncode < 0:
        return (f"{done.args[0]} was ended by {signal.Signals(-done.returncode).name}. If memory "
                "ran out, fewer --jobs need less")
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1].removeprefix("edgernn: ") if lines else f"{done.args[0]} gave no reason"
