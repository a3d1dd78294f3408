"""The model card of the bundled model, written from what was measured."""

from pathlib import Path

from materials import WORDS
from trials import Measured, Point

from edgernn import bundle
from edgernn.train.architecture import Architecture
from edgernn.train.spotting import Spotting

CARD = """\
# wakeword.tflite: "computer" and "alexa"

Hears 16 kHz audio and says when somebody says *computer* or *alexa*.  Everything else,
noise and silence are rejected.  Bundled with edgernn: `edgernn stream` uses it when no
`--model` is given.  Written by `tools/make_bundled_model.py`; do not edit.

| | |
|---|---|
| size | {bytes:,} bytes, profile {profile} |
| network | {layers} |
| features | 40 log-mel energies every 20 ms (`edgernn.frontend.logmel`) |
| detector | {detector} |
| made by | `{command}`{minutes} |
| made with | edgernn {edgernn}, Python {python}, {created} |

## How well it hears

Validation speakers of the Picovoice wake words: 13 estimated speakers, 96 clips, none of
them trained on nor used to choose anything.  In noise, every clip is laid into each of
four noises (dishes, exercise bike, pink, white: the second halves of the recordings,
the first were trained on), with SNR measured over the word itself.  *reset*: the
state is zeroed before each clip.  *carried*: the state runs on from clip to clip, as it
does on a device.  The integer step runs in the emulator, which is exact with TensorFlow
Lite Micro.

{misses}

By word and by noise, at 10 dB SNR, integer, carried:

{by_word}

## What it hears that was not said

False alarms at the stored thresholds, integer, carried.  *below* is the upper end of the
95 % confidence interval: so little audio cannot prove a low rate.

{alarms}

Misses against false alarms, one threshold for both words; integer, state carried:

{curve}

The {held_out:.1f} minutes of the {readers} readers held out were not trained on; thresholds were
chosen so that they, the readers trained on, and held-out wake-word speakers give no false
alarm.  So "no false alarm in speech" is a condition of choice here, not a proof.
{folds}
## Limits, honestly

- 11 minutes of read English are far too little to know false alarms per hour: none heard
  would still allow 16 per hour.  Here up to {bound:.0f} per hour are possible, from the held-out
  readers alone {heldout_bound:.0f}.  Expect some; raise the threshold (`--threshold`) if they
  disturb.
- About 50 voices taught it these words, mostly adults near a microphone.  Children, strong
  accents and far-field speech will be missed more often.
- The speakers' identities were estimated by whoever prepared the data, from voice
  embeddings; a person may be on both sides of a split.
- Words that contain or resemble the wake words ("computers", "Alexander") may fire it.
- It knows nothing of wake-word privacy or security: any voice, and any loudspeaker, fires it.

## What it learned from

| data | licence | used for |
|---|---|---|
| Picovoice wake-word-benchmark, `computer` and `alexa`, train split | Apache-2.0 | the words |
| the same, validation split | Apache-2.0 | measured only |
| LibriSpeech train-clean-100, 55 readers, 11.4 min | CC BY 4.0 | rejected speech, babble |
| Free Spoken Digit Dataset, 400 digits | CC BY-SA 4.0 | rejected speech |
| Speech Commands background noise, 4 recordings | CC BY 4.0 | noise |
| CMUdict words | BSD-style | texts for espeak-ng |
| speech synthesized by espeak-ng (a GPLv3 program; its licence does not extend to what it \
says), {voices} | own | the words, confusable words, sentences |
| noise, hum, impacts made with numpy | own | noise |

The recordings themselves are not in the package.
"""


def write_card(path: Path, model: Path, run: Path, measured: Measured, command: str,
               seconds: float, folds: str = "") -> None:
    """Write the card of `model`."""
    file = bundle.read(model)
    spec, carried = file.spec, {name: value for (kind, mode, name), value
                                in measured.results.items()
                                if (kind, mode) == (file.spec.profile, "carry")}
    held_out, trained = carried["speech, held out"], carried["speech, trained on"]
    whole = joined(held_out, trained)
    detector = measured.detector
    path.write_text(CARD.format(
        bytes=model.stat().st_size, profile=spec.profile, layers=_layers(run),
        detector=", ".join(f"{word} {p:.2f}" for word, p in detector.thresholds.items())
        + f", smoothed over {detector.smoothing_ms} ms",
        command=command, minutes=f", in {seconds / 60:.0f} min" if seconds > 60 else "",
        misses=_misses(measured, spec.profile), by_word=_by_word(measured),
        alarms=_alarms(carried, whole), curve=_curve(measured.curve),
        held_out=held_out.seconds / 60, readers=len(measured.readers), folds=folds,
        bound=whole.false_alarms_per_hour_below,
        heldout_bound=held_out.false_alarms_per_hour_below,
        voices="8 English accents, 83 variants", edgernn=spec.provenance["edgernn"],
        python=spec.provenance["python"], created=spec.provenance["created"][:10],
    ), encoding="utf-8")


def _layers(run: Path) -> str:
    layers = Architecture.load(run / "architecture.json").layers
    return ", ".join(f"{layer.kind} {layer.units}" for layer in layers)


def joined(a: Spotting, b: Spotting) -> Spotting:
    """Two sets as one."""
    return Spotting({}, {}, a.false_alarms + b.false_alarms, a.seconds + b.seconds)


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _missed(spotting: Spotting, word: str = "") -> str:
    said = spotting.said.get(word, 0) if word else sum(spotting.said.values())
    missed = spotting.missed.get(word, 0) if word else sum(spotting.missed.values())
    return f"{missed} of {said} ({missed / said:.1%})" if said else "-"


def _misses(measured: Measured, profile: str) -> str:
    names = [name for (kind, mode, name), value in measured.results.items()
             if (kind, mode) == (profile, "carry") and value.said]
    columns = [("float", "reset"), ("float", "carry"), (profile, "reset"), (profile, "carry")]
    names.sort(key=["clean", "20 dB", "10 dB", "5 dB", "0 dB"].index)
    rows = [[name, *(_missed(measured.results[(*column, name)])
                     if (*column, name) in measured.results else "" for column in columns),
             str(measured.results[profile, "carry", name].false_alarms)] for name in names]
    return _table(["missed", "float, reset", "float, carried", f"{profile}, reset",
                   f"{profile}, carried", "false alarms beside the words"], rows)


def _by_word(measured: Measured) -> str:
    rows = [[noise.replace("_", " "), *(_missed(spotting, word) for word in WORDS),
             _missed(spotting)] for noise, spotting in measured.by_noise.items()]
    return _table(["noise", *WORDS, "both"], rows)


def _alarms(carried: dict[str, Spotting], whole: Spotting) -> str:
    sets = {name: value for name, value in carried.items() if not value.said}
    sets["speech, all"] = whole
    rows = [[name, f"{value.seconds / 60:.1f}", str(value.false_alarms),
             f"{value.false_alarms_per_hour:.1f}", f"{value.false_alarms_per_hour_below:.1f}"]
            for name, value in sets.items()]
    return _table(["heard", "minutes", "false alarms", "per hour", "below"], rows)


def _curve(points: "list[Point] | tuple[Point, ...]") -> str:
    rows = [[f"{p.threshold:.2f}", f"{p.clean.miss_rate:.1%}", f"{p.mixed.miss_rate:.1%}",
             f"{p.held_out.false_alarms} ({p.held_out.false_alarms_per_hour:.0f})",
             f"{p.whole.false_alarms} ({p.whole.false_alarms_per_hour:.0f})"] for p in points]
    return _table(["threshold", "missed clean", "missed at 10 dB",
                   "false alarms, held-out readers (per hour)", "all readers (per hour)"], rows)
