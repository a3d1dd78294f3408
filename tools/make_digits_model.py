"""Make the bundled model of the ten digits, edgernn/models/digits.tflite, and its card.

    python tools/make_digits_model.py --data ../shared/data

A spotter at 8 kHz, as the digits were recorded, learned from four people and from espeak-ng's
voices.  Four people are too few to keep one aside, so the recipe is measured by leaving each of
them out in turn, and the model that is bundled learns from all of them: about 25 minutes on two
cores.  What is there in --work is not made again; every draw comes from --seed.
"""

import csv
import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np

from edgernn import bundle
from edgernn.spec import DetectorSpec
from edgernn.synth import corpus
from edgernn.synth.plan import Wish
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
    input_noise=0.1, batch=24, learning_rate=4e-3, average=0.99, early_stopping=False, warp=0.1,
    equalize_db=2.0, scenes=1500, scene_s=(3.0, 5.0))
DETECTOR = DetectorSpec(dict.fromkeys(DIGITS, 0.5), smoothing_ms=100, refractory_ms=300)
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
| detector | 0.5 for each digit, smoothed over 100 ms |
| made with | edgernn {edgernn}, Python {python}, {created} |

## How well it hears a voice it never heard

For each of the four people of the Free Spoken Digit Dataset a model was trained by this recipe
without them, and heard their 500 recordings with the state carried, int8x16, each in a pause of
its own: as recorded, and in noise at 10 dB SNR (the second halves of four recordings; the first
were trained on).  *False alarms*: other digits heard in those, and all digits heard in read speech
of {readers} people that no model heard ({hours:.2f} h).

| without | missed, clean | missed, 10 dB | false alarms beside the words | in an hour of reading |
|---|---|---|---|---|
{rows}

All four: {clean} missed clean, {noisy} at 10 dB.

The bundled model learned from all four, so it has no voice of its own to be measured on; expect
what the table says.  In the speech that it never heard it fired {alarms} times in {hours:.2f} h
({low:.0f} to {high:.0f} an hour, 95 %).

## Limits

- Four people, and synthesizers, taught it.  Words that sound like digits ("for", "to", "won",
  "ate") are digits to it: in conversation it fires all the time.  Use it where digits are what
  is said, such as after a wake word.
- The recordings were cut closely and made near a microphone.

## What it learned from

| data | licence | used for |
|---|---|---|
| Free Spoken Digit Dataset, four people | CC BY-SA 4.0 | the digits |
| speech synthesized by espeak-ng (a GPLv3 program; its licence does not extend to what it says) \
| own | the digits, phrases that sound like them, sentences |
| LibriSpeech train-clean-100, every second of 55 readers | CC BY 4.0 | rejected speech |
| Speech Commands background noise, first halves of 4 recordings | CC BY 4.0 | noise |

The recordings themselves are not in the package.
"""


@click.command(context_settings={"show_default": True})
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path),
              default="../shared/data")
@click.option("--work", type=click.Path(path_type=Path), default="build/digits")
@click.option("--out", type=click.Path(path_type=Path), default="edgernn/models/digits.tflite")
@click.option("--count", default=80, help="Times espeak-ng says each digit.")
@click.option("--epochs", default=35)
@click.option("--seed", default=0)
def main(data: Path, work: Path, out: Path, count: int, epochs: int, seed: int) -> None:
    """Make the model and its card."""
    print("espeak-ng speaks", file=sys.stderr)
    spoken = work / "spoken"
    corpus.make(Wish(DIGITS, count, 6 * count, seed, rate_hz=RATE, rooms=40), spoken, COMMAND)
    people = load(data / "fsdd", sample_rate_hz=RATE)
    assert isinstance(people, AudioSet), "fsdd holds recordings"
    halves(data / "background_noise", work)
    readers = sound_files([data / "negative_speech"])
    config = dataclasses.replace(CONFIG, epochs=epochs, seed=seed)
    found = {}
    for speaker in sorted({r.speaker for r in people.recordings}):
        model = learned(people, speaker, spoken, readers[::2], work, config)
        found[speaker] = judged(model, data, work, readers[1::2], speaker)
        print(json.dumps({"without": speaker, **found[speaker]}), flush=True)
    final = learned(people, "", spoken, readers[::2], work, config)
    whole = judged(final, data, work, readers[1::2], "")
    print(json.dumps({"without": None, **whole}), flush=True)
    told = bundle.read(final)
    metrics = {f"leave_one_out_{key}": round(share(found, key), 5)
               for key in ("missed_clean", "missed_10_db")}
    bundle.write(out, bundle.attach(told.flatbuffer, dataclasses.replace(
        told.spec, detector=DETECTOR, metrics={**told.spec.metrics, **metrics})))
    out.with_suffix(".md").write_text(card(out, found, whole, len(readers[1::2])),
                                      encoding="utf-8")


def learned(people: AudioSet, without: str, spoken: Path, negatives: list[Path], work: Path,
            config: TrainConfig) -> Path:
    """The quantized model of everybody but one; of everybody if that is nobody."""
    run = work / f"without-{without or 'nobody'}"
    model = run.with_suffix(".tflite")
    kept = [i for i, r in enumerate(people.recordings) if r.speaker != without]
    own = dataclasses.replace(
        people, recordings=tuple(dataclasses.replace(people.recordings[i], split="train")
                                 for i in kept), samples=tuple(people.samples[i] for i in kept))
    said = load(spoken, sample_rate_hz=RATE, noise=(work / "noise" / "first",))
    if not run.exists():
        fit(dataclasses.replace(config, mix=(2.0, 1.0)), mix.join([own, said], lambda text: None),
            run, lambda epoch: print(json.dumps({"run": run.name, **vars(epoch)}),
                                     file=sys.stderr, flush=True),
            overwrite=True, negatives=read_sounds(negatives, RATE))
    quantize_run(run, model, "int8x16", command=COMMAND)
    file = bundle.read(model)
    bundle.write(model, bundle.attach(file.flatbuffer, dataclasses.replace(
        file.spec, detector=DETECTOR)))
    return model


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


def judged(model: Path, data: Path, work: Path, readers: list[Path], speaker: str
           ) -> dict[str, Any]:
    """What a model misses of one person, and mistakes in reading; reading alone of nobody."""
    folder = work / f"of-{speaker or 'everybody'}"
    folder.mkdir(parents=True, exist_ok=True)
    with (data / "fsdd" / "index.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if speaker in ("", row["speaker"])]
    if not speaker:  # of what it learned: only to be heard beside the reading
        rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[:50]]
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "speaker", "split"])
        for row in rows:
            path = (data / "fsdd" / row["path"]).resolve()
            writer.writerow([path, row["label"], row["speaker"], "test"])
    heard = work / "unheard"
    shutil.rmtree(heard, ignore_errors=True)
    heard.mkdir()
    for path in readers:
        shutil.copy(path, heard / path.name)
    tree = evaluate(model, Materials(folder, (heard,), (work / "noise" / "second",), (10.0,)))
    words = {one["condition"]: one for one in tree["words"] if one["state"] == "carried"}
    return {"said": words["clean"]["said"], "missed_clean": words["clean"]["missed"],
            "missed_10_db": words["10 dB"]["missed"],
            "others_10_db": words["10 dB"]["false_alarms"],
            "alarms": tree["negatives"]["false_alarms"], "hours": tree["negatives"]["hours"]}


def share(found: dict[str, dict[str, Any]], key: str) -> float:
    """Of all words of all people."""
    return float(sum(one[key] for one in found.values()) / sum(one["said"]
                                                                for one in found.values()))


def _row(name: str, one: dict[str, Any]) -> str:
    missed = [f"{one[key]} of {one['said']} ({one[key] / one['said']:.1%})"
              for key in ("missed_clean", "missed_10_db")]
    return (f"| {name} | {' | '.join(missed)} | {one['others_10_db']} | "
            f"{one['alarms'] / one['hours']:.0f} |")


def card(model: Path, found: dict[str, dict[str, Any]], whole: dict[str, Any], readers: int) -> str:
    """The model's card."""
    spec = bundle.read(model).spec
    rows = "\n".join(_row(name, one) for name, one in found.items())
    said = sum(one["said"] for one in found.values())

    def all_four(key: str) -> str:
        missed = sum(one[key] for one in found.values())
        low, high = wilson_interval(missed, said)
        return f"{missed} of {said} ({missed / said:.1%}; {low:.1%} to {high:.1%}, 95 %)"

    low, high = (end / whole["hours"] for end in poisson_interval(whole["alarms"]))
    return CARD.format(
        command=COMMAND, bytes=model.stat().st_size, sha256=spec.model_sha256,
        edgernn=spec.provenance["edgernn"], python=spec.provenance["python"],
        created=spec.provenance["created"][:10], rows=rows, clean=all_four("missed_clean"),
        noisy=all_four("missed_10_db"), alarms=whole["alarms"], hours=whole["hours"], low=low,
        high=high, readers=readers)


if __name__ == "__main__":
    main()
