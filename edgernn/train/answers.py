"""What a finished model answers to whole sequences, against what is right and what float says.

Classifiers, spotters, taggers and regressors, over recordings, sensor rows or texts: the integer
step in the interpreter that was chosen, its state reset for each sequence and carried over from the
one before, a random one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import DataError, ModelError
from edgernn.frontend import make_frontend
from edgernn.frontend.logmel import LogMel
from edgernn.spec import ModelSpec
from edgernn.step import StepModel
from edgernn.train.dataset import AudioSet, DataSet, SensorSet
from edgernn.train.features import FeatureCache, rows
from edgernn.train.intervals import wilson_interval
from edgernn.train.lessons import LATE_S
from edgernn.train.network import Network
from edgernn.train.predictions import label_of
from edgernn.train.reference import FloatModel
from edgernn.train.report import weights_sha256
from edgernn.train.sequences import Sequences
from edgernn.train.stepper import Forks, Stepper, all_scores

TASKS = ("classify", "spot", "label", "regress")
STATES = ("reset", "carried")
Scores = list[NDArray[np.float32]]


@dataclass(frozen=True)
class Heard:
    """Sequences as a model's frontend gives them."""

    sequences: Sequences
    """Their labels and targets are indices of the model's labels."""
    speakers: tuple[str, ...]
    """Who speaks in each; empty strings where nobody knows."""


def answers(model: StepModel, heard: Heard, run: Path | None = None) -> dict[str, Any]:
    """Accuracy, confusions, recall by label and by speaker, and agreement.

    Parameters
    ----------
    model : StepModel
    heard : Heard
    run : Path, optional
        The folder that the model was quantized from: what float says of the same.

    Returns
    -------
    dict
        ``reset`` and ``carried`` (and ``float_reset``, ``float_carried`` of a run): how many
        are right, of how many, and the share's 95 % interval; or a regressor's errors.
        ``labels``, ``speakers`` and ``confusion`` of the carried state.  ``agreement`` of
        frames: the label with the highest score is the same one.

    Raises
    ------
    ModelError
        If the task is none of `TASKS`, or the run is of another model.
    """
    spec = model.spec
    check(spec)
    rows = list(heard.sequences)
    steppers: dict[str, tuple[Stepper, Sequence[NDArray[Any]]]] = {
        "": (Forks(model), [model.encode(r) for r in rows])}
    if run is not None:
        network = _network(run, spec)
        frontend = make_frontend(spec.frontend)
        steppers["float_"] = FloatModel(network), [frontend.features(r) for r in rows]
    scores = {kind + state: all_scores(stepper, own, state == "carried")
              for kind, (stepper, own) in steppers.items() for state in STATES}
    found: dict[str, Any] = {"task": spec.task, "sequences": len(rows)}
    if spec.task == "regress":
        return found | {name: _errors(each, heard.sequences) for name, each in scores.items()}
    given = {name: _given(spec, each, heard.sequences) for name, each in scores.items()}
    truth = _truth(heard.sequences)
    return found | {name: _right(codes == truth) for name, codes in given.items()} | {
        "labels": _by_label(spec.labels, truth, given["carried"]),
        "speakers": _by_speaker(heard, given["carried"] == truth),
        "confusion": _confusion(len(spec.labels), truth, given["carried"]),
        "agreement": _agreement(scores)}


def check(spec: ModelSpec) -> None:
    """Refuse, by a ModelError, a model whose answers cannot be counted here."""
    if spec.task not in TASKS or spec.parts or spec.chunk:
        what = "reads both ways" if spec.chunk else f"is of the task {spec.task}"
        raise ModelError(f"the model {what}; one whole step that does {', '.join(TASKS)} was "
                         "needed. `edgernn quantize` says how accurate this one is")


def heard_by(spec: ModelSpec, data: DataSet, split: str, cache: FeatureCache | None = None
             ) -> Heard:
    """A data set's sequences of one split, or of all, as the model's frontend hears them.

    Recordings' features come from the cache, and go there, if one is given.  A spotter answers
    after a word, so silence follows what it hears, for as long as it was taught to answer.

    Raises
    ------
    DataError
        If there are none, if they are no such thing as the model hears, or if it has a label
        that the model has not; a spotter takes that for "nothing".
    """
    frontend: Any = make_frontend(spec.frontend)  # of its data's kind, as is checked next
    kinds = {"AudioSet": "recordings", "SensorSet": "sensor rows", "TextSet": "texts"}
    wanted = {"LogMelSpec": "AudioSet", "MicrofrontendSpec": "AudioSet",
              "StandardizeSpec": "SensorSet", "TokenSpec": "TextSet"}[type(spec.frontend).__name__]
    if type(data).__name__ != wanted:
        raise DataError(f"the data holds {kinds[type(data).__name__]}, and the model hears "
                        f"{kinds[wanted]}. Give it those")
    codes = _codes(spec, data.labels)
    if isinstance(data, AudioSet):
        clips = [(clip, samples) for clip, samples in zip(data.recordings, data.samples,
                                                          strict=True)
                 if split in ("all", clip.split)]
        _check_any(clips, split, {clip.split for clip in data.recordings})
        heard = _with_silence if spec.task == "spot" else rows
        # Copied: what is mapped from the cache keeps a file open, and there are thousands.
        sequences = _laid([np.array(heard(frontend, samples, cache)) for _, samples in clips],
                          [codes[clip.label] for clip, _ in clips])
        return _asked(spec, sequences, tuple(clip.speaker for clip, _ in clips))
    if isinstance(data, SensorSet):
        every = data.sequences
        chosen = (every.lengths > 0) & ((every.split == split) | (split == "all"))
        _check_any(chosen.nonzero()[0], split, set(every.split.tolist()))
        sequences = every.where(chosen)
        sequences = replace(sequences, rows=frontend.whole(sequences.rows))
    else:
        kept = [i for i, own in enumerate(data.split) if split in ("all", own)]
        _check_any(kept, split, set(data.split.tolist()))
        sequences = _laid([frontend.whole(data.texts[i]) for i in kept], data.codes[kept],
                          np.concatenate([data.tags[i] for i in kept]) if data.tags else None)
    if sequences.targets is None or sequences.targets.ndim == 1:
        sequences = _recoded(sequences, [codes[label] for label in data.labels])
    return _asked(spec, sequences, ("",) * len(sequences))


def _with_silence(frontend: Any, samples: NDArray[np.int16], cache: FeatureCache | None
                  ) -> NDArray[Any]:
    """Rows of a recording and of the silence in which a spotter answers to it.

    A log-mel row is of its own samples alone: those of the recording may come from the cache.
    """
    silence = int(LATE_S * frontend.spec.sample_rate_hz)
    if not isinstance(frontend, LogMel):
        return rows(frontend, np.pad(samples, (0, silence)), cache)
    known = rows(frontend, samples, cache)
    rest = np.pad(samples[len(known) * frontend.hop:], (0, silence))
    return np.concatenate([known, frontend.whole(rest)])


def _asked(spec: ModelSpec, sequences: Sequences, speakers: tuple[str, ...]) -> Heard:
    """What is not empty, if it says what is right as the model's task asks."""
    _check_targets(spec.task, sequences)
    there = sequences.lengths > 0
    return Heard(sequences.where(there),
                 tuple(name for name, kept in zip(speakers, there, strict=True) if kept))


def _check_any(kept: Sequence[Any], split: str, splits: set[str]) -> None:
    if not len(kept):
        raise DataError(f"no sequence is of the split {split!r}; there are "
                        f"{', '.join(sorted(splits))}. Choose another --split")


def _codes(spec: ModelSpec, labels: Sequence[str]) -> dict[str, int]:
    """Index of each of the data's labels among the model's."""
    known = {label: code for code, label in enumerate(spec.labels)}
    if spec.task == "spot":
        return {label: known.get(label, 0) for label in labels}
    missing = [label for label in labels if label not in known] if spec.task != "regress" else []
    if missing:
        raise DataError(f"the data has the label {missing[0]!r}, and the model knows "
                        f"{', '.join(spec.labels)}. Leave it out, or rename it")
    return {label: known.get(label, 0) for label in labels}


def _laid(rows: Sequence[NDArray[Any]], labels: Any,
          targets: NDArray[Any] | None = None) -> Sequences:
    return Sequences(np.concatenate(rows), np.array([len(r) for r in rows], np.int64),
                     np.array(labels, np.int64), np.full(len(rows), ""), targets)


def _recoded(sequences: Sequences, codes: Sequence[int]) -> Sequences:
    """The same with the model's indices of labels; -1, where nothing is asked, stays."""
    table = np.array([*codes, -1], np.int64)
    targets = sequences.targets
    return replace(sequences, labels=table[sequences.labels],
                   targets=None if targets is None else table[targets])


def _check_targets(task: str, sequences: Sequences) -> None:
    targets = sequences.targets
    has = "a label on every row" if targets is not None and targets.ndim == 1 else (
        "a label for each sequence" if targets is None else "a number on every row")
    needed = {"label": "a label on every row", "regress": "a number on every row"}.get(
        task, "a label for each sequence")
    if has != needed:
        raise DataError(f"the data has {has}; {needed} was needed, for the model's task is {task}")


def _network(run: Path, spec: ModelSpec) -> Network:
    network = Network.load(run)
    made_of = spec.provenance.get("weights_sha256", "")
    if not made_of:
        raise ModelError("the model does not say which weights it was quantized from; whether "
                         f"{run} holds them is unknown. Quantize it, and evaluate what that gives")
    if weights_sha256([run / "weights.npz"]) != made_of:
        raise ModelError(f"{run} holds other weights than those the model was quantized from; that "
                         "one run was needed (a model of several has none). Give it, or quantize "
                         "this one and evaluate that")
    return network


def _truth(sequences: Sequences) -> NDArray[np.int64]:
    """Of each sequence, or of each row that is asked about."""
    targets = sequences.targets
    return sequences.labels if targets is None else targets[targets >= 0]


def _given(spec: ModelSpec, scores: Scores, sequences: Sequences) -> NDArray[np.int64]:
    """What the scores say where `_truth` says what is right."""
    targets = sequences.targets
    if targets is None:
        return np.array([label_of(spec, each) for each in scores], np.int64)
    found: NDArray[np.int64] = np.concatenate(scores)[targets >= 0].argmax(axis=1)
    return found


def _right(right: NDArray[np.bool_]) -> dict[str, Any]:
    count, of = int(right.sum()), len(right)
    return {"right": count, "of": of, "share": round(count / of, 5),
            "interval": [round(end, 5) for end in wilson_interval(count, of)]}


def _by_label(labels: Sequence[str], truth: NDArray[Any], given: NDArray[Any]
              ) -> list[dict[str, Any]]:
    return [{"label": label, **_right(given[truth == code] == code),
             "given": int((given == code).sum())}
            for code, label in enumerate(labels) if (truth == code).any()]


def _by_speaker(heard: Heard, right: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Who is understood least comes first; none where nobody is known."""
    if len(right) != len(heard.speakers) or not any(heard.speakers):
        return []
    names = np.array(heard.speakers)
    found = [{"speaker": name, **_right(right[names == name])} for name in sorted(set(names))]
    return sorted(found, key=lambda each: each["share"])


def _confusion(labels: int, truth: NDArray[Any], given: NDArray[Any]) -> list[list[int]]:
    """Counts, a row for what is right and a column for what was said."""
    table = np.zeros((labels, labels), np.int64)
    np.add.at(table, (truth, given), 1)
    rows: list[list[int]] = table.tolist()
    return rows


def _agreement(scores: Mapping[str, Scores]) -> dict[str, float]:
    """Share of frames on which two give the same label the highest score."""
    best = {name: np.concatenate(each).argmax(axis=1) for name, each in scores.items()}
    pairs = [("carried", "reset"), ("reset", "float_reset"), ("carried", "float_carried")]
    return {f"{a} and {b}": round(float(np.mean(best[a] == best[b])), 5)
            for a, b in pairs if b in best}


def _errors(scores: Scores, sequences: Sequences) -> dict[str, Any]:
    """Of numbers, in their own unit: all rows, and the last of each sequence."""
    assert sequences.targets is not None
    error = np.concatenate(scores) - sequences.targets
    last = error[sequences.ends - 1]
    def figures(of: NDArray[Any]) -> dict[str, float]:
        asked = of[~np.isnan(of)]
        return {"rmse": round(float(np.sqrt(np.mean(asked**2))), 5),
                "mae": round(float(np.mean(np.abs(asked))), 5)} if len(asked) else {}

    return {"rows": int((~np.isnan(error)).sum()), **figures(error), "last": figures(last)}
