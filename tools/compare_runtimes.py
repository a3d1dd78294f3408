"""Measure how far each installed runtime is from the emulator; print a table in Markdown.

    python tools/compare_runtimes.py FOLDER

FOLDER holds the models; those of docs/runtimes.md are made there first if it is empty,
which needs the extra `train`.  tflite-runtime lives in an environment of its own: run
this there afterwards, on the same FOLDER.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from edgernn import bundle, interpreter, tflite
from edgernn.divergence import compare
from edgernn.errors import BackendError

STEPS = 2000


def main(folder: Path) -> None:
    """Print a row for every model and runtime."""
    if not any(folder.glob("*.tflite")):
        make(folder)
    print("| model | runtime | codes that differ | largest | drift of a score |")
    print("|---|---|---|---|---|")
    for path in sorted(folder.glob("*.tflite")):
        whole = bundle.read(path)
        read = tflite.read(whole.flatbuffer)
        x = read.tensor("x")
        walk = np.cumsum(np.random.default_rng(0).normal(0, 0.05, (STEPS, x.shape[1])), axis=0)
        codes = (np.sin(walk) * x.qtype.high).astype(x.dtype)
        for backend, version in interpreter.available().items():
            try:
                runtime = interpreter.open_runtime(backend, whole.flatbuffer, read,
                                                   whole.spec)
            except BackendError:
                print(f"| {path.stem} | {backend} {version} | refused | | |", flush=True)
                continue
            found = compare(read, whole.spec.states, runtime, codes)
            print(f"| {path.stem} | {backend} {version} | "
                  f"{100 * found.differing / found.codes:.3f} % | {found.largest} | "
                  f"{found.drift:.4f} |", flush=True)


def make(folder: Path) -> None:
    """A model of 64 units of each cell and profile, and ones with rings; random weights."""
    from edgernn.train.architecture import Layer
    from tests import networks
    from tests.models import write_model

    folder.mkdir(parents=True, exist_ok=True)
    stacks = {f"{cell}-64": (Layer(cell, 64),) for cell in ("gru", "lstm", "simple_rnn")}
    stacks |= {"crnn-48": networks.crnn(48), "transformer-48": networks.transformer(48)}
    for name, layers in stacks.items():
        for profile in ("int8", "int8x16", "int16x8"):
            write_model(folder / f"{name}-{profile}.tflite", *layers, features=40,
                        profile=profile)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
