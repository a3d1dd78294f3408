"""What length bucketing saves over padding to the longest, on the lengths of real sets.

    python tools/bench_bucketing.py [--data shared/data] [--time [SET ...]]

For each set: the share of frames that are padding, and how many frames are computed for one
real one, if every sequence is padded to the longest of the set; if batches are drawn at
random and padded to their own longest; and as `edgernn.train.batches` does it.  With --time,
also the time of an epoch of a masked GRU of 64 units in Keras, the first way over the third,
in turns.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from edgernn.train.batches import Batch, Lesson, batches, pad
from edgernn.train.readers import load

PROJECT = Path(__file__).resolve().parent.parent
BATCH = 16
WAYS = ("longest", "random", "bucketed")
SETS = ("JapaneseVowels", "spoken digits", "wake words", "Korean reviews, characters",
        "C-MAPSS FD001", "C-MAPSS FD003")


def lengths(data: Path) -> dict[str, np.ndarray]:
    """Frames of each sequence, by set; of JapaneseVowels those of its training split."""
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
    for name in ("FD001", "FD003"):
        engines = data / "cmapss" / f"train_{name}.txt"
        if engines.exists():
            found[f"C-MAPSS {name}"] = np.unique(np.loadtxt(engines)[:, 0], return_counts=True)[1]
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


def padded_to_longest(lessons: list[Lesson], rng: np.random.Generator) -> list[Batch]:
    """Batches in random order, each as long as the longest lesson of the set."""
    longest = max(lessons, key=lambda one: len(one.targets))
    order = rng.permutation(len(lessons))
    cuts = [[lessons[int(i)] for i in order[at:at + BATCH]] for at in range(0, len(order), BATCH)]
    made = [pad([*cut, longest]) for cut in cuts]
    return [Batch(one.features[:-1], one.targets[:-1], one.weights[:-1], one.lengths[:-1])
            for one in made]


def timed(each: np.ndarray, turns: int = 3) -> dict[str, float]:
    """Time of an epoch padded to the longest, over that of one bucketed.

    Both train the same masked GRU of 64 units, 40 features in, in one TensorFlow function
    traced once for all lengths, as `edgernn.train.loop` does, in turns; of more than 640
    sequences, 640 drawn at random.
    """
    from edgernn.train import models
    from edgernn.train.architecture import Layer
    from edgernn.train.config import make

    keras = models.import_keras()
    import tensorflow as tf

    rng = np.random.default_rng(0)
    each = rng.permutation(each)[:640]
    lessons = [lesson(int(n), 40) for n in each]
    model = models.build(make({"dropout": 0}), 40, (Layer("gru", 64), Layer("dense", 4, "softmax")))
    loss, optimizer = keras.losses.SparseCategoricalCrossentropy(), keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    spec = [tf.TensorSpec((None, None, 40)), tf.TensorSpec((None, None), tf.int64),
            tf.TensorSpec((None, None))]

    @tf.function(input_signature=spec)
    def learn(features: object, targets: object, weights: object) -> object:
        with tf.GradientTape() as tape:
            mean = loss(targets, model(features, training=True), sample_weight=weights)
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(mean, variables), variables)
        return mean

    def epoch(made: list[Batch]) -> float:
        begin = time.perf_counter()
        for batch in made:
            learn(batch.features, batch.targets, batch.weights)
        return time.perf_counter() - begin

    epoch(list(batches(lessons, BATCH, rng))[:4])  # traces, and warms up
    took = np.array([[epoch(padded_to_longest(lessons, rng)),
                      epoch(list(batches(lessons, BATCH, rng)))] for _ in range(turns)])
    longest, bucketed = np.median(took, axis=0)
    return {"longest_s": round(float(longest), 2), "bucketed_s": round(float(bucketed), 2),
            "time_longest_over_bucketed": round(float(np.median(took[:, 0] / took[:, 1])), 2)}


def measured(each: np.ndarray) -> dict[str, float]:
    """Share of computed frames that is padding, and frames computed for one real one."""
    real, line = int(each.sum()), {}
    for way in WAYS:
        frames = computed(each, way)
        line |= {f"{way}_padding": round(1 - real / frames, 3),
                 f"{way}_frames_per_real": round(frames / real, 2)}
    return line


def main() -> None:
    """Print a line per set on stdout, a table on stderr."""
    from rich.console import Console
    from rich.table import Table

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared/data")
    parser.add_argument("--time", nargs="*", metavar="SET",
                        help="also time epochs in Keras, of these sets or of all")
    arguments = parser.parse_args()
    found = lengths(arguments.data)
    missing = [name for name in SETS if name not in found]
    if missing:
        print(f"not in {arguments.data}: {', '.join(missing)}; give their folder with --data",
              file=sys.stderr)
    if not found:
        sys.exit(1)
    table = Table("set", "sequences", "frames", "longest", "random", "bucketed", "time ratio",
                  title="share of frames that is padding", title_justify="left", box=None)
    for name, each in found.items():
        line = {"set": name, "sequences": len(each), "shortest": int(each.min()),
                "longest": int(each.max()), **measured(each)}
        if arguments.time is not None and (not arguments.time or name in arguments.time):
            line |= timed(each)
        print(json.dumps(line), flush=True)
        table.add_row(name, str(len(each)), f"{each.min()} to {each.max()}",
                      *(f"{line[f'{way}_padding']:.1%}" for way in WAYS),
                      str(line.get("time_longest_over_bucketed", "")))
    Console(stderr=True).print(table)


if __name__ == "__main__":
    main()
