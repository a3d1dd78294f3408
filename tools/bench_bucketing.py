"""What length bucketing saves over padding to the longest, on the lengths of real sets.

    python tools/bench_bucketing.py [--data shared/data] [--time]

For each set: the share of frames that are padding, and how many frames are computed for one
real one, if every sequence is padded to the longest of the set; if batches are drawn at
random and padded to their own longest; and as `edgernn.train.batches` does it.  With --time,
also the time of an epoch of a masked GRU of 64 units in Keras, the first way over the third,
in turns.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from edgernn.train.batches import Lesson, batches, pad
from edgernn.train.readers import load

PROJECT = Path(__file__).resolve().parent.parent
BATCH = 16


def lengths(data: Path) -> dict[str, np.ndarray]:
    """Frames of each training sequence, by set."""
    found = {}
    vowels = data / "tsc" / "JapaneseVowels_TRAIN.ts"
    if vowels.exists():
        found["JapaneseVowels"] = load(vowels).sequences.of_split("train").lengths
    for name, folder, rate in (("spoken digits", "fsdd", 8000),
                               ("wake words", "wakewords_picovoice", 16000)):
        if (data / folder).exists():
            clips = load(data / folder, sample_rate_hz=rate).samples
            found[name] = np.array([max(1, (len(c) - rate * 3 // 100) // (rate // 50) + 1)
                                    for c in clips])
    if (data / "text_nsmc").exists():
        found["Korean reviews, characters"] = np.array(
            [len(text) for text in load(data / "text_nsmc").texts])
    if (data / "cmapss").exists():
        units = np.loadtxt(data / "cmapss" / "train_FD001.txt")[:, 0]
        found["C-MAPSS FD001"] = np.unique(units, return_counts=True)[1]
    return found


def computed(each: np.ndarray, way: str) -> int:
    """Frames computed in one epoch."""
    rng = np.random.default_rng(0)
    if way == "longest":
        return int(each.max() * len(each))
    if way == "random":
        order = rng.permutation(each)
        return sum(int(order[i:i + BATCH].max()) * len(order[i:i + BATCH])
                   for i in range(0, len(order), BATCH))
    lessons = [lesson(int(n)) for n in each]
    return sum(batch.features.shape[0] * batch.features.shape[1]
               for batch in batches(lessons, BATCH, rng))


def lesson(frames: int, width: int = 1) -> Lesson:
    """A lesson of so many frames of nothing."""
    return Lesson(np.zeros((frames, width), np.float32), np.zeros(frames, np.int64),
                  np.ones(frames, np.float32))


def timed(each: np.ndarray) -> float:
    """Time of an epoch padded to the longest, over that of one bucketed; median of three."""
    from edgernn.train import models
    from edgernn.train.architecture import Layer
    from edgernn.train.config import make

    keras = models.import_keras()
    model = models.build(make({"dropout": 0}), 40, (Layer("gru", 64), Layer("dense", 4, "softmax")))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy())
    each = each[:640]
    lessons = [lesson(int(n), 40) for n in each]
    long = [*lessons, lesson(int(each.max()), 40)]
    whole = [pad([*lessons[i:i + BATCH], long[-1]]) for i in range(0, len(lessons), BATCH)]
    ratios = []
    for turn in range(4):
        took = []
        for made in (whole, list(batches(lessons, BATCH, np.random.default_rng(turn)))):
            begin = time.perf_counter()
            for batch in made:
                model.train_on_batch(batch.features[:BATCH], batch.targets[:BATCH],
                                     sample_weight=batch.weights[:BATCH])
            took.append(time.perf_counter() - begin)
        ratios.append(took[0] / took[1])
    return float(np.median(ratios[1:]))  # the first turn traces every shape


def main() -> None:
    """Print a line per set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared/data")
    parser.add_argument("--time", action="store_true", help="also time epochs in Keras")
    arguments = parser.parse_args()
    found = lengths(arguments.data)
    if not found:
        print(f"no data in {arguments.data}; give its folder with --data")
    for name, each in found.items():
        real = int(each.sum())
        line = {"set": name, "sequences": len(each), "shortest": int(each.min()),
                "longest": int(each.max())}
        for way in ("longest", "random", "bucketed"):
            frames = computed(each, way)
            line |= {f"{way}_padding": round(1 - real / frames, 3),
                     f"{way}_frames_per_real": round(frames / real, 2)}
        if arguments.time:
            line["time_longest_over_bucketed"] = round(timed(each), 2)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
