"""All of `edgernn evaluate`: from folders and a model to figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgernn import bundle
from edgernn.errors import DataError, ModelError
from edgernn.spec import DetectorSpec, LogMelSpec
from edgernn.step import StepModel
from edgernn.train.answers import STATES, answers, heard_by
from edgernn.train.calibration import Calibrated, Heard, calibrate, harmless
from edgernn.train.dataset import AudioSet, DataSet, Samples, Tell, splits_of
from edgernn.train.endurance import AFTER_S, agreement, recovery, streamed
from edgernn.train.evaluate_report import of_all
from edgernn.train.evaluation import Outcome, of_words, words_in
from edgernn.train.features import FeatureCache
from edgernn.train.intervals import wilson_interval
from edgernn.train.negatives import STREAM_S, Alarms, alarms, streams, wakings
from edgernn.train.paired import binomial_p, mcnemar
from edgernn.train.positives import Tried, Words, heard, outcomes
from edgernn.train.protocols import mlperf, picovoice
from edgernn.train.readers import read
from edgernn.train.readers.audio import read_sounds
from edgernn.train.spotting import LATE_S
from edgernn.train.spread import HERE, Spread

Progress = Callable[[int, int], None]
GRID = tuple(round(0.05 * i, 2) for i in range(2, 20))
"""Thresholds that are tried."""


@dataclass(frozen=True)
class Materials:
    """What is heard."""

    positives: Path
    negatives: tuple[Path, ...] = ()
    noise: tuple[Path, ...] = ()
    snrs_db: tuple[float, ...] = (10.0,)
    split: str = "test"
    seed: int = 0


@dataclass(frozen=True)
class Beside:
    """What else is asked of an evaluation."""

    run: Path | None = None
    """Folder that the model was quantized from: what float says."""
    against: Path | None = None
    """Another model on the same audio."""
    hours: float = 0.0
    """Of words and negatives in a row, to see whether a carried state drifts."""


@dataclass(frozen=True)
class Means:
    """By what it is heard, and who is told meanwhile."""

    backend: str = "auto"
    """The interpreter."""
    cache: FeatureCache | None = None
    """Where features of the recordings are kept."""
    spread: Spread = HERE
    """Where words and negatives are heard."""
    tell: Tell = lambda message: None
    progress: Progress = lambda done, total: None

    def outcomes(self, model: Path, labels: Sequence[str], conditions: dict[str, Words],
                 states: Sequence[str], thresholds: Sequence[float] = ()
                 ) -> dict[tuple[str, str], Tried]:
        """What a model misses of words; see `edgernn.train.positives`."""
        return outcomes(model, labels, conditions, states, thresholds, self.backend, self.spread,
                        self.progress)

    def alarms(self, model: Path, labels: Sequence[str], negatives: Sequence[Path],
               thresholds: Sequence[float] = ()) -> Alarms:
        """What a model takes for one of the labels; see `edgernn.train.negatives`."""
        return alarms(model, labels, negatives, thresholds, self.backend, self.spread, self.tell,
                      self.progress)


def evaluate(path: Path, materials: Materials, beside: Beside = Beside(),
             means: Means = Means()) -> dict[str, Any]:
    """Hear everything once, carried and reset; try every threshold on what was kept.

    Returns
    -------
    dict
        ``judged``: how many of what was given, and whether its reader chose them.
        ``answers`` to whole sequences (`edgernn.train.answers`), or None and ``unanswered``, why a
        model that detects words was not asked.  Of a model that detects words
        also ``words`` by condition and state, ``negatives``, ``thresholds`` that were tried,
        ``picovoice`` and ``mlperf`` (`edgernn.train.protocols`), and
        ``read_at``, the condition whose misses these were tried on: the last in noise, or clean.
        ``against`` and ``drift`` where they were asked for.

    Raises
    ------
    ModelError
        If the model's task is none that is evaluated here.
    DataError
        If there is no data of the model's kind and labels.
    """
    opened = bundle.read(path)
    frontend = opened.spec.frontend
    rate = getattr(frontend, "sample_rate_hz", 16000)
    data = read(materials.positives, sample_rate_hz=rate, seed=materials.seed, tell=means.tell)
    model = StepModel.load(opened, means.backend)
    tree: dict[str, Any] = {"model": str(path), "sha256": opened.spec.model_sha256,
                            "backend": model.runtime.name, "split": materials.split,
                            "judged": _judged(data, materials.split)}
    detects = isinstance(frontend, LogMelSpec) and opened.spec.detector is not None and \
        bool(opened.spec.detector.thresholds)
    if not detects and (materials.negatives or materials.noise or beside.against or beside.hours):
        raise ModelError("the model detects no words in audio; one that does was needed for "
                         "--negatives, --noise, --against and --drift-hours. Leave them out")
    tree |= {"answers": None, "unanswered": ""}
    try:
        tree["answers"] = answers(
            model, heard_by(opened.spec, data, materials.split, means.cache), beside.run)
    except (DataError, ModelError) as problem:
        if not detects or beside.run:
            raise
        # A model that detects is judged by that; why it was asked nothing else is told.
        tree["unanswered"] = str(problem)
    return tree | _detected(model, path, data, materials, beside, means) if detects else tree


def _detected(model: StepModel, path: Path, data: DataSet, materials: Materials, beside: Beside,
              means: Means) -> dict[str, Any]:
    """All that is found in continuous audio."""
    ear = _Ear.of(model)
    words = _recordings(data, materials)
    # A few streams of words by themselves are not worth the start of a cluster.
    means = replace(means, spread=means.spread.settled(len(streams(materials.negatives, STREAM_S))))
    # Refused, if they are, before hours are heard.
    talk = _talk(materials, ear.rate_hz) if beside.hours else ()
    shared = _shared(ear, beside.against, means) if beside.against else []
    read_sounds(materials.noise, ear.rate_hz, means.tell)  # jobs leave out what is told of here
    conditions = _conditions(words, tuple(ear.spec.thresholds), materials)
    tried = means.outcomes(path, tuple(ear.spec.thresholds), conditions, STATES, GRID)
    labels, speakers = zip(*((clip.label, clip.speaker) for clip, _ in of_words(
        words, tuple(ear.spec.thresholds), materials.split)), strict=True)
    read_at = list(conditions)[-1]
    tree: dict[str, Any] = {
        "words": [{"condition": condition, "state": state, **_words(each.own, labels, speakers)}
                  for (condition, state), each in tried.items()],
        "read_at": read_at, "negatives": None, "thresholds": [], "picovoice": None, "mlperf": None,
        "tolerance_s": LATE_S}
    if materials.negatives:
        found = means.alarms(path, tuple(ear.spec.thresholds), materials.negatives, GRID)
        tree["negatives"] = _alarms(found.own)
        tree["thresholds"] = [
            {"threshold": threshold, "miss_rate": round(words_at.missed / words_at.said, 5),
             "missed": words_at.missed, **_alarms(others)}
            for threshold, words_at, others in zip(GRID, tried[read_at, "carried"].at, found.at,
                                                   strict=True)]
        tree["picovoice"] = picovoice(tree["thresholds"], read_at)
        tree["mlperf"] = mlperf(tree["words"], found.own.false_alarms)
    if beside.against:
        tree["against"] = _against(shared, path, beside.against, means, words, materials)
    if beside.hours:
        tree["drift"] = _drift(ear, words, talk, materials, beside.hours)
    return tree


@dataclass(frozen=True)
class _Ear:
    """A model that detects words, and how."""

    model: StepModel
    spec: DetectorSpec
    rate_hz: int
    step_ms: float

    @classmethod
    def of(cls, model: StepModel) -> "_Ear":
        detector, frontend = model.spec.detector, model.spec.frontend
        if not isinstance(frontend, LogMelSpec) or not detector or not detector.thresholds:
            raise ModelError("the model detects no words in audio; one that does was needed. "
                             "Train it with --task spot")
        return cls(model, detector, frontend.sample_rate_hz, float(frontend.hop_ms))


def _against(labels: list[str], own: Path, path: Path, means: Means, words: AudioSet,
             materials: Materials) -> dict[str, Any]:
    """Another model on the same audio, by the words that both listen for."""
    conditions = _conditions(words, labels, materials)
    both = [means.outcomes(one, labels, conditions, ("carried",)) for one in (own, path)]
    found: dict[str, Any] = {"model": str(path), "labels": labels, "words": [], "negatives": None}
    for key in both[0]:
        a, b = (each[key].own for each in both)
        mine, its, p = mcnemar(a.found, b.found)
        found["words"].append({"condition": key[0], "said": a.said, "missed": a.missed,
                               "missed_by_other": b.missed, "found_alone": mine,
                               "found_by_other_alone": its, "p": round(p, 5)})
    if materials.negatives:
        a, b = (means.alarms(one, labels, materials.negatives).own for one in (own, path))
        found["negatives"] = {
            "hours": round(a.seconds / 3600, 4), "false_alarms": a.false_alarms,
            "false_alarms_of_other": b.false_alarms,
            "p": round(binomial_p(a.false_alarms, a.false_alarms + b.false_alarms), 5)}
    return found


def _shared(ear: _Ear, path: Path, means: Means) -> list[str]:
    """The words that another model listens for too."""
    other = _Ear.of(StepModel.load(bundle.read(path), means.backend))
    labels = [label for label in ear.spec.thresholds if label in other.spec.thresholds]
    if not labels or other.rate_hz != ear.rate_hz:
        raise ModelError(f"{path} listens for {', '.join(other.spec.thresholds)} at "
                         f"{other.rate_hz} Hz; some of {', '.join(ear.spec.thresholds)} at "
                         f"{ear.rate_hz} Hz was needed")
    return labels


def _talk(materials: Materials, rate_hz: int) -> tuple[Samples, ...]:
    """What drift is heard in, besides words."""
    talk = read_sounds(materials.negatives, rate_hz)
    seconds = sum(map(len, talk)) / rate_hz
    if seconds < AFTER_S:
        raise DataError(f"drift is heard in words and what is said besides; {AFTER_S:g} s of "
                        f"--negatives were needed, and there are {seconds:.1f} that can be used. "
                        "Give longer ones")
    return talk


def _drift(ear: _Ear, words: AudioSet, talk: Sequence[Samples], materials: Materials,
           hours: float) -> dict[str, Any]:
    noises = read_sounds(materials.noise, ear.rate_hz)
    rng = np.random.default_rng(materials.seed)
    together = np.concatenate(noises) if noises else None
    pieces = [*words_in(words, tuple(ear.spec.thresholds), materials.split, together,
                        min(materials.snrs_db), rng), *((sound, ()) for sound in talk)]
    carried, reset = streamed(ear.model, pieces, hours, rng)
    return {"hours": hours, "parts": agreement(carried, reset),
            "recovery": recovery(ear.model, talk, rng)}


def calibrated(path: Path, materials: Materials, per_hour: float, means: Means = Means()
               ) -> Calibrated:
    """The detector for a wanted rate of false alarms; errors as of `evaluate`."""
    ear = _Ear.of(StepModel.load(bundle.read(path), means.backend))
    labels = tuple(ear.spec.thresholds)
    data = read(materials.positives, sample_rate_hz=ear.rate_hz, seed=materials.seed,
                tell=means.tell)
    if chosen := of_all(_judged(data, materials.split)):
        means.tell(chosen)
    read_sounds(materials.noise, ear.rate_hz, means.tell)  # `heard` leaves out what is told here
    conditions = _conditions(_recordings(data, materials), labels, materials)
    words = heard(ear.model, list(conditions.values())[-1], ear.rate_hz, "carried")
    others = wakings(path, labels, materials.negatives, harmless(ear.spec, ear.step_ms),
                     means.backend, means.spread, means.tell, means.progress)
    return calibrate(Heard(words, others, ear.model.labels, ear.step_ms), ear.spec, per_hour)


def _judged(data: DataSet, split: str) -> dict[str, Any]:
    """How many of a data set are of a split, and whether that is its reader's choice."""
    every = splits_of(data)
    return {"split": split, "split_here": split in data.drawn, "of": len(every),
            "sequences": sum(split in ("all", own) for own in every)}


def _recordings(data: DataSet, materials: Materials) -> AudioSet:
    if not isinstance(data, AudioSet):
        raise DataError(f"{materials.positives} holds no recordings; some were needed. Give a "
                        "folder label/*.wav, or an index.csv")
    return data


def _conditions(data: AudioSet, labels: Sequence[str], materials: Materials) -> dict[str, Words]:
    return Words.of(data, labels, materials.split, materials.seed).conditions(
        materials.noise, materials.snrs_db, materials.negatives)


def _words(outcome: Outcome, labels: Sequence[str], speakers: Sequence[str]) -> dict[str, Any]:
    """What is told of words, each with its label and its speaker; no speakers where none is known.

    Who is missed most comes first.
    """
    delays = np.array(outcome.delays_s)
    p50, p90 = (np.percentile(delays, (50, 90)) if len(delays) else (None, None))
    return {"said": outcome.said, "missed": outcome.missed, "missed_by": dict(outcome.missed_by),
            "miss_rate": round(outcome.missed / outcome.said, 5),
            "miss_interval": [round(end, 5) for end in outcome.miss_interval()],
            "labels": _missed("label", labels, outcome.found),
            "speakers": _missed("speaker", speakers, outcome.found) if any(speakers) else [],
            "delay_p50_s": None if p50 is None else round(float(p50), 3),
            "delay_p90_s": None if p90 is None else round(float(p90), 3),
            "delays_s": [round(late, 3) for late in outcome.delays_s],
            "doubles": outcome.doubles, "seconds": round(outcome.seconds, 1), **_alarms(outcome)}


def _missed(what: str, names: Sequence[str], found: Sequence[bool]) -> list[dict[str, Any]]:
    rows = []
    for name in dict.fromkeys(names):
        own = [heard for each, heard in zip(names, found, strict=True) if each == name]
        missed, said = own.count(False), len(own)
        rows.append({what: name, "missed": missed, "said": said,
                     "interval": [round(end, 5) for end in wilson_interval(missed, said)]})
    return sorted(rows, key=lambda row: -row["missed"] / row["said"])


def _alarms(outcome: Outcome) -> dict[str, Any]:
    hours = outcome.seconds / 3600
    return {"false_alarms": outcome.false_alarms, "hours": round(hours, 4),
            "per_hour": round(outcome.false_alarms / hours, 3),
            "interval": [round(end, 3) for end in outcome.alarms_interval()]}
