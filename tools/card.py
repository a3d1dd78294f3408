"""The cards of the bundled wake-word models, written from what was measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from materials import CLONES, WORDS
from trials import NEVER_HEARD, Measured, Point

from edgernn import bundle
from edgernn.train.architecture import Architecture
from edgernn.train.intervals import poisson_interval
from edgernn.train.spotting import Spotting

CARD = """\
# {name}: "computer" and "alexa"

Hears 16 kHz audio and says when somebody says *computer* or *alexa*.  Everything else,
noise and silence are rejected.  Bundled with edgernn: `edgernn stream` uses it when no `--model`
is given.
Written by `tools/make_bundled_model.py`; do not edit.

| | |
|---|---|
| size | {bytes:,} bytes, profile {profile} |
| sha256 of the FlatBuffer | {sha256} |
| network | {layers} |
| features | 40 log-mel energies every 20 ms (`edgernn.frontend.logmel`) |
| detector | {detector} |
| made by | `{command}`; it goes on from weights kept in tools/wakeword-start |
| made with | edgernn {edgernn}, Python {python}, {created} |

## How well it hears

Validation speakers of the Picovoice wake words: 13 estimated speakers, 96 clips, none of
them trained on.  Their results were seen while this was made: recipes before this one were
measured on them, and the thresholds were chosen with their curve in sight.  New speakers may fare
a little worse.

In noise, every clip is laid into each of four noises (dishes, exercise bike, pink, white:
the second halves of the recordings, the first were trained on), with SNR measured over the
word itself.  *reset*: the state is zeroed before each clip.  *carried*: the state runs on
from clip to clip, as it does on a device.  The integer step runs in the emulator, which is
exact with TensorFlow Lite Micro.

{misses}

By word and by noise, at 10 dB SNR, integer, carried:

{by_word}

## What it hears that was not said

**People never trained on: {unheard}.**

False alarms at the stored thresholds, integer, carried; *an hour* with its 95 % confidence
interval (Garwood).  *Synthesized* are sentences of random words of a dictionary, each spoken by
espeak-ng in another voice.

{alarms}

Misses against false alarms, one threshold for both words, integer, carried:

{curve}

Recordings follow one another without a pause here, as nobody speaks, and thresholds were chosen in
sight of these figures too.

## Limits, honestly

- {hours:.1f} hours of people are not a household.  Raise the threshold (`--threshold`) where it
  fires too often.
- About 50 voices taught it these words, mostly adults near a microphone.  Children, strong
  accents and far-field speech will be missed more often.
- Somebody else who talks, such as a television, hides the words more than noise as loud does:
  docs/evaluate.md says how often.
- The speakers' identities were estimated by whoever prepared the data, from voice
  embeddings; a person may be on both sides of a split.
- Words that sound nearly the same fire it, of {times} times that espeak-ng says each by itself:
  {alike}; and never: {never}.
- It knows nothing of wake-word privacy or security: any voice, and any loudspeaker, fires it.

## What it learned from

| data | licence | used for |
|---|---|---|
| Picovoice wake-word-benchmark, `computer` and `alexa`, train split | Apache-2.0 | the words |
| the same, validation split | Apache-2.0 | measured only |
| LibriSpeech train-clean-100, 251 readers, 52 min, in {resemblyzer} | CC BY 4.0 \
| rejected speech, babble |
| other wake words of the benchmark, by voices of the train split (an estimate: \
`tools/other_words.txt`), 41 min | Apache-2.0 | rejected speech |
| {community}: "computer" and "hey computer" by three people, 60 recordings | public domain | \
the words |
| {community}: "athena", "amelia", "hey savant" and what is like them, 38 min | public domain | \
rejected speech |
| Speech Commands, 3,000 recordings, in {anshul} and {manash} | CC BY 4.0 | rejected speech |
| Free Spoken Digit Dataset, 400 digits | CC BY-SA 4.0 | rejected speech |
| Speech Commands background noise, 4 recordings | CC BY 4.0 | noise |
| CMUdict words | BSD-style | texts for espeak-ng |
| speech synthesized by espeak-ng (a GPLv3 program; its licence does not extend to what it \
says), {voices} | own | the words, confusable words, sentences |
| noise, hum, impacts made with numpy | own | noise |

The false alarms were counted in what taught it nothing: SLR45 in {slr45}
(sentences by ten people), commands to a coffee machine in {commands},
LibriSpeech test-other in {resemblyzer}, Speech Commands' test set in
{pico} (single words), and the benchmark's other wake words by
all other voices.

The recordings themselves are not in the package.
"""


def write_card(model: Path, run: Path, measured: Measured, command: str,
               alike: Mapping[str, int], times: int) -> None:
    """Write the card of `model` beside it.

    Parameters
    ----------
    model : Path
    run : Path
        The run that it was quantized from.
    measured : Measured
    command : str
        What made it.
    alike : mapping of str to int
        How many of `times` times each word fired it.
    times : int
    """
    spec = bundle.read(model).spec
    detector = spec.detector
    assert detector is not None, "the bundled model detects"
    unheard = _unheard(measured, spec.profile)
    model.with_suffix(".md").write_text(CARD.format(
        name=model.name, bytes=model.stat().st_size, profile=spec.profile,
        sha256=spec.model_sha256, layers=_layers(run),
        detector="; ".join(
            f"{word} {detector.watch(word).threshold:.2f}, smoothed over "
            f"{detector.watch(word).smoothing_ms} ms" for word in detector.thresholds),
        command=command,
        misses=_misses(measured, spec.profile), by_word=_by_word(measured),
        unheard=f"{unheard.false_alarms} false alarms in {unheard.seconds / 3600:.2f} h; an hour: "
                + _an_hour(unheard),
        hours=unheard.seconds / 3600, times=times,
        alike=", ".join(f'"{word}" {n}' for word, n in alike.items() if n) or "none",
        never=", ".join(f'"{word}"' for word, n in alike.items() if not n) or "none",
        alarms=_alarms(measured, spec.profile), curve=_curve(measured.curve),
        voices="8 English accents, 83 variants", **_SOURCES,
        edgernn=spec.provenance["edgernn"], python=spec.provenance["python"],
        created=spec.provenance["created"][:10],
    ), encoding="utf-8")


_SOURCES = {name: CLONES[clone] for name, clone in (
    ("resemblyzer", "Resemblyzer"), ("community", "Precise-Community-Data"),
    ("anshul", "isolated-speech-commands"), ("manash", "DeadSimpleSpeechRecognizer"),
    ("pico", "PICO-tinyML-benchmark"), ("commands", "speech-to-intent-benchmark"),
    ("slr45", "Voice-based-gender-recognition-using-MFCC-and-GMM"))}


def _unheard(measured: Measured, profile: str) -> Spotting:
    """All people who were not trained on, together."""
    found = [value for (kind, mode, name), value in measured.results.items()
             if (kind, mode) == (profile, "carry") and name.endswith(NEVER_HEARD)]
    return Spotting({}, {}, sum(one.false_alarms for one in found),
                    sum(one.seconds for one in found))


def _an_hour(spotting: Spotting) -> str:
    low, high = (end * 3600 / spotting.seconds for end in poisson_interval(spotting.false_alarms))
    return f"{spotting.false_alarms_per_hour:.2f} ({low:.2f} to {high:.2f}, 95 %)"


def _layers(run: Path) -> str:
    layers = Architecture.load(run / "architecture.json").layers
    return ", ".join(f"{layer.kind} {layer.units}" for layer in layers)


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


def _alarms(measured: Measured, profile: str) -> str:
    rows = [[name, f"{value.seconds / 3600:.2f}", str(value.false_alarms), _an_hour(value)]
            for (kind, mode, name), value in measured.results.items()
            if (kind, mode) == (profile, "carry") and not value.said]
    return _table(["heard", "hours", "false alarms", "an hour"], rows)


def _curve(points: Sequence[Point]) -> str:
    names = list(points[0].speech)
    rows = [[f"{p.threshold:.2f}", f"{p.clean.miss_rate:.1%}", f"{p.mixed.miss_rate:.1%}",
             *(str(p.speech[name].false_alarms) for name in names)] for p in points]
    return _table(["threshold", "missed clean", "missed at 10 dB",
                   *(name.removeprefix("speech, ") for name in names)], rows)
