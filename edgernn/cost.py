"""What a model costs on this machine: time of a step, of the whole path, of the import."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import bundle
from edgernn.errors import BackendError
from edgernn.frames import Frame
from edgernn.frontend import make_frontend
from edgernn.interpreter import available
from edgernn.spec import LogMelSpec, PartsSpec, TokenSpec
from edgernn.step import StepModel
from edgernn.stream import Listener, listen, sample_rate_hz

EMULATOR_SHARE = 100
"""The emulator is so much slower that it gets this fraction of the steps."""
WARM_UP = 50
"""Steps before the clock runs: caches fill, the interpreter prepares."""
BLOCK_S = 0.1
"""Length of a block where input does not come a hop at a time, as `edgernn stream` reads files."""

Say = Callable[[str, int, int], None]

IMPORT = """
import json, sys, time
def cost(begin):
    took = time.perf_counter() - begin
    # Not getrusage: its peak includes that of the process this one was forked from.
    with open("/proc/self/status") as status:
        kilobytes = [int(line.split()[1]) for line in status if line.startswith("VmRSS")]
    return [took, kilobytes[0] / 1024]
begin = time.perf_counter()
import edgernn.step, edgernn.stream
imported = cost(begin)
edgernn.step.StepModel.open(sys.argv[1], sys.argv[2])
print(json.dumps([*imported, *cost(begin)]))
"""


def measure(path: Path, backends: tuple[str, ...], steps: int, seconds: float,
            say: Say, part: str = "") -> dict[str, Any]:
    """Measure everything; the result is plain JSON values, times in the unit that names end in.

    Parameters
    ----------
    path : path
        A .tflite written by `edgernn quantize`.
    backends : tuple of str
        What to measure; empty for all that are installed.
    steps : int
        Steps to time per backend.
    seconds : float
        Length of the generated input for the whole path.
    say : callable
        Told what comes next, how many measurements are done, and of how many.
    part : str
        Of a file of several parts, which one; its main one if empty.  Of such a file the steps
        are measured alone: what a whole answer costs depends on its length.

    Raises
    ------
    ModelError
        If the model cannot be used, or has no such part.
    BackendError
        If a backend that was asked for cannot be used, or none is installed.
    """
    whole = bundle.read(path)
    chosen = whole.part(part) if part else whole
    names = backends or (*available(), "emulator")
    total = 2 * len(names) + 2
    costs, speeds = {}, {}
    for i, name in enumerate(names):
        say(f"step, {name}", 2 * i, total)
        share = EMULATOR_SHARE if name == "emulator" else 1
        try:
            model = StepModel.load(chosen, name)
        except BackendError as problem:
            if backends:
                raise
            costs[name] = {"error": str(problem)}
            continue
        costs[name] = {"version": available().get(name, "numpy"),
                       **step_cost(model, max(100, steps // share))}
        say(f"whole path, {name}", 2 * i + 1, total)
        if not whole.parts:
            speeds[name] = times_real_time(model, max(1.0, seconds / share))
    able = [name for name, cost in costs.items() if "error" not in cost]
    if not able:
        raise BackendError("no interpreter could run the model: "
                           + "; ".join(f"{name}: {cost['error']}" for name, cost in costs.items()))
    found = {"model": str(path), "machine": machine(), "backends": costs}
    if whole.parts:
        return found | {"part": part or "main", "parts": ["main", *whole.parts]}
    say("frontend", total - 2, total)
    frontend = frontend_cost(model, steps)
    say("import", total - 1, total)
    return found | {"frontend": frontend, "times_real_time": speeds,
                    "import": import_cost(path, able[0])}


def step_cost(model: StepModel, steps: int) -> dict[str, Any]:
    """Time `step`, features to scores, and the interpreter's own calls, in turns.

    In turns, so that a clock frequency that drifts does the same to both.
    """
    features = frames(model)
    stream = model.fork()
    inputs = [np.full(model.graph.tensors[i].shape, model.graph.tensors[i].qtype.zero_point,
                      model.graph.tensors[i].dtype) for i in model.graph.inputs]
    ours, theirs = np.empty(steps), np.empty(steps)
    clock, invoke = time.perf_counter, model.runtime.invoke
    for i in range(-WARM_UP, steps):
        frame = features[i % 64]
        begin = clock()
        stream.step(frame)
        middle = clock()
        invoke(inputs)
        end = clock()
        if i >= 0:
            ours[i], theirs[i] = middle - begin, end - middle
    return {"step_us": _microseconds(ours), "calls_us": _microseconds(theirs),
            "ratio": round(float(np.median(ours) / np.median(theirs)), 3), "steps": steps}


def frames(model: StepModel) -> NDArray[Any]:
    """64 frames to step over: noise in real units, or tokens that the model knows."""
    rng = np.random.default_rng(0)
    spec = model.spec.frontend
    if isinstance(spec, TokenSpec):
        return rng.integers(1, spec.numbers, (64, model.width), dtype=np.int32)
    return rng.normal(0, 1, (64, model.width)).astype(np.float32)


def step_times(models: Sequence[StepModel], rounds: int = 20, steps: int = 100) -> list[float]:
    """Median time of `step` of each model, microseconds, features to scores.

    In turns of `steps`, so that a clock frequency that drifts does the same to all of them.
    """
    streams = [(model.fork(), list(frames(model))) for model in models]
    took: list[list[float]] = [[] for _ in models]
    for turn in range(-1, rounds):
        for (stream, rows), own in zip(streams, took, strict=True):
            for i in range(steps):
                begin = time.perf_counter()
                stream.step(rows[i % 64])
                end = time.perf_counter()
                if turn >= 0:  # the first turn warms caches up
                    own.append(1e6 * (end - begin))
    return [float(np.median(own)) for own in took]


def times_real_time(model: StepModel, seconds: float) -> dict[str, float]:
    """How much faster than it is spoken input is heard, frontend to detector."""
    hop = make_frontend(model.spec.frontend).hop
    rate = sample_rate_hz(model.spec)
    samples = generated(model, seconds)

    def speed(block: int) -> float:
        listener = Listener(model.fork())
        begin = time.perf_counter()
        for _ in listen(_blocks(samples, block, rate), listener):
            pass
        return round(len(samples) / rate / (time.perf_counter() - begin), 1)

    return {"one_hop": speed(hop), "blocks": speed(max(hop, int(BLOCK_S * rate)))}


def frontend_cost(model: StepModel, steps: int) -> dict[str, Any]:
    """Time the frontend alone: a hop at a time, and in blocks of a second, per row."""
    frontend = make_frontend(model.spec.frontend)
    rate = sample_rate_hz(model.spec)
    samples = generated(model, max(2.0, (WARM_UP + 1) * frontend.hop / rate))
    single = np.empty(steps)
    for i in range(-WARM_UP, steps):
        at = (i + WARM_UP) * frontend.hop % (len(samples) - frontend.hop)
        begin = time.perf_counter()
        frontend.push(samples[at : at + frontend.hop])
        if i >= 0:
            single[i] = time.perf_counter() - begin
    frontend.reset()
    block, rows = samples[: max(frontend.hop, int(rate))], 0
    begin = time.perf_counter()
    for _ in range(20):
        rows += len(frontend.push(block))
    batched_s = (time.perf_counter() - begin) / max(1, rows)
    return {"push_us": _microseconds(single), "batched_us": round(1e6 * batched_s, 2)}


def import_cost(path: Path, backend: str) -> dict[str, Any]:
    """What a fresh process pays to import, and to open the model: the best of three."""
    runs = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", IMPORT, str(path), backend],
                              capture_output=True, text=True)
        if done.returncode:
            raise BackendError(f"a fresh process could not open the model: {done.stderr.strip()}")
        runs.append(json.loads(done.stdout))
    best = np.min(runs, axis=0)
    return {"seconds": round(best[0], 3), "megabytes": round(best[1], 1), "backend": backend,
            "loaded_seconds": round(best[2], 3), "loaded_megabytes": round(best[3], 1)}


def generated(model: StepModel, seconds: float) -> NDArray[Any]:
    """Input to measure with: noise at -20 dB, rows as spread as the training set, or tokens."""
    rng = np.random.default_rng(0)
    spec = model.spec.frontend
    count = max(1, int(seconds * sample_rate_hz(model.spec)))
    if isinstance(spec, LogMelSpec):
        return np.clip(rng.normal(0, 3277, count), -32768, 32767).astype(np.int16)
    if isinstance(spec, TokenSpec):
        tokens = [*spec.vocabulary, "?"]
        return np.array([tokens[i] for i in rng.integers(len(tokens), size=count)])
    if isinstance(spec, PartsSpec):
        return rng.integers(-128, 128, (count, spec.width)).astype(np.int8)
    return rng.normal(spec.mean, spec.std, (count, len(spec.mean))).astype(np.float32)


def machine() -> str:
    """Processor, system and Python, in a few words."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines()
                  if line.startswith(("model name", "Model"))]
        name = models[0] if models else name
    return (f"{name}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
            f"Python {platform.python_version()}, numpy {np.__version__}")


def _blocks(samples: NDArray[Any], block: int, rate_hz: float) -> Iterator[Frame]:
    for at in range(0, len(samples), block):
        yield Frame(samples[at : at + block], at / rate_hz)


def _microseconds(seconds: NDArray[np.float64]) -> dict[str, float]:
    p50, p99, largest = 1e6 * np.percentile(seconds, (50, 99, 100))
    return {"p50": round(p50, 2), "p99": round(p99, 2), "max": round(largest, 2)}
