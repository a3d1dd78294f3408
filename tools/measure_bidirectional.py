"""Bidirectional labelling: accuracy against how long a frame waits, float and integer.

    python tools/measure_bidirectional.py [tags] [speech] [--data shared/data] [--out FOLDER]

Trains with recipes/tags.yaml (Korean tagging) and recipes/speech.yaml (voice activity), read
from both ends, quantizes to int8x16, and measures the test split per frame with chunks of N
frames that see R ahead: one JSON line each, `wait` being N - 1 + R frames.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgernn import bundle
from edgernn.bidirectional import frame_ms
from edgernn.frontend import make_frontend
from edgernn.train.bidirection import PARTS, Bidirection, fit
from edgernn.train.config import load as load_config
from edgernn.train.parts import emulated, on_floats
from edgernn.train.parts import load as load_parts
from edgernn.train.quantize import quantize_run
from edgernn.train.readers import load
from edgernn.train.readers.audio import read_sounds
from edgernn.train.sequences import Sequences

PROJECT = Path(__file__).resolve().parent.parent
SIZES = {"tags": [(1, 0), (1, 1), (1, 2), (1, 4), (4, 4), (0, 0)],
         "speech": [(1, 0), (1, 5), (5, 5), (5, 15), (25, 25), (0, 0)]}
PROFILE = "int8x16"


def read(name: str, data: Path) -> tuple[Any, tuple[Any, ...]]:
    """A data set, and its speech without keywords."""
    if name == "tags":
        return load(data / "text_ud_ko_gsd/ko_gsd-ud-dev.conllu"), ()
    found = load(data / "wakewords_picovoice", noise=[data / "background_noise"])
    # As in measure_speech.py: its validation speakers are the test, nothing is chosen by them.
    recordings = tuple(replace(r, split={"validation": "test"}.get(r.split, r.split))
                       for r in found.recordings)
    return (replace(found, recordings=recordings), read_sounds([data / "negative_speech"], 16000))


def measure(name: str, data: Path, out: Path) -> None:
    """Train one set and print a line for each size of chunk."""
    run = out / name
    if not run.exists():
        found, negatives = read(name, data)
        fit(load_config(PROJECT / "recipes" / f"{name}.yaml", {"bidirectional": True}), found, run,
            negatives=negatives)
    path = out / f"{name}.tflite"
    size = quantize_run(run, path, PROFILE).bytes
    whole = bundle.read(path)
    held = Sequences.load(run / "sequences.npz").of_split("test")
    frontend = make_frontend(whole.spec.frontend)
    integers = emulated(whole, PARTS[0])
    models = (("float", on_floats(load_parts(run, PARTS)),
               [frontend.features(rows) for rows in held]),
              (PROFILE, integers, [integers[PARTS[0]].encode(rows) for rows in held]))
    targets = held.targets
    asked = targets >= 0
    for chunk, ahead in SIZES[name]:
        wait = chunk - 1 + ahead if chunk else None
        line = {"set": name, "chunk": chunk, "ahead": ahead, "wait_frames": wait}
        if frame_ms(whole.spec) and chunk:
            line["wait_ms"] = wait * frame_ms(whole.spec)
        for kind, parts, rows in models:
            labels = np.concatenate(Bidirection(parts, chunk, ahead).run(rows)).argmax(axis=1)
            line[kind] = round(float(np.mean(labels[asked] == targets[asked])), 4)
        print(json.dumps({**line, "sequences": len(held), "bytes": size}), flush=True)


def main() -> None:
    """Measure the sets asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", default=[], metavar="SET", help="tags, speech")
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared/data")
    parser.add_argument("--out", type=Path, help="where to leave the runs (default: nowhere)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as nowhere:
        for name in arguments.sets or SIZES:
            measure(name, arguments.data, arguments.out or Path(nowhere))


if __name__ == "__main__":
    main()
