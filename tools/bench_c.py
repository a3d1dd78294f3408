"""Measure backend `c` on this machine, in nanoseconds a step, beside LiteRT in the same run.

    python tools/bench_c.py [--profiles int8 int8x16]

The model is a GRU of 64 on 40 features, of random weights.  Medians of several rounds, in
which all take turns; other programs running at the same time spoil them.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from edgernn.batch import BatchStep
from edgernn.native.kernels import best
from edgernn.step import StepModel
from firmware_export.project import Source, c_project

ROUNDS = 7
STEPS = 20_000
STREAMS = 64

PROGRAM = """
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <time.h>
#include "kws_model.h"
static kws_state state;
int main(void)
{
    static kws_feature features[64][KWS_FEATURES];
    kws_score scores[KWS_LABELS];
    struct timespec begin, end;
    int i, j, sum = 0;
    for (i = 0; i < 64; i++) {
        for (j = 0; j < KWS_FEATURES; j++) {
            features[i][j] = (kws_feature)((i * 31 + j * 17) % 200 - 100);
        }
    }
    kws_reset(&state);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (i = 0; i < STEPS; i++) {
        (void)kws_step(&state, features[i % 64], scores);
        sum += scores[0];
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%.1f %d\\n", ((double)(end.tv_sec - begin.tv_sec) * 1e9 +
                         (double)(end.tv_nsec - begin.tv_nsec)) / STEPS, sum);
    return 0;
}
"""


def main() -> None:
    """Print a row for every way to make a step."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", nargs="+", default=["int8", "int8x16"])
    print(f"kernels: {best().TARGET}\n")
    print("| profile | what | ns a step | LiteRT / this |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="edgernn-") as folder:
        for profile in parser.parse_args().profiles:
            _rows(profile, Path(folder) / profile)


def _rows(profile: str, folder: Path) -> None:
    from edgernn.train.architecture import Layer
    from tests.models import write_model

    folder.mkdir()
    model = write_model(folder / "kws.tflite", Layer("gru", 64), features=40, profile=profile)
    ways = {"LiteRT, StepModel.step": _python(model, "litert"),
            "c, StepModel.step": _python(model, "c"),
            f"c, BatchStep of {STREAMS}, each": _batch(model),
            "c, the exported project": _exported(model, folder)}
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            found[name].append(way())
    slow = statistics.median(found["LiteRT, StepModel.step"])
    for name, values in found.items():
        middle = statistics.median(values)
        print(f"| {profile} | {name} | {middle:,.0f} | {slow / middle:.1f} |", flush=True)


def _python(path: Path, backend: str) -> Callable[[], float]:
    model = StepModel.open(path, backend)
    frames = list(np.random.default_rng(0).normal(0, 1, (64, 40)).astype(np.float32))

    def run() -> float:
        step, begin = model.step, time.perf_counter()
        for i in range(STEPS):
            step(frames[i % 64])
        return 1e9 * (time.perf_counter() - begin) / STEPS

    return run


def _batch(path: Path) -> Callable[[], float]:
    batch = BatchStep.open(path, STREAMS)
    frames = np.random.default_rng(0).normal(0, 1, (STREAMS, 40)).astype(np.float32)

    def run() -> float:
        calls, begin = STEPS // STREAMS * 8, time.perf_counter()
        for _ in range(calls):
            batch.step(frames)
        return 1e9 * (time.perf_counter() - begin) / (calls * STREAMS)

    return run


def _exported(path: Path, folder: Path) -> Callable[[], float]:
    files = c_project(Source.read(path), "kws", ["tools/bench_c.py"])
    files |= {"bench.c": PROGRAM}
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text if isinstance(text, str) else text.decode())
    sources = [folder / name for name in files if name.endswith(".c") and name != "main.c"]
    program = folder / "bench"
    subprocess.run(["cc", "-O3", "-march=native", "-mprefer-vector-width=512", "-flto",
                    f"-DSTEPS={10 * STEPS}", f"-I{folder}", f"-I{folder / 'ernn'}", "-o",
                    str(program), *map(str, sources)], check=True)
    return lambda: float(subprocess.run([str(program)], capture_output=True, text=True,
                                        check=True).stdout.split()[0])


if __name__ == "__main__":
    main()
