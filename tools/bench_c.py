"""Measure a step of the C kernels on this machine, beside LiteRT and RNNoise.

    python tools/bench_c.py [--rounds 15] [--rnnoise FOLDER]

A GRU of 64 units over 40 features, int8, random weights: alone, and with a Dense of 4 and its
softmax.  One stream as exported C, compiled here with -O3 -march=native; one stream and 64 at
once through Python, by the backend `c`; and LiteRT's own set, invoke and get of the same model.
FOLDER is a checkout of github.com/xiph/rnnoise: its int8 GRU of that size, alone, is compiled
with the same flags.

All take turns, round by round, so that a clock that drifts does the same to all of them;
figures are medians.  Needs gcc and the extra `train`.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from edgernn import bundle, cost, interpreter
from edgernn.batch import BatchStep
from edgernn.native import kernels
from edgernn.spec import PART, ModelSpec, StandardizeSpec
from edgernn.step import StepModel
from firmware_export.project import Source, c_project

UNITS, FEATURES, STREAMS, STEPS = 64, 40, 64, 6400
FLAGS = ("-O3", "-march=native", "-D_POSIX_C_SOURCE=200809L")

CLOCK = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}
"""

OURS = CLOCK + """
#include "bench_model.h"
int main(void)
{
    static bench_state state;
    static bench_feature frames[64][BENCH_FEATURES];
    bench_score scores[BENCH_LABELS];
    double begin;
    int i, k;
    for (i = 0; i < 64; i++) {
        for (k = 0; k < BENCH_FEATURES; k++) {
            frames[i][k] = (bench_feature)(rand() % 256 - 128);
        }
    }
    if (bench_selfcheck(&state) != 0) {
        return 1;
    }
    bench_reset(&state);
    begin = now();
    for (i = 0; i < STEPS; i++) {
        (void)bench_step(&state, frames[i % 64], scores);
    }
    printf("%.1f\\n", (now() - begin) / STEPS);
    return 0;
}
"""

RNNOISE = CLOCK + """
#include "nnet.h"
static opus_int8 kernel[3 * UNITS * FEATURES], recurrent[3 * UNITS * UNITS];
static float bias[3 * UNITS], scale[3 * UNITS], state[UNITS], frames[64 * FEATURES];
int main(void)
{
    LinearLayer x = {bias, bias, kernel, 0, 0, 0, scale, FEATURES, 3 * UNITS};
    LinearLayer h = {bias, bias, recurrent, 0, 0, 0, scale, UNITS, 3 * UNITS};
    double begin;
    int i;
    for (i = 0; i < (int)sizeof kernel; i++) {
        kernel[i] = (opus_int8)(rand() % 255 - 127);
    }
    for (i = 0; i < (int)sizeof recurrent; i++) {
        recurrent[i] = (opus_int8)(rand() % 255 - 127);
    }
    for (i = 0; i < 3 * UNITS; i++) {
        scale[i] = 1e-5f;
    }
    for (i = 0; i < 64 * FEATURES; i++) {
        frames[i] = (float)(rand() % 2001 - 1000) / 1000;
    }
    begin = now();
    for (i = 0; i < STEPS; i++) {
        compute_generic_gru(&x, &h, state, &frames[i % 64 * FEATURES], 0);
    }
    printf("%.1f\\n", (now() - begin) / STEPS);
    return 0;
}
"""


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="turns (default: %(default)s)")
    parser.add_argument("--rnnoise", type=Path, metavar="FOLDER", help="checkout of xiph/rnnoise")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        timed = measurements(Path(folder), chosen.rnnoise)
        found: dict[str, list[float]] = {what: [] for what in timed}
        for turn in range(-1, chosen.rounds):
            for what, measure in timed.items():
                nanoseconds = measure()
                if turn >= 0:  # the first turn warms caches up
                    found[what].append(nanoseconds)
    unit = float(np.median(found[next(iter(found))]))
    print(f"{cost.machine()}, kernels {kernels.best().TARGET}\n")
    print("| GRU 64, input 40, int8 | ns a step | least to most | to the first |\n"
          "|---|---|---|---|")
    for what, each in found.items():
        median = float(np.median(each))
        print(f"| {what} | {median:,.0f} | {min(each):,.0f} to {max(each):,.0f} | "
              f"{median / unit:.2f} |")


def measurements(folder: Path, rnnoise: Path | None) -> dict[str, Callable[[], float]]:
    """What is measured, by its name: functions that give nanoseconds a step."""
    paths = {"alone": alone(folder / "alone.tflite"), "with Dense and softmax": whole(folder)}
    found = {f"exported C, {what}": program(ours(folder / f"project_{path.stem}", path))
             for what, path in paths.items()}
    if rnnoise:
        found["RNNoise's GRU in C, alone"] = program(theirs(folder, rnnoise / "src"))
    models = {what: StepModel.open(path, "c") for what, path in paths.items()}
    for what, model in models.items():
        found[f"{STREAMS} streams at once from Python, codes, {what}"] = batch(model, False)
    model = models["with Dense and softmax"]
    found[f"{STREAMS} streams at once from Python, float features, with Dense and softmax"] = batch(
        model, True)
    found["step() from Python, float features, with Dense and softmax"] = steps(model)
    if "litert" in interpreter.available():
        runtime = StepModel.open(paths["with Dense and softmax"], "litert")
        found["LiteRT, its own set, invoke and get, with Dense and softmax"] = calls(runtime)
        found["LiteRT, step() from Python, with Dense and softmax"] = steps(runtime)
    return found


def whole(folder: Path) -> Path:
    """A model of the GRU, a Dense of 4 and a softmax."""
    from edgernn.train.architecture import Layer
    from tests.models import write_model

    return write_model(folder / "whole.tflite", Layer("gru", UNITS), features=FEATURES,
                       profile="int8")


def alone(path: Path) -> Path:
    """A model that gives the GRU's state, and has nothing else."""
    from edgernn.train.architecture import Architecture, Layer
    from edgernn.train.calibrate import calibrate
    from edgernn.train.emit import emit
    from edgernn.train.network import Network
    from edgernn.train.profile import get_profile
    from tests import networks

    frontend = StandardizeSpec((0.0,) * FEATURES, (1.0,) * FEATURES)
    labels = tuple(f"unit{i}" for i in range(UNITS))
    shape = Architecture(FEATURES, labels, frontend,
                         (Layer("gru", UNITS), Layer("memory", UNITS)), task=PART)
    network = Network.build(shape, networks.arrays(shape.layers[:1], FEATURES))
    data, pairs = emit(network, calibrate(network, networks.sequences(FEATURES)),
                       get_profile("int8"))
    path.write_bytes(bundle.attach(data, ModelSpec(labels, frontend, pairs, "", profile="int8",
                                                   task="regress")))
    return path


def ours(folder: Path, model: Path) -> Path:
    """The exported project, with a clock around its step."""
    files = c_project(Source.read(model), "bench", ["tools/bench_c.py"])
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text if isinstance(text, str) else text.decode())
    sources = [str(folder / name) for name in files if name.endswith(".c") and name != "main.c"]
    return compiled(folder / "ours", OURS, [f"-I{folder}", f"-I{folder / 'ernn'}", *sources])


def theirs(folder: Path, src: Path) -> Path:
    """RNNoise's GRU, with the same clock around it."""
    sizes = [f"-DUNITS={UNITS}", f"-DFEATURES={FEATURES}"]
    sources = [str(src / name) for name in ("nnet.c", "nnet_default.c")]
    return compiled(folder / "theirs", RNNOISE, [*sizes, f"-I{src}", f"-I{src.parent / 'include'}",
                                                 *sources, "-lm"])


def compiled(program: Path, text: str, arguments: list[str]) -> Path:
    """A program of that C text."""
    source = program.with_suffix(".c")
    source.write_text(text)
    subprocess.run(["gcc", *FLAGS, f"-DSTEPS={STEPS}", "-o", str(program), str(source), *arguments],
                   check=True)
    return program


def program(path: Path) -> Callable[[], float]:
    """The nanoseconds that a program prints."""
    return lambda: float(subprocess.run([str(path)], capture_output=True, check=True,
                                        text=True).stdout)


def steps(model: StepModel) -> Callable[[], float]:
    """`step` with float features."""
    rows, step = list(cost.frames(model)), model.step

    def measure() -> float:
        begin = time.perf_counter()
        for _ in range(20):
            for row in rows:
                step(row)
        return 1e9 * (time.perf_counter() - begin) / 20 / len(rows)
    return measure


def calls(model: StepModel) -> Callable[[], float]:
    """The interpreter alone, with codes."""
    inputs = [np.zeros(model.graph.tensors[i].shape, model.graph.tensors[i].dtype)
              for i in model.graph.inputs]
    invoke = model.runtime.invoke

    def measure() -> float:
        begin = time.perf_counter()
        for _ in range(1280):
            invoke(inputs)
        return 1e9 * (time.perf_counter() - begin) / 1280
    return measure


def batch(model: StepModel, reals: bool) -> Callable[[], float]:
    """Many streams by one call, a step of one of them."""
    together = BatchStep(model, STREAMS)
    rng = np.random.default_rng(0)
    frames = rng.normal(0, 1, (64, STREAMS, model.width)).astype(np.float32)
    turns = list(frames if reals else
                 model.encode(frames.reshape(-1, model.width)).reshape(frames.shape))

    def measure() -> float:
        begin = time.perf_counter()
        for _ in range(3):
            for each in turns:
                together.step(each)
        return 1e9 * (time.perf_counter() - begin) / 3 / len(turns) / STREAMS
    return measure


if __name__ == "__main__":
    main()
