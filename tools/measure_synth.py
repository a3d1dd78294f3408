"""What synthetic voices alone reach, and what recordings of people add to them.

    python tools/measure_synth.py --data ../shared/data --work build/measure-synth

"computer" is spoken by espeak-ng as `edgernn new` does, and learned by its recipe: alone, with 10,
50 and all recordings of people, and without and with read speech to reject, or with what the same
people say besides.  Everything is judged
on people never trained on: the validation speakers at 10 dB in noise, and the half of the readers
that no model heard (and other speech given by --unheard), int8x16, state carried.  Models differ
in how easily they fire, so they are compared where each has as many false alarms: at the lowest
threshold that keeps to so many.
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
from materials import OTHER_WORDS

from edgernn.synth import corpus
from edgernn.synth.plan import Wish
from edgernn.train import mix
from edgernn.train.evaluate_run import Materials, evaluate
from edgernn.train.fit import fit
from edgernn.train.new import PROFILE, RECIPE
from edgernn.train.quantize import quantize_run
from edgernn.train.readers import load, read
from edgernn.train.readers.audio import read_sounds, sound_files

WORD = "computer"
ROWS = ((0, ""), (10, ""), (50, ""), (300, ""), (0, "readers"), (10, "readers"), (50, "readers"),
        (300, "readers"), (300, "people"))
"""Recordings of people, and what is learned to be rejected: nothing but what is spoken, 28 readers,
or these and other words by the people of the train split (`--benchmark`)."""


@click.command(context_settings={"show_default": True})
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path),
              default="../shared/data")
@click.option("--work", type=click.Path(path_type=Path), default="build/measure-synth",
              help="Where all is kept; what is there is not made again.")
@click.option("--count", default=800, help="Times the word, and as often others, are spoken.")
@click.option("--epochs", default=20)
@click.option("--unheard", multiple=True, type=click.Path(exists=True, path_type=Path),
              help="More speech, which no model learns from, to count false alarms in.")
@click.option("--benchmark", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="A clone of Picovoice/wake-word-benchmark, for the last row.")
@click.option("--rows", default="", help="Which to make, such as 0,4 (default: all).")
def main(data: Path, work: Path, count: int, epochs: int, unheard: tuple[Path, ...],
         benchmark: Path | None, rows: str) -> None:
    """Print a JSON line for each row."""
    spoken = work / "spoken"
    print("espeak-ng speaks", file=sys.stderr)
    corpus.make(Wish((WORD,), count, count, 0, rooms=40), spoken, "tools/measure_synth.py")
    readers = sound_files([data / "negative_speech"])
    heard = (_copied(readers[1::2], work / "unheard"), *unheard)
    chosen = [ROWS[int(i)] for i in rows.split(",")] if rows else ROWS
    for clips, rejects in chosen:
        name = f"{clips}-{rejects}".rstrip("-")
        negatives = readers[::2] if rejects else []
        if rejects == "people":
            if benchmark is None:
                raise click.UsageError("other words by the same people need --benchmark FOLDER")
            negatives = [*negatives, *(benchmark / "audio" / one for one in
                                       OTHER_WORDS.read_text(encoding="utf-8").splitlines())]
        model = work / f"{name}.tflite"
        if not model.exists():
            _train(data, spoken, work, name, clips, negatives, epochs)
            quantize_run(work / name, model, PROFILE, command="tools/measure_synth.py")
        print(json.dumps({"people": clips, "rejects": rejects,
                          **_judged(model, data, heard)}), flush=True)


def _train(data: Path, spoken: Path, work: Path, name: str, clips: int, negatives: list[Path],
           epochs: int) -> None:
    config = dataclasses.replace(RECIPE, keywords=(WORD,), epochs=epochs)
    sets = [load(spoken)]
    if clips:
        sets.append(read(_people(data, work / f"people-{clips}", clips)))
    fit(config, mix.join(sets, lambda message: None), work / name,
        lambda epoch: print(json.dumps({"row": name, **vars(epoch)}), file=sys.stderr),
        negatives=read_sounds(negatives, config.sample_rate_hz))


def _people(data: Path, folder: Path, count: int) -> Path:
    """So many clips of the train split, of as many speakers as there are."""
    source = data / "wakewords_picovoice"
    with (source / "index.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file)
                if (row["split"], row["label"]) == ("train", WORD)]
    rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    seen: dict[str, int] = {}
    for row in rows:  # the first of each speaker, then the second of each ...
        row["turn"] = seen[row["speaker_cluster"]] = seen.get(row["speaker_cluster"], 0) + 1
    rows.sort(key=lambda row: row["turn"])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "speaker", "split"])
        for row in rows[:count]:
            shutil.copy(source / row["path"], folder / Path(row["path"]).name)
            writer.writerow([Path(row["path"]).name, WORD, row["speaker_cluster"], "train"])
    return folder


def _copied(paths: list[Path], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        shutil.copy(path, folder / path.name)
    return folder


def _judged(model: Path, data: Path, heard: tuple[Path, ...]) -> dict[str, Any]:
    """Words missed with at most so many false alarms in the speech that nobody learned."""
    found = evaluate(model, Materials(
        data / "wakewords_picovoice", heard,
        (data / "background_noise",), (10.0,), "validation"))
    words = next(one for one in found["words"] if one["state"] == "carried"
                 and one["condition"] == found["read_at"])
    told: dict[str, Any] = {"said": words["said"], "hours": found["negatives"]["hours"]}
    for most in (0, 1, 5):
        fits = [one for one in found["thresholds"] if one["false_alarms"] <= most]
        best = min(fits, key=lambda one: one["missed"], default=None)
        told[f"missed_at_{most}_false_alarms"] = best and best["missed"]
    told["at_half"] = {"missed": words["missed"],
                       "false_alarms": found["negatives"]["false_alarms"]}
    return told


if __name__ == "__main__":
    main()
