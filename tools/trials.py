"""What the bundled model is measured on, and what it scored."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from materials import WORDS, Clip, Samples
from numpy.typing import NDArray

from edgernn import bundle
from edgernn.frontend.logmel import LogMel
from edgernn.spec import DetectorSpec, LogMelSpec
from edgernn.train.committee import Committee
from edgernn.train.emulated import EmulatedModel
from edgernn.train.network import Network
from edgernn.train.reference import FloatModel
from edgernn.train.spotting import Encode, Passage, Said, Spotting, compare, listen, mix
from edgernn.train.stepper import Stepper

RATE = 16000
SNRS_DB = (20, 10, 5, 0)
GRID = tuple(round(0.1 + 0.05 * i, 2) for i in range(18))
"""Thresholds tried, 0.10 to 0.95."""
SYNTHESIZED = "speech, synthesized"
TRAINED_ON = "speech, trained on"
NEVER_HEARD = "never heard"
"""What the names of people's speech end with who were not trained on."""
TWICE = ("clean", "10 dB", TRAINED_ON)
"""Trials that the float step hears too, and both with their state reset; the integer step hears
all, with its state carried."""

Trials = Mapping[str, Sequence[Passage]]


def as_recorded(samples: NDArray[Any], kind: str, said: tuple[Said, ...] = ()) -> Passage:
    """A passage of samples in int16 units."""
    whole = np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
    return Passage(LogMel(LogMelSpec()).whole(whole), said, kind)


def quiet(people: Sequence[Clip], lead: int = RATE, tail: int = RATE * 4 // 5) -> list[Passage]:
    """Clips as recorded, digital silence before and after."""
    return [as_recorded(np.pad(clip.samples, (lead, tail)), "clean",
                        (_said(clip.label, clip.start + lead, clip.end + lead),))
            for clip in people]


def mixed_trials(
    people: Sequence[Clip], noise: Mapping[str, Samples], snr_db: float
) -> list[Passage]:
    """Every clip in every noise."""
    rng = np.random.default_rng(int(snr_db))
    trials = []
    for clip in people:
        for name, samples in noise.items():
            mixed, word = mix(clip.samples, (clip.start, clip.end), samples, snr_db, rng)
            trials.append(as_recorded(mixed.astype(np.float32), name, (_said(clip.label, *word),)))
    return trials


def _said(label: str, start: int, end: int) -> Said:
    return Said(label, start / RATE, end / RATE)


def trials_of(people: Sequence[Clip], talk: Mapping[str, Samples], noise: Mapping[str, Samples],
              spoken: Sequence[NDArray[np.int16]],
              unheard: Mapping[str, Sequence[Samples]]) -> dict[str, Sequence[Passage]]:
    """All sets of passages the card reports, by name."""
    sets: dict[str, Sequence[Passage]] = {"clean": quiet(people)}
    sets |= {f"{snr} dB": mixed_trials(people, noise, snr) for snr in SNRS_DB}
    sets[TRAINED_ON] = [as_recorded(x, who) for who, x in talk.items()]
    if spoken:
        sets[SYNTHESIZED] = [as_recorded(x, "espeak-ng") for x in spoken]
    sets |= {f"speech, {name}, {NEVER_HEARD}": [as_recorded(x, name) for x in said]
             for name, said in unheard.items()}
    sets["noise alone"] = [as_recorded(x * np.float32(gain), name) for name, x in noise.items()
                           for gain in (0.1, 0.3, 1.0, 3.0)]
    return sets


@dataclass(frozen=True)
class Point:
    """Both words at one threshold, on the integer model with its state carried."""

    threshold: float
    clean: Spotting
    mixed: Spotting
    """At 10 dB SNR."""
    speech: Mapping[str, Spotting]
    """By who says what."""


@dataclass(frozen=True)
class Measured:
    """Everything measured."""

    detector: DetectorSpec
    results: Mapping[tuple[str, str, str], Spotting]
    """Of (model, `reset` or `carry`, name of the trials)."""
    by_noise: Mapping[str, Spotting]
    """At 10 dB, integer model, state carried."""
    curve: Sequence[Point]

    def summary(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "thresholds": dict(self.detector.thresholds),
            "results": {" / ".join(key): _plain(value) for key, value in self.results.items()},
            "by_noise": {key: _plain(value) for key, value in self.by_noise.items()},
            "curve": [{"threshold": p.threshold, "clean": _plain(p.clean),
                       "10 dB": _plain(p.mixed),
                       **{name: _plain(value) for name, value in p.speech.items()}}
                      for p in self.curve],
        }

    @classmethod
    def of(cls, summary: Mapping[str, Any]) -> "Measured":
        """Back from `summary`."""
        return cls(
            DetectorSpec(summary["thresholds"]),
            {tuple(key.split(" / ")): _spotting(value)
             for key, value in summary["results"].items()},
            {key: _spotting(value) for key, value in summary["by_noise"].items()},
            [Point(p["threshold"], _spotting(p["clean"]), _spotting(p["10 dB"]),
                   {key: _spotting(value) for key, value in p.items() if "speech" in key})
             for p in summary["curve"]])

    def metrics(self) -> dict[str, float]:
        """What goes into the model file."""
        found = {}
        for (model, mode, name), spotting in self.results.items():
            if name in ("clean", "10 dB"):
                key = f"validation_{model}_{mode}_miss_rate_{name.replace(' ', '_')}"
                found[key] = round(spotting.miss_rate, 5)
        return found


def _spotting(plain: Mapping[str, Any]) -> Spotting:
    return Spotting(plain["said"], plain["missed"], plain["false_alarms"], plain["seconds"])


def _plain(spotting: Spotting) -> dict[str, object]:
    return {"said": dict(spotting.said), "missed": dict(spotting.missed),
            "false_alarms": spotting.false_alarms, "seconds": round(spotting.seconds, 1)}


def steppers(runs: Sequence[Path], model: Path) -> dict[str, tuple[Stepper, Encode]]:
    """The integer step of a model file, and the float one of its run folders, if any."""
    file = bundle.read(model)
    emulated = EmulatedModel(file.flatbuffer, file.spec.states, file.spec.frontend)
    found: dict[str, tuple[Stepper, Encode]] = {file.spec.profile: (emulated, emulated.encode)}
    if runs:
        network = Committee.of([Network.load(run) for run in runs])
        found["float"] = (FloatModel(network), LogMel(LogMelSpec()).features)
    return found


def measure(runs: Sequence[Path], model: Path, trials: Trials) -> Measured:
    """Run everything through the float and the integer step, reset and carried."""
    spec = bundle.read(model).spec
    assert spec.detector is not None
    results: dict[tuple[str, str, str], Spotting] = {}
    scores: dict[str, list[NDArray[np.float32]]] = {}
    for kind, (stepper, encode) in steppers(runs, model).items():
        for mode in ("reset", "carry"):
            for name, passages in trials.items():
                if name not in TWICE and (kind, mode) != (spec.profile, "carry"):
                    continue  # the emulator takes a minute for each
                heard = listen(stepper, encode, passages, mode == "carry")
                results[kind, mode, name] = compare(passages, heard, spec.detector, spec.labels,
                                                    mode == "carry")
                if (kind, mode) == (spec.profile, "carry"):
                    scores[name] = heard
    by_noise = {}
    mixed = trials["10 dB"]
    for noise in sorted({p.kind for p in mixed}):
        chosen = [i for i, p in enumerate(mixed) if p.kind == noise]
        by_noise[noise] = compare([mixed[i] for i in chosen],
                                  [scores["10 dB"][i] for i in chosen],
                                  spec.detector, spec.labels, carry=False)
    curve = [_point(threshold, trials, scores, spec.detector, spec.labels) for threshold in GRID]
    return Measured(spec.detector, results, by_noise, curve)


def _point(threshold: float, trials: Trials, scores: Mapping[str, list[NDArray[np.float32]]],
           detector: DetectorSpec, labels: tuple[str, ...]) -> Point:
    level = dataclasses.replace(detector, thresholds=dict.fromkeys(WORDS, threshold))

    def at(name: str) -> Spotting:
        # The detector reset for each passage: that allows the quick way through `compare`.
        return compare(trials[name], scores[name], level, labels, carry=False)

    return Point(threshold, at("clean"), at("10 dB"),
                 {name: at(name) for name in trials if name.startswith("speech")})
