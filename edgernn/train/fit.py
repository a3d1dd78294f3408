"""Training: from a data set to a run folder."""

import contextlib
import csv
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ConfigError, DataError, OutputError
from edgernn.frontend import make_frontend
from edgernn.frontend.logmel import LogMel
from edgernn.frontend.standardize import Standardize
from edgernn.frontend.standardize import fit as standardize
from edgernn.frontend.tokens import Tokens
from edgernn.spec import DetectorSpec, FrontendSpec, LogMelSpec, StandardizeSpec, TokenSpec
from edgernn.train import models
from edgernn.train.architecture import Architecture
from edgernn.train.batches import batches
from edgernn.train.config import TrainConfig
from edgernn.train.dataset import AudioSet, DataSet, Samples, SensorSet, TextSet
from edgernn.train.lessons import OTHER, ClipTeacher, RowTeacher, SceneTeacher, Teacher, rows_of
from edgernn.train.losses import loss
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


@dataclass(frozen=True)
class Material:
    """A data set made ready to be learned."""

    labels: tuple[str, ...]
    frontend: FrontendSpec
    teacher: Teacher
    held_out: Sequences
    """Validation and test sequences as frontend rows."""
    vocabulary: int = 0
    """Tokens there are, if rows are tokens."""
    units: tuple[float, float] = (0.0, 1.0)
    """Mean and standard deviation of the numbers asked for."""


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


def prepare(
    config: TrainConfig, data: DataSet, negatives: tuple[Samples, ...] = ()
) -> Material:
    """Choose the frontend and who teaches, and turn held-out data into frontend rows.

    Raises
    ------
    ConfigError
        If the settings do not go with the data.
    DataError
        If the data marks nothing for training, or nothing for validation that is needed.
    """
    split = np.array([r.split for r in data.recordings]) if isinstance(data, AudioSet) else \
        data.sequences.split if isinstance(data, SensorSet) else data.split
    if "train" not in split:
        raise DataError(f"all {len(split)} sequences are held out; some marked train were needed. "
                        "Mark them in the data's split column")
    if config.early_stopping and "validation" not in split:
        raise DataError("no sequence is marked validation; early stopping needs some. "
                        "Mark them in the data's split column, or use --no-early-stopping")
    if not config.early_stopping:
        split = np.where(split == "validation", "train", split)
    if isinstance(data, SensorSet):
        return _sensor(config, data, split)
    if isinstance(data, TextSet):
        return _text(config, data, split)
    return _audio(config, data, split, negatives)


def _sensor(config: TrainConfig, data: SensorSet, split: NDArray[np.str_]) -> Material:
    if config.task == "spot":
        raise ConfigError("task is spot, and the data holds sensor sequences; recordings were "
                          "needed. Use --task classify")
    own = replace(data.sequences, split=split.astype("U10"))
    labels = data.labels
    if config.task == "next":
        labels, spec = _columns(data), StandardizeSpec((0.0,) * own.rows.shape[1],
                                                       (1.0,) * own.rows.shape[1],
                                                       data.columns, data.rate_hz)
        own = replace(own, targets=_following(own))
    else:
        spec = standardize(own.of_split("train").rows, data.columns, data.rate_hz)
        _check_targets(config.task, own.targets)
    frontend = Standardize(spec)
    every = replace(own, rows=frontend.whole(own.rows))
    train = every.of_split("train")
    units = (0.0, 1.0)
    if config.task == "regress":
        assert train.targets is not None
        units = float(np.nanmean(train.targets)), float(np.nanstd(train.targets)) or 1.0
    return Material(labels, spec, RowTeacher(config, frontend, train),
                    every.where(split != "train"), units=units)


TARGETS = {"label": "a label on every row", "regress": "a number on every row"}


def _check_targets(task: str, targets: NDArray[Any] | None) -> None:
    """Whether the data says what the task asks.

    Raises
    ------
    ConfigError
    """
    has = "classify" if targets is None else "label" if targets.ndim == 1 else "regress"
    if has != task:
        raise ConfigError(f"task is {task}, which needs {TARGETS.get(task, 'a label per sequence')}"
                          f"; the data has {TARGETS.get(has, 'a label per sequence')}. "
                          f"Use --task {has}, or add what is missing")


def _columns(data: SensorSet) -> tuple[str, ...]:
    """Names of what a next frame may have in it.

    Raises
    ------
    DataError
        If rows are anything but zeros and ones.
    """
    rows = data.sequences.rows
    if not np.isin(rows, (0, 1)).all():
        bad = rows[~np.isin(rows, (0, 1))][0]
        raise DataError(f"task is next, and a row holds {bad:g}; rows of zeros and ones were "
                        "needed, such as which notes sound. Use --task regress for numbers")
    return data.columns or tuple(f"column{i}" for i in range(rows.shape[1]))


def _following(sequences: Sequences) -> NDArray[np.float32]:
    """The row after each row; NaN after a sequence's last."""
    targets = np.full(sequences.rows.shape, np.nan, np.float32)
    targets[:-1] = sequences.rows[1:]
    targets[sequences.ends - 1] = np.nan
    return targets


def _text(config: TrainConfig, data: TextSet, split: NDArray[np.str_]) -> Material:
    if config.task not in ("classify", "label", "next"):
        raise ConfigError(f"task is {config.task}, and the data holds texts; classify, label or "
                          "next was needed")
    train = [text for text, part in zip(data.texts, split, strict=True) if part == "train"]
    spec = vocabulary(config, train)
    frontend = Tokens(spec)
    rows = [frontend.whole(text) for text in data.texts]
    lengths = np.array([len(r) for r in rows], np.int64)
    labels, targets = data.labels, None
    if config.task == "next":
        labels = (END, "unknown", *spec.vocabulary)
        targets = np.concatenate([np.append(r[1:, 0], 0) for r in rows]).astype(np.int64)
    else:
        _check_targets(config.task, data.tags[0] if data.tags else None)
        targets = np.concatenate(data.tags) if data.tags else None
    every = Sequences(np.concatenate(rows), lengths, data.codes, split.astype("U10"), targets)
    every = every.where(lengths > 0)
    return Material(labels, spec, RowTeacher(config, frontend, every.of_split("train")),
                    every.where(every.split != "train"), frontend.vocabulary)


END = "end"
"""Label 0 of a model of texts that says what comes next: nothing."""


def vocabulary(config: TrainConfig, texts: Iterable[str | tuple[str, ...]]) -> TokenSpec:
    """The frontend whose vocabulary are the units that come often enough, commonest first."""
    bare = Tokens(TokenSpec((), config.unit))
    counts = Counter(unit for text in texts
                     for unit in (bare.split(text) if isinstance(text, str) else text))
    known = sorted((u for u, n in counts.items() if n >= config.least_count),
                   key=lambda u: (-counts[u], u))
    return TokenSpec(tuple(known), config.unit, config.ngrams,
                     config.buckets if config.ngrams > 1 else 0)


def _audio(
    config: TrainConfig, data: AudioSet, split: NDArray[np.str_], negatives: tuple[Samples, ...]
) -> Material:
    if data.sample_rate_hz != config.sample_rate_hz:
        raise ConfigError(f"the recordings were read at {data.sample_rate_hz} Hz and the model's "
                          f"sample_rate_hz is {config.sample_rate_hz}; read them at that rate")
    labels = _labels(config, data)
    codes = np.array([labels.index(r.label) if r.label in labels else 0
                      for r in data.recordings], np.int64)
    spec = LogMelSpec(config.sample_rate_hz, config.window_ms, config.hop_ms, config.mels,
                      config.low_hz, config.mel_high_hz)
    frontend = LogMel(spec)
    held = [(name, i) for name in ("validation", "test") for i in np.flatnonzero(split == name)]
    rows = [frontend.whole(data.samples[i]) for _, i in held]
    held_out = rows_of(rows or [np.empty((0, config.mels), np.int16)],
                       codes[[i for _, i in held]] if held else np.zeros(1, np.int64), "")
    held_out = Sequences(held_out.rows, held_out.lengths, held_out.labels,
                         np.array([name for name, _ in held] or [""], "U10"))
    train = np.flatnonzero(split == "train")
    clips, own = tuple(data.samples[i] for i in train), codes[train]
    teacher: Teacher
    if config.task == "spot":
        if not own.any():
            raise DataError(f"no training recording is one of {', '.join(labels[1:])}; some were "
                            "needed to spot them")
        teacher = SceneTeacher(config, frontend, clips, own, data.noises, negatives)
    else:
        teacher = ClipTeacher(config, frontend, clips, own, data.noises)
    return Material(labels, spec, teacher, held_out.where(held_out.lengths > 0))


def _labels(config: TrainConfig, data: AudioSet) -> tuple[str, ...]:
    """A classifier's labels are the data's; a spotter's are `OTHER`, then its keywords."""
    if config.task == "classify":
        return data.labels
    missing = [word for word in config.keywords if word not in data.labels]
    if missing:
        raise ConfigError(f"the keyword {missing[0]!r} is no label of the data, which has "
                          f"{', '.join(data.labels)}. Choose among those")
    return (OTHER, *(config.keywords or (label for label in data.labels if label != OTHER)))


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
