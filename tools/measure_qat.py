"""What fine-tuning in integers recovers: a slow moving average, and real sets.

    python tools/measure_qat.py [average] [vowels] [engines] [--over 50 200] [--out FOLDER]

average: a GRU of 32 units learns the exponential moving average of white noise over 50 and
over 200 steps, and is tested on sequences of 50, 100 and 1000 steps; root mean square error, and
the target's own spread.  vowels: accuracy on JapaneseVowels, GRU and SimpleRNN of 8
units, small so that int8 costs something.  engines: FD001 of C-MAPSS, cycles.  One JSON line
per model: float; int8 before and after `edgernn finetune`; int8 after `control`, the same training
with the same settings but in int16x8, whose rounding hardly shows, its epoch chosen in int8 too:
what `after` has over it is owed to the integers and not to more training; and int8x16 as it is.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgernn.frontend import make_frontend
from edgernn.train.calibrate import calibrate
from edgernn.train.config import make
from edgernn.train.dataset import SensorSet
from edgernn.train.emulated import EmulatedModel
from edgernn.train.finetune import Tuner, Tuning, finetune
from edgernn.train.fit import fit
from edgernn.train.measure import measure
from edgernn.train.network import Network
from edgernn.train.profile import get_profile
from edgernn.train.readers import load
from edgernn.train.reference import FloatModel
from edgernn.train.sequences import Sequences, calibration_rows, joined, load_sequences

PROJECT = Path(__file__).resolve().parent.parent
CONSTANTS = {50: 200, 200: 600}
"""Steps that an average is over, and length of the sequences that it is learned from."""
EPOCHS = {50: 60, 200: 40}
"""Of fine-tuning, by the same steps: 600 updates each."""
RATES = {50: 0.001, 200: 0.003}
"""Learning rates of it: the better of these two for each."""


def averages(over: int, count: int, steps: int, split: str, seed: int) -> Sequences:
    """White noise, and its exponential moving average as the target, of spread about 1."""
    rng = np.random.default_rng([seed, steps])
    rows = rng.normal(size=(count, steps, 1)).astype(np.float32)
    target = np.zeros_like(rows)
    mean = np.zeros((count, 1))
    for t in range(steps):
        mean += (rows[:, t] - mean) / over
        target[:, t] = mean
    target *= np.float32(np.sqrt(2 * over))
    return Sequences(rows.reshape(-1, 1), np.full(count, steps), np.zeros(count, np.int64),
                     np.full(count, split, "U10"), target.reshape(-1, 1))


def integers(run: Path, profile: str, truth: Sequences) -> dict[str, float]:
    """The task's metric of a run's integer step; of the float one where profile is `float`."""
    network = Network.load(run)
    frontend = make_frontend(network.architecture.frontend)
    if profile == "float":
        return measure(network.architecture, FloatModel(network),
                       [frontend.features(r) for r in truth], truth)
    kept = load_sequences(run, network.architecture.features)
    rows = [frontend.features(r) for r in calibration_rows(kept)]
    model = EmulatedModel.of(network, calibrate(network, rows), get_profile(profile))
    return measure(network.architecture, model, [model.encode(r) for r in truth], truth)


def train_control(run: Path, out: Path, tuning: Tuning) -> None:
    """Train on as `finetune` does, but in int16x8; the epoch is still chosen in the profile."""
    network = Network.load(run)
    sequences = load_sequences(run, network.architecture.features)
    with np.load(run / "weights.npz") as file:
        arrays = {name: file[name] for name in file.files}
    learner = Tuner(network.architecture, arrays, sequences, replace(tuning, profile="int16x8"))
    judge = Tuner(network.architecture, arrays, sequences, tuning)
    best, best_arrays = judge.measured(), arrays
    for _ in range(tuning.epochs):
        learner.epoch()
        judge.take(learner.arrays)
        found = judge.measured()
        if judge.better(found, best):
            best, best_arrays = found, judge.arrays
    shutil.copytree(run, out)
    np.savez(out / "weights.npz", **best_arrays)  # type: ignore[arg-type]  # keys are layer/array


def compare(name: str, run: Path, tuned: Path, truths: dict[str, Sequences], tuning: Tuning
            ) -> None:
    """Fine-tune and print what it did on each set of sequences."""
    said = finetune(run, tuned, tuning)
    control = tuned.with_name(f"{tuned.name}-control")
    train_control(run, control, tuning)
    for part, truth in truths.items():
        found = {"float": integers(run, "float", truth),
                 "before": integers(run, tuning.profile, truth),
                 "after": integers(tuned, tuning.profile, truth),
                 "control": integers(control, tuning.profile, truth),
                 "int8x16": integers(run, "int8x16", truth)}
        line = {"set": name, "measured": part, "profile": tuning.profile,
                "metric": said["metric"]}
        if truth.targets is not None:
            line["spread"] = round(float(np.nanstd(truth.targets)), 4)
        print(json.dumps(line | {f"{kind}_{key}": round(value, 4) for kind, values in
                                 found.items() for key, value in values.items()}), flush=True)


def average(data: Path, out: Path, constants: Iterable[int]) -> None:
    """The slow integrators."""
    for over in constants:
        steps = CONSTANTS[over]
        run = out / f"average-{over}"
        parts = averages(over, 100, steps, "train", 0), averages(over, 40, steps, "validation", 1)
        found = SensorSet(("average",), joined(*parts))
        config = make({"task": "regress", "cell": "gru", "units": 32, "dropout": 0,
                       "input_noise": 0, "epochs": 60, "batch": 10, "learning_rate": 0.01,
                       "join": 1, "patience": 60})
        fit(config, found, run, overwrite=True)
        # The float network first goes on for as long as the integers will: where it still
        # learns, any training would seem to recover what rounding took.
        grown = out / f"average-{over}-grown"
        tuning = Tuning("int8", EPOCHS[over], learning_rate=RATES[over], batch=20,
                        tbptt=max(over, 100), judge="reset")
        finetune(run, grown, replace(tuning, profile="int16x8"))
        frontend = make_frontend(Network.load(run).architecture.frontend)
        truths = {}
        for length in (50, 100, 1000):
            truth = averages(over, 40, length, "test", 2)
            truths[f"{length} steps"] = replace(truth, rows=frontend.whole(truth.rows))
        compare(f"moving average over {over} steps, GRU 32", grown, out / f"average-{over}-int8",
                truths, tuning)


def vowels(data: Path, out: Path, constants: Iterable[int]) -> None:
    """A small classifier."""
    for cell in ("gru", "simple_rnn"):
        config = make({"cell": cell, "units": 8, "epochs": 60, "patience": 60, "dropout": 0.1})
        run = out / f"vowels-{cell}"
        fit(config, load(data / "tsc" / "JapaneseVowels_TRAIN.ts"), run, overwrite=True)
        test = Sequences.load(run / "sequences.npz").of_split("test")
        compare(f"JapaneseVowels, {cell} 8", run, out / f"vowels-{cell}-int8", {"test": test},
                Tuning("int8", epochs=10, learning_rate=0.001))


def engines(data: Path, out: Path, constants: Iterable[int]) -> None:
    """Remaining life of engines."""
    from measure_engines import RECIPE, fd001, life_set

    from edgernn.train.config import load as load_config

    run = out / "engines"
    config = load_config(RECIPE, {"units": 16, "front": 0, "epochs": 40, "cell": "gru"})
    fit(config, life_set(*fd001(data / "cmapss")), run, overwrite=True)
    test = Sequences.load(run / "sequences.npz").of_split("test")
    compare("C-MAPSS FD001, GRU 16", run, out / "engines-int8", {"test": test},
            Tuning("int8", epochs=4, learning_rate=0.0005, batch=8, judge="reset"))


SETS = {"average": average, "vowels": vowels, "engines": engines}


def main() -> None:
    """Measure the sets asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", default=[], metavar="SET", help=", ".join(SETS))
    parser.add_argument("--over", nargs="+", type=int, default=tuple(CONSTANTS), choices=CONSTANTS,
                        help="steps that an average is over")
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared/data")
    parser.add_argument("--out", type=Path, help="where to leave the runs (default: nowhere)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as nowhere:
        out = arguments.out or Path(nowhere)
        out.mkdir(parents=True, exist_ok=True)
        for name in arguments.sets or SETS:
            SETS[name](arguments.data, out, arguments.over)


if __name__ == "__main__":
    main()
