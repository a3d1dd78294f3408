"""A data set made ready to be learned, whatever it holds and is asked."""

import functools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ConfigError, DataError
from edgernn.frontend import AudioFrontend
from edgernn.frontend.logmel import LogMel
from edgernn.frontend.microfrontend import Microfrontend
from edgernn.frontend.standardize import Standardize
from edgernn.frontend.standardize import fit as standardize
from edgernn.frontend.tokens import Tokens
from edgernn.spec import (
    FrontendSpec,
    LogMelSpec,
    MicrofrontendSpec,
    StandardizeSpec,
    TokenSpec,
)
from edgernn.train.config import TrainConfig
from edgernn.train.dataset import AudioSet, DataSet, Samples, SensorSet, TextSet
from edgernn.train.lessons import OTHER, ClipTeacher, RowTeacher, SceneTeacher, Teacher, rows_of
from edgernn.train.mix import WHOLE, Mix
from edgernn.train.scene_pool import ScenePool
from edgernn.train.sequences import Sequences, joined


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
    mix = Mix.of(config.mix, data.sources, np.flatnonzero(split == "train"))
    units = (0.0, 1.0)
    if config.task == "regress":
        assert train.targets is not None
        units = float(np.nanmean(train.targets)), float(np.nanstd(train.targets)) or 1.0
    return Material(labels, spec, RowTeacher(config, frontend, train, mix),
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
    mix = Mix.of(config.mix, data.sources, np.flatnonzero((split == "train") & (lengths > 0)))
    return Material(labels, spec, RowTeacher(config, frontend, every.of_split("train"), mix),
                    every.where(every.split != "train"), spec.numbers)


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
    codes = np.array([labels.index(config.merge or r.label) if (config.merge or r.label) in labels
                      else 0 for r in data.recordings], np.int64)
    frontend = _ear(config)
    spec = frontend.spec
    if config.task == "label":
        return _scenes(config, data, split, labels, codes, frontend, negatives)
    train = np.flatnonzero(split == "train")
    clips, own = tuple(data.samples[i] for i in train), codes[train]
    mix = Mix.of(config.mix, data.sources, train)
    teacher: Teacher
    if config.task == "spot":
        if not own.any():
            raise DataError(f"no training recording is one of {', '.join(labels[1:])}; some were "
                            "needed to spot them")
        scenes = SceneTeacher(config, frontend, clips, own, data.noises, negatives, mix=mix)
        teacher = ScenePool.of(scenes) if config.pool else scenes
    else:
        teacher = ClipTeacher(config, frontend, clips, own, data.noises, mix)
    return Material(labels, spec, teacher, _held_out(config, data, split, codes, frontend))


def _ear(config: TrainConfig) -> AudioFrontend:
    """The audio frontend of a config."""
    if config.frontend == "logmel":
        return LogMel(LogMelSpec(config.sample_rate_hz, config.window_ms, config.hop_ms,
                                 config.mels, config.low_hz, config.mel_high_hz))
    spec = MicrofrontendSpec()
    if (config.sample_rate_hz, config.mels) != (spec.sample_rate_hz, spec.mels):
        raise ConfigError(f"the microfrontend hears {spec.mels} mels at {spec.sample_rate_hz} Hz; "
                          f"{config.mels} at {config.sample_rate_hz} Hz were asked for. Leave mels "
                          "and sample_rate_hz as they are")
    return Microfrontend(spec)


def _held_out(config: TrainConfig, data: AudioSet, split: NDArray[np.str_],
              codes: NDArray[np.int64], frontend: AudioFrontend) -> Sequences:
    """Validation and test recordings as they are."""
    held = [(name, i) for name in ("validation", "test") for i in np.flatnonzero(split == name)]
    rows = [frontend.whole(data.samples[i]) for _, i in held]
    found = rows_of(rows or [np.empty((0, config.mels), np.int16)],
                    codes[[i for _, i in held]] if held else np.zeros(1, np.int64), "")
    found = replace(found, split=np.array([name for name, _ in held] or [""], "U10"))
    return found.where(found.lengths > 0)


HELD_SCENES = 60
"""Scenes that a split is measured on where every frame has a label."""
HELD_NOISE = 0.2
"""Share of each recording of noise that is kept for them."""


def _scenes(config: TrainConfig, data: AudioSet, split: NDArray[np.str_], labels: tuple[str, ...],
            codes: NDArray[np.int64], frontend: AudioFrontend,
            negatives: tuple[Samples, ...]) -> Material:
    """Scenes of clips, long recordings and noise, none of it both trained on and measured on."""
    other = labels.index(config.merge) if config.merge else 0

    def share(sounds: tuple[Samples, ...], held: bool) -> tuple[Samples, ...]:
        cuts = [int(len(sound) * (1 - HELD_NOISE)) for sound in sounds]
        return tuple(sound[cut:] if held else sound[:cut]
                     for sound, cut in zip(sounds, cuts, strict=True))

    def teacher(part: str) -> SceneTeacher:
        chosen, held = np.flatnonzero(split == part), part != "train"
        # Speech is told by who speaks: the last recordings, not the ends of all.
        cut = int(len(negatives) * (1 - HELD_NOISE))
        said = negatives[cut:] if held else negatives[:cut]
        return SceneTeacher(config, frontend, tuple(data.samples[i] for i in chosen),
                            codes[chosen], share(data.noises, held), said, other,
                            WHOLE if held else Mix.of(config.mix, data.sources, chosen))

    held = [teacher(part).held_out(HELD_SCENES, part) for part in ("validation", "test")
            if part in split]
    empty = replace(rows_of([np.empty((0, config.mels), np.int16)], np.zeros(1, np.int64), ""),
                    targets=np.zeros(0, np.int64)).where(np.zeros(1, bool))
    return Material(labels, frontend.spec, teacher("train"), functools.reduce(joined, held, empty))


def _labels(config: TrainConfig, data: AudioSet) -> tuple[str, ...]:
    """A classifier's labels are the data's; others' are `OTHER`, then those listened for."""
    if config.task == "classify":
        return data.labels
    if config.task not in ("spot", "label"):
        raise ConfigError(f"task is {config.task}, and the data holds recordings; classify, spot "
                          "or label was needed")
    if config.merge and config.task == "label":
        return (OTHER, config.merge)
    missing = [word for word in config.keywords if word not in data.labels]
    if missing:
        raise ConfigError(f"the keyword {missing[0]!r} is no label of the data, which has "
                          f"{', '.join(data.labels)}. Choose among those")
    return (OTHER, *(config.keywords or (label for label in data.labels if label != OTHER)))
