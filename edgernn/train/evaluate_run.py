"""All of `edgernn evaluate`: from folders and a model to figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import bundle
from edgernn.errors import DataError, ModelError
from edgernn.spec import DetectorSpec, LogMelSpec
from edgernn.step import StepModel
from edgernn.train.calibration import Calibrated, calibrate
from edgernn.train.dataset import AudioSet
from edgernn.train.evaluation import (
    Outcome,
    Track,
    at_threshold,
    compare,
    detect,
    hear,
    words_in,
)
from edgernn.train.readers import load
from edgernn.train.readers.audio import read_sounds


@dataclass(frozen=True)
class Materials:
    """What is heard."""

    positives: Path
    negatives: tuple[Path, ...] = ()
    noise: tuple[Path, ...] = ()
    snrs_db: tuple[float, ...] = (10.0,)
    split: str = "test"
    seed: int = 0


def evaluate(path: Path, materials: Materials, backend: str, grid: Sequence[float]
             ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Hear everything once, carried and reset; try every threshold on what was kept.

    Returns
    -------
    (dict, list of dict)
        ``words`` by condition and state, ``negatives``, and ``read_at``, the condition whose
        misses the thresholds of the list were tried on: the last in noise, or clean.

    Raises
    ------
    ModelError
        If the model hears no audio, or detects nothing.
    DataError
        If there are no words of the model's labels.
    """
    model, spec, rate, step_ms = _opened(path, backend)
    tracks = _tracks(model, _words_of(materials, rate), materials, tuple(spec.thresholds), rate,
                     ("reset", "carried"))

    def outcome(track: Track, detector: DetectorSpec) -> Outcome:
        return compare(track, detect(track, detector, model.labels, step_ms))

    words = [{"condition": condition, "state": state, **_words(outcome(track, spec))}
             for (condition, state), track in tracks.items()]
    read_at = [condition for condition, state in tracks if state == "carried"][-1]
    sounds = read_sounds(materials.negatives, rate)
    tree: dict[str, Any] = {"model": str(path), "backend": model.runtime.name,
                            "split": materials.split, "words": words, "read_at": read_at,
                            "negatives": None}
    if not sounds:
        return tree, []
    other = hear(model, ((sound, ()) for sound in sounds))
    tree["negatives"] = _alarms(outcome(other, spec))
    curve = [{"threshold": threshold,
              "miss_rate": round(found.missed / found.said, 5), "missed": found.missed,
              **_alarms(outcome(other, at_threshold(spec, threshold)))}
             for threshold in grid
             for found in [outcome(tracks[read_at, "carried"], at_threshold(spec, threshold))]]
    return tree, curve


def calibrated(path: Path, materials: Materials, backend: str, per_hour: float) -> Calibrated:
    """The detector for a wanted rate of false alarms; errors as of `evaluate`."""
    model, spec, rate, step_ms = _opened(path, backend)
    tracks = _tracks(model, _words_of(materials, rate), materials, tuple(spec.thresholds), rate,
                     ("carried",))
    sounds = read_sounds(materials.negatives, rate)
    others = hear(model, ((sound, ()) for sound in sounds))
    return calibrate(list(tracks.values())[-1], others, spec, model.labels, step_ms, per_hour)


def _opened(path: Path, backend: str) -> tuple[StepModel, DetectorSpec, int, float]:
    model = StepModel.load(bundle.read(path), backend)
    spec, frontend = _detector(model)
    return model, spec, frontend.sample_rate_hz, float(frontend.hop_ms)


def _words_of(materials: Materials, rate: int) -> AudioSet:
    data = load(materials.positives, sample_rate_hz=rate)
    if not isinstance(data, AudioSet):
        raise DataError(f"{materials.positives} holds no recordings; some were needed. Give a "
                        "folder label/*.wav, or an index.csv")
    return data


def _detector(model: StepModel) -> tuple[DetectorSpec, LogMelSpec]:
    detector, frontend = model.spec.detector, model.spec.frontend
    if not isinstance(frontend, LogMelSpec) or not detector or not detector.thresholds:
        raise ModelError("the model detects no words in audio, which is what is evaluated here. "
                         "`edgernn quantize` says how accurate one of another task is")
    return detector, frontend


def _tracks(model: StepModel, data: AudioSet, materials: Materials, labels: tuple[str, ...],
            rate: int, states: Sequence[str]) -> dict[tuple[str, str], Track]:
    noises = read_sounds(materials.noise, rate)
    conditions: list[tuple[str, NDArray[Any] | None, float]] = [("clean", None, 0.0)]
    if noises:
        together = np.concatenate(noises)
        conditions += [(f"{snr:g} dB", together, snr)
                       for snr in sorted(materials.snrs_db, reverse=True)]
    found = {}
    for name, noise, snr in conditions:
        for state in states:
            pieces = words_in(data, labels, materials.split, noise, snr,
                              np.random.default_rng(materials.seed))
            found[name, state] = hear(model, pieces, carry=state == "carried")
    return found


def _words(outcome: Outcome) -> dict[str, Any]:
    delays = np.array(outcome.delays_s)
    p50, p90 = (np.percentile(delays, (50, 90)) if len(delays) else (None, None))
    return {"said": outcome.said, "missed": outcome.missed, "missed_by": dict(outcome.missed_by),
            "miss_rate": round(outcome.missed / outcome.said, 5),
            "miss_interval": [round(end, 5) for end in outcome.miss_interval()],
            "delay_p50_s": None if p50 is None else round(float(p50), 3),
            "delay_p90_s": None if p90 is None else round(float(p90), 3),
            "doubles": outcome.doubles, "false_alarms": outcome.false_alarms,
            "seconds": round(outcome.seconds, 1)}


def _alarms(outcome: Outcome) -> dict[str, Any]:
    hours = outcome.seconds / 3600
    return {"false_alarms": outcome.false_alarms, "hours": round(hours, 4),
            "per_hour": round(outcome.false_alarms / hours, 3),
            "interval": [round(end, 3) for end in outcome.alarms_interval()]}
