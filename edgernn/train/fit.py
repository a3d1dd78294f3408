"""Training: from a data set to a run folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgernn.frontend import make_frontend
from edgernn.spec import DetectorSpec
from edgernn.train import models
from edgernn.train.architecture import Architecture
from edgernn.train.checkpoint import origin
from edgernn.train.config import TrainConfig
from edgernn.train.dataset import DataSet, Samples
from edgernn.train.folder import Unfinished, making, record
from edgernn.train.loop import Epoch, Judge, Loop
from edgernn.train.material import Material, prepare
from edgernn.train.measure import METRICS, measure
from edgernn.train.reference import FloatModel
from edgernn.train.resume import run
from edgernn.train.sequences import Sequences, joined
from edgernn.train.stepper import sequence_scores
from edgernn.train.workers import ALONE, Workers, refuse

CALIBRATION_SEQUENCES = 2000
"""Training sequences kept in sequences.npz, to calibrate on."""
Arrays = dict[str, NDArray[np.float32]]
Progress = Callable[[Epoch], None]


def fit(
    config: TrainConfig, data: DataSet, out: Path,
    progress: Progress = lambda epoch: None, overwrite: bool = False,
    negatives: tuple[Samples, ...] = (), workers: Workers = ALONE,
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
        Until then `edgernn.train.folder.Unfinished` is beside it; a run that was stopped
        goes on from there if it is called again, and ends with the same weights.
    progress : callable
        Told of each epoch, and of the last one before if the run goes on.
    overwrite : bool
        Replace `out` if it is there, and an unfinished run that was another one.
    negatives : tuple of int16 arrays
        Long recordings of speech without keywords, for the task `spot`.
    workers : Workers
        Who learns together.  All but the chief write nothing and return `epochs` alone.

    Returns
    -------
    dict
        metrics.json: accuracies 0 to 1 as `test_float_reset`, `test_float_carry`,
        `validation_...`, and `epochs`, `best_epoch`, `parameters`.

    Raises
    ------
    ConfigError, DataError, OutputError
    """
    if workers.strategy is not None:
        refuse(config)
    with workers.place(out, overwrite) as place:
        return _fit(config, prepare(config, data, negatives), place, progress, overwrite, workers)


def teach(
    config: TrainConfig, material: Material, out: Path,
    progress: Progress = lambda epoch: None, overwrite: bool = False,
    start: Arrays | None = None,
) -> dict[str, float]:
    """Train on lessons of one's own making, where `fit` makes them from a data set.

    Parameters, result and errors are those of `fit`; `material` is what `prepare` gives, and
    `start` the weights to go on from, as weights.npz of a run of the same network holds them.
    """
    with making(out, overwrite) as place:
        return _fit(config, material, place, progress, overwrite, start=start)


def _fit(
    config: TrainConfig, material: Material, place: Unfinished, progress: Progress,
    overwrite: bool, workers: Workers = ALONE, start: Arrays | None = None,
) -> dict[str, float]:
    features = material.frontend.width
    stack = models.layers(config, len(material.labels), features, material.vocabulary)
    architecture = Architecture(features, material.labels, material.frontend, stack,
                                _detector(config, material.labels), config.task)
    validation = material.held_out.of_split("validation")

    def judge(weights: Arrays) -> tuple[dict[str, float], tuple[float, float]]:
        return _streaming(architecture, weights, validation)

    loop = learn(config, material, architecture, place, progress, overwrite,
                 judge if config.early_stopping else None, workers, start)
    if not workers.chief:
        return {"epochs": len(loop.history), "best_epoch": loop.best.epoch}
    model, folder = loop.finish(), place.run
    weights = models.arrays(model, stack)
    metrics = _measure(architecture, weights, material) | {
        "epochs": len(loop.history), "best_epoch": loop.best.epoch,
        "parameters": sum(w.size for w in weights.values())}
    record(folder, config, metrics, loop.history)
    (folder / "architecture.json").write_text(architecture.to_json(), encoding="utf-8")
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


def learn(
    config: TrainConfig, material: Material, architecture: Architecture, place: Unfinished,
    progress: Progress, overwrite: bool, judge: Judge | None,
    workers: Workers = ALONE, start: Arrays | None = None,
) -> Loop:
    """Train, from the last checkpoint of the same run if there is one, else from `start`.

    Without a `judge` all epochs are trained, and the last one's weights are kept.
    """
    loop = Loop(config, architecture, material, judge, start, workers=workers)
    known = origin(config, architecture, loop.lessons, material.held_out, start)
    every = config.checkpoint_epochs if workers.chief else 0
    with workers.together():
        run(loop, known, place, progress, overwrite, every)
    return loop


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
