"""A trained run made one voice's own: its last layers learn on from a few of that voice's clips.

Layers near the input hear speech, those near the output decide: a few clips move the last ones
alone.  So that the model does not forget everybody else, every epoch also rehearses the training
sequences that the run keeps: a classifier's with their labels, a spotter's with the answers that it
gave before (Li and Hoiem 2016, arXiv 1606.09282).
What it does for clips it has not learned is found by folds: each clip is judged by a model that
learned from the others.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ConfigError, DataError
from edgernn.frontend import make_frontend
from edgernn.spec import LogMelSpec
from edgernn.train import folder, models
from edgernn.train.architecture import Architecture
from edgernn.train.batches import Lesson
from edgernn.train.calibrate import calibrate
from edgernn.train.config import TrainConfig, load
from edgernn.train.dataset import AudioSet, Samples, Tell
from edgernn.train.emulated import EmulatedModel
from edgernn.train.fit import Arrays
from edgernn.train.lessons import ClipTeacher, SceneTeacher, Teacher, asked, rows_of
from edgernn.train.loop import Epoch, Loop
from edgernn.train.material import Material
from edgernn.train.network import Network, read_arrays
from edgernn.train.paired import mcnemar
from edgernn.train.predictions import predictions
from edgernn.train.profile import get_profile
from edgernn.train.reference import FloatModel
from edgernn.train.sequences import Sequences, calibration_rows, joined, load_sequences
from edgernn.train.stepper import all_scores

TASKS = ("classify", "spot")
PASSES = 4
"""Times an epoch meets each of the few clips, always a little changed."""
REHEARSED = 3
"""Sequences of the run's own for each of those."""
SURE = 0.9
"""A spotter's frame is rehearsed where it was as sure of a label as that."""
STATES = ("reset", "carried")


@dataclass(frozen=True)
class Settings:
    """How to learn a voice."""

    profile: str = "int8x16"
    """In which integers before and after are measured."""
    layers: int = 2
    """Last layers that learn; those before stay as they are."""
    epochs: int = 20
    learning_rate: float = 5e-4
    """Of Adam at the start; a cosine takes it to 5 %."""
    folds: int = 5
    """Parts the clips are dealt to; each is judged by a model that learned from the others."""
    seed: int = 0


@dataclass(frozen=True)
class _Run:
    """What a run folder holds, opened."""

    config: TrainConfig
    architecture: Architecture
    arrays: Arrays
    sequences: Sequences

    @classmethod
    def open(cls, run: Path, settings: Settings) -> "_Run":
        sample_rate(run)
        network = Network.load(run)
        own = network.architecture
        if own.task not in TASKS or network.contexts:
            raise ConfigError(f"{run} is a run of task {own.task}; one of task "
                              f"{' or '.join(TASKS)} was needed. Personalize another")
        if settings.layers > len(own.layers):
            raise ConfigError(f"--layers is {settings.layers}, and {run} has {len(own.layers)} "
                              "layers. Name that many or fewer")
        if not (run / "config.yaml").exists():
            raise ConfigError(f"{run} has no config.yaml; a run folder of `edgernn train` was "
                              "needed. Train first: edgernn train DATA --out run/")
        config = dataclasses.replace(
            load(run / "config.yaml"), epochs=settings.epochs, tbptt=0, carry=0.0, mix=(),
            learning_rate=settings.learning_rate, early_stopping=False, passes=PASSES,
            class_weights=(), seed=settings.seed)
        return cls(config, own, read_arrays(run), load_sequences(run, own.features))


@dataclass(frozen=True)
class _Rehearsed:
    """Lessons of one voice, and among them some of what was learned before."""

    own: Teacher
    before: Sequence[Lesson]

    def lessons(self, rng: np.random.Generator) -> list[Lesson]:
        """See `Teacher.lessons`."""
        made = self.own.lessons(rng)
        count = min(len(self.before), REHEARSED * len(made))
        chosen = rng.choice(len(self.before), count, replace=False)
        return made + [self.before[int(i)] for i in chosen]

    def calibration(self, most: int) -> Sequences:
        """See `Teacher.calibration`."""
        return self.own.calibration(most)


class Personalizer:
    """Learns some clips on top of a run, any number of times."""

    def __init__(self, run: Path, clips: AudioSet, settings: Settings,
                 noises: tuple[Samples, ...] = ()) -> None:
        self.settings = settings
        self._noises = noises or clips.noises
        self.run = _Run.open(run, settings)
        self.frontend: Any = make_frontend(self.run.architecture.frontend)  # of audio
        self.clips = clips
        self.codes = _codes(self.run.architecture, clips)
        self._before = self._rehearsal()

    def learned(self, chosen: NDArray[np.int64],
                progress: Callable[[Epoch], None] = lambda epoch: None) -> Arrays:
        """The run's weights after learning the chosen clips."""
        own = self.run.architecture
        teacher = _Rehearsed(self._teacher(chosen), self._before)
        nothing = self.run.sequences.where(np.zeros(len(self.run.sequences), bool))
        material = Material(own.labels, own.frontend, teacher, nothing)
        loop = Loop(self.run.config, own, material, None, self.run.arrays, self.settings.layers)
        while not loop.done:
            progress(loop.epoch())
        return models.arrays(loop.finish(), own.layers)

    def heard(self) -> Sequences:
        """The clips as frontend rows, as they are."""
        return rows_of([self.frontend.whole(samples) for samples in self.clips.samples], self.codes,
                       "validation")

    def right(self, arrays: Arrays, truth: Sequences) -> dict[str, NDArray[np.bool_]]:
        """Which sequences the integer step answers rightly, `reset` and `carried`."""
        own = self.run.architecture
        network = Network.build(own, arrays)
        rows = [self.frontend.features(rows) for rows in calibration_rows(self.run.sequences)]
        model = EmulatedModel.of(network, calibrate(network, rows),
                                 get_profile(self.settings.profile))
        given = [model.encode(rows) for rows in truth]
        return {name: predictions(own, model, given, name == "carried") == truth.labels
                for name in STATES}

    def _teacher(self, chosen: NDArray[np.int64]) -> Teacher:
        samples = tuple(self.clips.samples[i] for i in chosen)
        if self.run.architecture.task == "classify":
            return ClipTeacher(self.run.config, self.frontend, samples, self.codes[chosen],
                               self._noises)
        config = dataclasses.replace(self.run.config, scenes=max(40, PASSES * len(chosen)))
        return SceneTeacher(config, self.frontend, samples, self.codes[chosen], self._noises)

    def _rehearsal(self) -> list[Lesson]:
        """What the run learned from: see this module's beginning."""
        kept = self.run.sequences.of_split("train")
        features = [self.frontend.features(rows) for rows in kept]
        if self.run.architecture.task == "classify":
            cuts = kept.ends[:-1]
            targets, weights = (np.split(one, cuts) for one in asked(kept))
        else:
            model = FloatModel.build(self.run.architecture, self.run.arrays)
            scores = all_scores(model, features, carry=False)
            targets = [each.argmax(axis=1).astype(np.int64) for each in scores]
            weights = [(each.max(axis=1) >= SURE).astype(np.float32) for each in scores]
        return [Lesson(*parts) for parts in zip(features, targets, weights, strict=True)]


def personalize(
    run: Path, clips: AudioSet, out: Path, settings: Settings = Settings(),
    noises: tuple[Samples, ...] = (),
    progress: Callable[[int, int], None] = lambda done, total: None, overwrite: bool = False,
    tell: Tell = lambda message: None,
) -> dict[str, Any]:
    """Make a run folder whose model knows one voice better, and say how much better.

    Parameters
    ----------
    run : Path
        Folder written by `edgernn train`, of recordings; task classify or spot.
    clips : AudioSet
        A few clips of one voice, at the run's sample rate.  Labels the run does not listen for
        count as nothing said, if it is a spotter.
    out : Path
        Folder to make, for `edgernn quantize`.
    settings : Settings
    noises : tuple of int16 arrays
        Background to mix in; by default the clips' own _background_noise_.
    progress : callable
        Told epochs done, and how many there are, over all folds and the last training.
    overwrite : bool
        Whether to replace `out` if it is a run folder, other than `run`.
    tell : callable
        Told which clips count as nothing said.

    Returns
    -------
    dict
        personalize.json: ``own`` has the right answers before and after, by folds, of `of` clips,
        with the state reset and carried, and the exact McNemar chance ``p`` of the carried ones;
        ``others`` the same of the run's held-out sequences, if it keeps some.

    Raises
    ------
    ConfigError, DataError, ModelError, OutputError, QuantizeError
    """
    one = Personalizer(run, clips, settings, noises)
    listened = one.run.architecture.labels
    if unknown := sorted(set(clips.labels) - set(listened)):
        tell(f"{run} does not listen for {', '.join(unknown)}, but for {', '.join(listened[1:])}: "
             "what says that is learned as nothing said")
    folds = dealt(one.codes, settings.folds)
    done, total = 0, (len(folds) + 1) * settings.epochs

    def count(epoch: Epoch) -> None:
        nonlocal done
        done += 1
        progress(done, total)

    with folder.making(out, overwrite, [run]) as place:
        everything = np.arange(len(one.codes))
        heard = one.heard()
        before = one.right(one.run.arrays, heard)
        after = {name: np.zeros(len(heard), bool) for name in STATES}
        for fold in folds:
            arrays = one.learned(np.setdiff1d(everything, fold), count)
            # All clips are played, so that the carried state is that of `before`.
            found = one.right(arrays, heard)
            for name in STATES:
                after[name][fold] = found[name][fold]
        arrays = one.learned(everything, count)
        said = {**dataclasses.asdict(settings), "folds": len(folds), "own": _told(before, after)}
        truth = _others(one.run.sequences)
        if truth is not None:
            said["others"] = {"split": str(truth.split[0]), **_told(
                one.right(one.run.arrays, truth), one.right(arrays, truth))}
        _write(place.run, one, arrays, heard, said)
    return said


def sample_rate(run: Path) -> int:
    """Hertz that a run's recordings are heard at.

    Raises
    ------
    ConfigError
        If it does not hear recordings.
    """
    spec = Architecture.load(run / "architecture.json").frontend
    if not isinstance(spec, LogMelSpec):
        raise ConfigError(f"{run} is a run of {spec.kind}; one of recordings was needed. Train "
                          "it on more rows instead: edgernn train DATA MORE --out run/")
    return spec.sample_rate_hz


def dealt(codes: NDArray[np.int64], folds: int) -> list[NDArray[np.int64]]:
    """Clips dealt to so many parts, each label evenly; fewer parts if there are fewer clips.

    Raises
    ------
    DataError
        If there are fewer than two clips of a label: nothing would be left to learn it from.
    """
    if np.unique(codes, return_counts=True)[1].min() < 2:
        raise DataError("a label has one clip alone; two or more of each were needed, to learn "
                        "from some and judge by others. Record more: edgernn record")
    order = np.argsort(codes, kind="stable")
    parts = min(folds, len(codes))
    return [np.sort(order[part::parts]) for part in range(parts)]


def _codes(own: Architecture, clips: AudioSet) -> NDArray[np.int64]:
    """Index of each clip's label in the model.

    Raises
    ------
    DataError
        If a classifier has no such label, or no clip is a word that a spotter listens for.
    """
    unknown = [r for r in clips.recordings if r.label not in own.labels]
    if unknown and own.task == "classify":
        raise DataError(f"{unknown[0].path} is labelled {unknown[0].label!r}; one of "
                        f"{', '.join(own.labels)} was needed. Rename its folder")
    codes = np.array([own.labels.index(r.label) if r.label in own.labels else 0
                      for r in clips.recordings], np.int64)
    if own.task == "spot" and not codes.any():
        raise DataError(f"no clip is one of {', '.join(own.labels[1:])}; some were needed. Put "
                        "them into folders of these names")
    return codes


def _others(sequences: Sequences) -> Sequences | None:
    """Held-out people of the run: test before validation, by which epochs were chosen."""
    for split in ("test", "validation"):
        if split in sequences.split:
            return sequences.of_split(split)
    return None


def _told(before: Mapping[str, NDArray[np.bool_]], after: Mapping[str, NDArray[np.bool_]]
          ) -> dict[str, Any]:
    lost, gained, p = mcnemar(before["carried"].tolist(), after["carried"].tolist())
    return {"of": len(before["carried"]),
            "before": {name: int(found.sum()) for name, found in before.items()},
            "after": {name: int(found.sum()) for name, found in after.items()},
            "gained": gained, "lost": lost, "p": round(p, 6)}


def _write(out: Path, one: Personalizer, arrays: Arrays, heard: Sequences,
           said: dict[str, Any]) -> None:
    own = one.run
    (out / "config.yaml").write_text(own.config.to_yaml(), encoding="utf-8")
    (out / "architecture.json").write_text(own.architecture.to_json(), encoding="utf-8")
    with (out / "weights.npz").open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # keys are layer/array
    # The clips are calibrated on with the rest; what is held out stays the run's.
    learned = dataclasses.replace(heard, split=np.full(len(heard), "train", "U10"))
    joined(learned, own.sequences).save(out / "sequences.npz")
    metrics = {f"own_{when}_{name}": said["own"][when][name] / said["own"]["of"]
               for when in ("before", "after") for name in STATES}
    for name, tree in (("metrics.json", metrics), ("personalize.json", said)):
        (out / name).write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")
