"""Training: from a data set to a run folder."""

import contextlib
import csv
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import OutputError
from edgernn.frontend import make_frontend
from edgernn.spec import DetectorSpec
from edgernn.train import models
from edgernn.train.architecture import Architecture
from edgernn.train.batches import batches
from edgernn.train.config import TrainConfig
from edgernn.train.dataset import DataSet, Samples
from edgernn.train.losses import loss
from edgernn.train.material import Material, prepare
from edgernn.train.measure import METRICS, measure
from edgernn.train.reference import FloatModel
from edgernn.train.sequences import Sequences, joined
from edgernn.train.stepper import sequence_scores

CALIBRATION_SEQUENCES = 2000
"""Training sequences kept in sequences.npz, to calibrate on."""
Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Epoch:
    """One line of history.csv."""

    epoch: int
    loss: float
    """Mean cross-entropy per unit of weight, nats."""
    reset: float
    """The task's metric on validation data, the state reset for each sequence; NaN without."""
    carry: float
    """The same with the state carried over from sequence to sequence."""
    seconds: float
    """Since training began."""


Progress = Callable[[Epoch], None]


def fit(
    config: TrainConfig, data: DataSet, out: Path,
    progress: Progress = lambda epoch: None, overwrite: bool = False,
    negatives: tuple[Samples, ...] = (),
) -> dict[str, float]:
    """Train a model and write its run folder.

    Early stopping goes by the streaming metric: the mean of validation accuracy with
    state carried and with state reset, both one frame at a time through the float step
    (`FloatModel`); among equals, by the cross-entropy of those sequences.

    Parameters
    ----------
    config : TrainConfig
    data : AudioSet or SensorSet
    out : Path
        Run folder to make: config.yaml, history.csv, model.keras, weights.npz,
        architecture.json, sequences.npz, metrics.json.  It appears once it is complete.
    progress : callable
        Told of each epoch.
    overwrite : bool
        Replace `out` if it is there.
    negatives : tuple of int16 arrays
        Long recordings of speech without keywords, for the task `spot`.

    Returns
    -------
    dict
        metrics.json: accuracies 0 to 1 as `test_float_reset`, `test_float_carry`,
        `validation_...`, and `epochs`, `best_epoch`, `parameters`.

    Raises
    ------
    ConfigError, DataError, OutputError
    """
    with run_folder(out, overwrite) as folder:
        return _fit(config, prepare(config, data, negatives), folder, progress)


def teach(
    config: TrainConfig, material: Material, out: Path,
    progress: Progress = lambda epoch: None, overwrite: bool = False,
) -> dict[str, float]:
    """Train on lessons of one's own making, where `fit` makes them from a data set.

    Parameters, result and errors are those of `fit`; `material` is what `prepare` gives.
    """
    with run_folder(out, overwrite) as folder:
        return _fit(config, material, folder, progress)


def _fit(
    config: TrainConfig, material: Material, folder: Path, progress: Progress
) -> dict[str, float]:
    features = make_frontend(material.frontend).width
    stack = models.layers(config, len(material.labels), features, material.vocabulary)
    architecture = Architecture(features, material.labels, material.frontend, stack,
                                _detector(config, material.labels), config.task)
    model, history, best = _learn(config, material, architecture, progress)
    weights = models.arrays(model, stack)
    metrics = _measure(architecture, weights, material) | {
        "epochs": len(history), "best_epoch": best.epoch,
        "parameters": sum(w.size for w in weights.values())}
    (folder / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    (folder / "architecture.json").write_text(architecture.to_json(), encoding="utf-8")
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    _write_history(folder / "history.csv", history)
    model.save(folder / "model.keras")
    with (folder / "weights.npz").open("wb") as file:
        np.savez(file, **weights)  # type: ignore[arg-type]  # keys are layer/array
    joined(material.teacher.calibration(CALIBRATION_SEQUENCES),
           material.held_out).save(folder / "sequences.npz")
    return metrics


def _detector(config: TrainConfig, labels: tuple[str, ...]) -> DetectorSpec | None:
    """Every label fires at 0.5, but the one that means nothing was said.

    A classifier's scores are smoothed over as long as its labels were taught for.
    """
    if config.task in ("regress", "next"):
        return None
    thresholds = {label: 0.5 for label in labels[config.task == "spot":]}
    if config.task == "classify" and config.answer_ms:
        return DetectorSpec(thresholds, smoothing_ms=config.answer_ms)
    return DetectorSpec(thresholds)


def _learn(
    config: TrainConfig, material: Material, architecture: Architecture, progress: Progress,
) -> tuple[Any, list[Epoch], Epoch]:
    """Train until the streaming metric no longer improves; the model has the best weights."""
    keras = models.import_keras()
    import tensorflow as tf

    # Kernels that add in a fixed order: same seed, same weights, on the CPU.
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    model = models.build(config, architecture.features, architecture.layers, material.units)
    lessons = material.teacher.lessons(rng)
    updates = config.epochs * -(-len(lessons) // config.batch)
    rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, updates, alpha=0.05)
    model.compile(keras.optimizers.Adam(rate, 0.9, 0.999, clipnorm=config.clipnorm),
                  loss(keras, config.task, bool(material.vocabulary), material.units[1]))
    validation = material.held_out.of_split("validation")
    history: list[Epoch] = []
    best, best_weights = None, model.get_weights()
    best_key = (-np.inf, 0.0)
    average = Average(config.average, model.get_weights())
    began = time.monotonic()
    for number in range(1, config.epochs + 1):
        mean_loss = _epoch(model, lessons, config.batch, rng, average)
        latest = model.get_weights()
        model.set_weights(average.weights)
        found, key = {"reset": np.nan, "carry": np.nan}, (float(number), 0.0)
        if config.early_stopping:
            found, key = _streaming(architecture, models.arrays(model, architecture.layers),
                                    validation)
        history.append(Epoch(number, mean_loss, found["reset"], found["carry"],
                             time.monotonic() - began))
        progress(history[-1])
        if best is None or key > best_key:
            best, best_key, best_weights = history[-1], key, model.get_weights()
        model.set_weights(latest)
        if number - best.epoch >= config.patience:
            break
        if number < config.epochs:
            lessons = material.teacher.lessons(rng)
    assert best is not None
    model.set_weights(best_weights)
    return model, history, best


class Average:
    """A moving average over the updates of the weights (Polyak and Juditsky 1992).

    It does better on voices never heard than any one update's weights.
    """

    def __init__(self, share: float, weights: list[NDArray[np.float32]]) -> None:
        self.share = share
        self.weights = [w.copy() for w in weights]
        self._updates = 0

    def update(self, weights: list[NDArray[np.float32]]) -> None:
        """Take the weights after one update; early ones are averaged over fewer."""
        self._updates += 1
        kept = np.float32(min(self.share, 1 - 1 / self._updates))
        self.weights = [kept * mean + (1 - kept) * w
                        for mean, w in zip(self.weights, weights, strict=True)]


def _epoch(model: Any, lessons: list[Any], size: int, rng: np.random.Generator,
           average: Average) -> float:
    """One pass over the lessons; gives the mean loss per unit of weight."""
    total, weight = 0.0, 0.0
    for batch in batches(lessons, size, rng):
        counted = float(batch.weights.sum())
        # Divided here, so that a batch of short lessons steps as far as one of long ones.
        scaled = batch.weights / np.float32(max(counted, 1.0))
        model.reset_metrics()
        loss = float(model.train_on_batch(batch.features, batch.targets, sample_weight=scaled))
        average.update(model.get_weights())
        total, weight = total + loss * counted, weight + counted
    return total / max(weight, 1.0)


def _streaming(
    architecture: Architecture, weights: Arrays, validation: Sequences,
) -> tuple[dict[str, float], tuple[float, float]]:
    """The task's metric on validation data, and what epochs are compared by: higher is better."""
    frontend = make_frontend(architecture.frontend)
    step = FloatModel.build(architecture, weights)
    rows = [frontend.features(r) for r in validation]
    found = measure(architecture, step, rows, validation)
    sign = 1 if METRICS[architecture.task].higher_is_better else -1
    mean = sign * (found["reset"] + found["carry"]) / 2
    if validation.targets is not None:
        return found, (mean, 0.0)
    right = sequence_scores(step, rows, carry=False)[np.arange(len(rows)), validation.labels]
    return found, (mean, float(np.log(right + 1e-9).mean()))


def _measure(
    architecture: Architecture, weights: Arrays, material: Material
) -> dict[str, float]:
    step = FloatModel.build(architecture, weights)
    frontend = make_frontend(architecture.frontend)
    metrics: dict[str, float] = {}
    for split in ("validation", "test"):
        chosen = material.held_out.of_split(split)
        if len(chosen):
            found = measure(architecture, step, [frontend.features(r) for r in chosen], chosen)
            metrics |= {f"{split}_float_{name}": value for name, value in found.items()}
    return metrics


def _write_history(path: Path, history: list[Epoch]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, Epoch.__annotations__)
        writer.writeheader()
        writer.writerows(vars(epoch) for epoch in history)


def refuse_existing(out: Path, overwrite: bool) -> None:
    """Fail before the work, not after it, where a run cannot be written.

    Raises
    ------
    OutputError
        If `out` is there, and not to be replaced or no run folder.
    """
    if out.exists() and not overwrite:
        raise OutputError(f"{out} is there already; training does not write over it. Choose "
                          "another --out, or pass --overwrite")
    if out.exists() and not (out / "config.yaml").exists() and \
            not (out.is_dir() and not any(out.iterdir())):
        raise OutputError(f"{out} is no run folder (it has no config.yaml), so --overwrite does "
                          "not delete it. Choose another --out")


@contextlib.contextmanager
def run_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """A temporary folder beside `out`, renamed to it if the block ends well."""
    refuse_existing(out, overwrite)
    temporary = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o777 & ~mask)  # mkdtemp lets only the owner in
        if out.exists():
            shutil.rmtree(out)
        temporary.rename(out)
    except OSError as problem:
        raise OutputError(f"{out} cannot be written: {problem.strerror or problem}. "
                          "Choose another place, or make room there") from problem
    finally:
        if temporary is not None and temporary.exists():
            shutil.rmtree(temporary, ignore_errors=True)
