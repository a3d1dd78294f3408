"""Make the bundled model of the ten digits, edgernn/models/digits.tflite, and its card.

    python tools/make_digits_model.py --data ../shared/data --clones ../clones

A spotter at 8 kHz, learned from the four people of the Free Spoken Digit Dataset, from espeak-ng's
voices, and from those parts of Speech Commands that public repositories hold (CLONES): of some
digits hundreds of people, of others a few.  It is measured on the people of Speech Commands' own
test set, whom it never hears: about half an hour on two cores.  What is there in --work is not made
again.  Every draw comes from --seed and one thread teaches: it makes the same bytes again on the
same kind of processor.
"""

import csv
import dataclasses
import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click

from edgernn import bundle
from edgernn.spec import DetectorSpec
from edgernn.synth import corpus
from edgernn.synth.plan import OTHER, Wish
from edgernn.train import mix
from edgernn.train.config import TrainConfig
from edgernn.train.dataset import AudioSet
from edgernn.train.evaluate_run import Materials, evaluate
from edgernn.train.fit import fit
from edgernn.train.intervals import poisson_interval, wilson_interval
from edgernn.train.quantize import quantize_run
from edgernn.train.readers import load
from edgernn.train.readers.audio import read_sounds, sound_files

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RATE = 8000
CONFIG = TrainConfig(
    task="spot", keywords=DIGITS, sample_rate_hz=RATE, units=52, layers=2, front=32, dropout=0.1,
    input_noise=0.1, batch=24, learning_rate=3e-3, average=0.99, early_stopping=False, warp=0.1,
    equalize_db=2.0, scenes=1500, scene_s=(3.0, 5.0), snr_db=(0.0, 25.0))
CLONES = {
    "isolated-speech-commands": "anshulgupta0803/isolated-speech-commands at ca8c2c8",
    "speech-commands-recognition": "vinsis/speech-commands-recognition at 53317d5",
    "blspeech_commands": "JackBL248/blspeech_commands at edb60af",
    "DeadSimpleSpeechRecognizer": "manashmandal/DeadSimpleSpeechRecognizer at 881b36a",
}
"""Public repositories that hold recordings of Speech Commands."""
TEST_SET = "PICO-tinyML-benchmark"
"""thegtagamer/PICO-tinyML-benchmark at c66f6b0: the test set of Speech Commands 0.02, which has
digits among its `_unknown_`."""
STRANGERS = "wake-word-benchmark"
"""Picovoice/wake-word-benchmark at 8491919, to count false alarms in."""
MOST_OTHERS = 300
"""Recordings of a word that is no digit."""
DETECTOR = DetectorSpec(dict.fromkeys(DIGITS, 0.62), smoothing_ms=100, refractory_ms=300)
"""Chosen on the people it learned from: of their digits few are taken for others."""
COMMAND = "python tools/make_digits_model.py"

CARD = """\
# digits.tflite: "zero" to "nine"

Hears 8 kHz audio and says when somebody says an English digit.  Bundled with edgernn:
`edgernn stream --model digits`.  Written by `{command}`; do not edit.

| | |
|---|---|
| size | {bytes:,} bytes, profile int8x16 |
| sha256 of the FlatBuffer | {sha256} |
| network | dense 32, gru 52, gru 52, dense 11 |
| features | 40 log-mel energies every 20 ms at 8 kHz (`edgernn.frontend.logmel`) |
| detector | {threshold:g} for each digit, smoothed over 100 ms |
| made with | edgernn {edgernn}, Python {python}, {created} |

## How well it hears a voice it never heard

In the test set of Speech Commands 0.02, {aside} people whom it never heard say {said} digits at
their own microphones.  It heard them with its state carried, int8x16, each in a pause of its own:
as recorded, {clean} were missed; in noise at 10 dB SNR
(the second halves of four recordings; the first were trained on), {noisy},
and {beside} times another digit was heard.

| digit | people who taught it | said | missed as recorded | missed at 10 dB |
|---|---|---|---|---|
{rows}

In {hours:.2f} h of people who say something else (other wake words, and reading), none of which it
learned from, it fired {alarms} times: {rate:.0f} an hour ({low:.0f} to {high:.0f}, 95 %).

## Limits

- Digits that few people taught it are missed more often; besides those in the table, four people
  of the Free Spoken Digit Dataset and synthesizers taught it all ten.
- Words that sound like digits ("for", "to", "won", "ate") are digits to it: in conversation it
  fires all the time.  Use it where digits are what is said, such as after a wake word.
- The recordings were made near a microphone.

## What it learned from

| data | licence | used for |
|---|---|---|
| Free Spoken Digit Dataset, four people | CC BY-SA 4.0 | the digits |
| Speech Commands, as parts of it are in {clones} | CC BY 4.0 | the digits; {others} other words, \
up to {most} times each, rejected |
| speech synthesized by espeak-ng (a GPLv3 program; its licence does not extend to what it says) \
| own | the digits, phrases that sound like them, sentences |
| LibriSpeech train-clean-100, every second of 55 readers | CC BY 4.0 | rejected speech |
| Speech Commands background noise, first halves of 4 recordings | CC BY 4.0 | noise |

The recordings themselves are not in the package.
"""


@click.command(context_settings={"show_default": True})
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path),
              default="../shared/data")
@click.option("--clones", type=click.Path(exists=True, file_okay=False, path_type=Path),
              default="../clones", help="The folder that holds clones of "
                                     f"{', '.join((*CLONES, TEST_SET, STRANGERS))}.")
@click.option("--work", type=click.Path(path_type=Path), default="build/digits")
@click.option("--out", type=click.Path(path_type=Path), default="edgernn/models/digits.tflite")
@click.option("--count", default=80, help="Times espeak-ng says each digit.")
@click.option("--epochs", default=75)
@click.option("--seed", default=0)
def main(data: Path, clones: Path, work: Path, out: Path, count: int, epochs: int,
         seed: int) -> None:
    """Make the model and its card."""
    # More threads would add in another order.  Said before TensorFlow comes.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    print("espeak-ng speaks", file=sys.stderr)
    spoken = work / "spoken"
    corpus.make(Wish(DIGITS, count, 6 * count, seed, rate_hz=RATE, rooms=40), spoken, COMMAND)
    halves(data / "background_noise", work)
    counts = commands(clones, work / "commands")
    readers = sound_files([data / "negative_speech"])
    unheard = (copied(readers[1::2], work / "unheard"), *(
        clones / STRANGERS / "audio" / word
        for word in ("jarvis", "smart mirror", "snowboy", "view glass")))
    config = dataclasses.replace(CONFIG, epochs=epochs, seed=seed)
    learned(data / "fsdd", spoken, readers[::2], work, config, out)
    found = judged(out, work / "commands", unheard, work)
    print(json.dumps({**found, **counts}), flush=True)
    told = bundle.read(out)
    metrics = {f"test_{key}": round(found[key] / found["said"], 5)
               for key in ("missed_clean", "missed_10_db")}
    bundle.write(out, bundle.attach(told.flatbuffer, dataclasses.replace(
        told.spec, metrics={**told.spec.metrics, **metrics})))
    out.with_suffix(".md").write_text(card(out, found, counts), encoding="utf-8")


def commands(clones: Path, folder: Path) -> dict[str, Any]:
    """An index of what the clones hold of Speech Commands; how many people say which digit."""
    test = _recordings(clones / TEST_SET)
    strangers = {speaker for _, speaker, _ in test}
    rows: list[list[Any]] = [[path.resolve(), word, speaker, "test"]
                             for word, speaker, path in test if word in DIGITS]
    others, people = Counter[str](), {digit: set[str]() for digit in DIGITS}
    for word, speaker, path in _recordings(*(clones / clone for clone in CLONES)):
        if speaker in strangers:
            continue
        if word in DIGITS:
            people[word].add(speaker)
        else:
            others[word] += 1
        if others[word] <= MOST_OTHERS:
            rows.append([path.resolve(), word if word in DIGITS else OTHER, speaker, "train"])
    folder.mkdir(parents=True, exist_ok=True)
    _write_index(folder, rows)
    said = Counter(row[1] for row in rows if row[3] == "test")
    return {"people": {digit: len(them) for digit, them in people.items()}, "said": said,
            "aside": len({row[2] for row in rows if row[3] == "test"}), "others": len(others)}


def _recordings(*clones: Path) -> list[tuple[str, str, Path]]:
    """Each word, its speaker's hash and its file, once, wherever it may be again.

    A file is named by its speaker; its word is before that, or the folder's name.
    """
    found: dict[str, tuple[str, str, Path]] = {}
    for path in (path for clone in clones for path in sorted(clone.rglob("*_nohash_*.wav"))):
        *word, speaker = path.name.split("_nohash_")[0].split("_")
        said = word[0] if word else path.parent.name
        number = path.name.split("_nohash_")[1].split(".")[0]
        found.setdefault(f"{said} {speaker} {number}", (said, speaker, path))
    return [found[key] for key in sorted(found)]


def _write_index(folder: Path, rows: list[list[Any]]) -> None:
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "speaker", "split"])
        writer.writerows(rows)


def learned(fsdd: Path, spoken: Path, negatives: list[Path], work: Path, config: TrainConfig,
            out: Path) -> None:
    """Train on all of it, and quantize."""
    run = work / "run"
    if not run.exists():
        own = load(fsdd, sample_rate_hz=RATE)
        assert isinstance(own, AudioSet), "fsdd holds recordings"
        own = dataclasses.replace(own, recordings=tuple(
            dataclasses.replace(one, split="train") for one in own.recordings))
        said = load(spoken, sample_rate_hz=RATE, noise=(work / "noise" / "first",))
        sets = [own, said, load(work / "commands", sample_rate_hz=RATE)]
        fit(dataclasses.replace(config, mix=(2.0, 1.0, 2.0)), mix.join(sets, lambda text: None),
            run, lambda epoch: print(json.dumps(vars(epoch)), file=sys.stderr, flush=True),
            overwrite=True, negatives=read_sounds(negatives, RATE))
    quantize_run(run, out, "int8x16", command=COMMAND)
    file = bundle.read(out)
    bundle.write(out, bundle.attach(file.flatbuffer, dataclasses.replace(
        file.spec, detector=DETECTOR)))


def halves(noise: Path, work: Path) -> None:
    """Each recording of noise cut in two: one half to train on, the other to measure with."""
    import soundfile

    for path in sound_files([noise]):
        samples, rate = soundfile.read(path, dtype="int16")
        middle = len(samples) // 2
        for name, half in (("first", samples[:middle]), ("second", samples[middle:])):
            folder = work / "noise" / name
            folder.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / f"{path.stem}.wav", half, rate)


def copied(paths: list[Path], folder: Path) -> Path:
    """The recordings in a folder of their own."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in paths:
        shutil.copy(path, folder / path.name)
    return folder


def judged(model: Path, words: Path, unheard: tuple[Path, ...], work: Path) -> dict[str, Any]:
    """What the model misses of the people in the test split, and mistakes in speech."""
    tree = evaluate(model, Materials(words, unheard, (work / "noise" / "second",), (10.0,)))
    carried = {one["condition"]: one for one in tree["words"] if one["state"] == "carried"}
    return {"said": carried["clean"]["said"],
            **{f"{key}_{name}": carried[condition][key] for key in ("missed", "missed_by")
               for name, condition in (("clean", "clean"), ("10_db", "10 dB"))},
            "others_10_db": carried["10 dB"]["false_alarms"],
            "false_alarms": tree["negatives"]["false_alarms"],
            "hours": tree["negatives"]["hours"]}


def _missed(missed: int, said: int) -> str:
    low, high = wilson_interval(missed, said)
    return f"{missed} of {said} ({missed / said:.1%}; {low:.1%} to {high:.1%}, 95 %)"


def card(model: Path, found: dict[str, Any], counts: dict[str, Any]) -> str:
    """The model's card."""
    spec = bundle.read(model).spec
    rows = "\n".join(f"| {digit} | {counts['people'][digit]} | {counts['said'][digit]} | "
                     f"{found['missed_by_clean'].get(digit, 0)} | "
                     f"{found['missed_by_10_db'].get(digit, 0)} |" for digit in DIGITS)
    low, high = (end / found["hours"] for end in poisson_interval(found["false_alarms"]))
    return CARD.format(
        command=COMMAND, bytes=model.stat().st_size, sha256=spec.model_sha256,
        edgernn=spec.provenance["edgernn"], python=spec.provenance["python"],
        created=spec.provenance["created"][:10], rows=rows, aside=counts["aside"],
        said=found["said"], clean=_missed(found["missed_clean"], found["said"]),
        noisy=_missed(found["missed_10_db"], found["said"]), beside=found["others_10_db"],
        hours=found["hours"], alarms=found["false_alarms"],
        rate=found["false_alarms"] / found["hours"], low=low, high=high,
        threshold=DETECTOR.thresholds[DIGITS[0]], clones=", ".join(CLONES.values()),
        test_set=TEST_SET, others=counts["others"], most=MOST_OTHERS)


if __name__ == "__main__":
    main()
