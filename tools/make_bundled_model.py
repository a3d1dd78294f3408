"""Make the bundled wake-word model, edgernn/models/wakeword.tflite, and its card.

    .venv/bin/python tools/make_bundled_model.py --data ../shared/data

Voices are spoken by espeak-ng, scenes put together, a GRU trained on them, quantized
by `edgernn.train.quantize`, its thresholds chosen on people held out of training, and
all of it measured on the validation speakers.  About 20 minutes on two cores; every
draw comes from --seed.
"""

import dataclasses
import json
import multiprocessing
import sys
import time
from pathlib import Path

import click
import numpy as np
from card import write_card
from fit_scenes import as_sequences, fit, joined, write_run
from materials import WORDS, Clip, clips, gather, noises, speech
from numpy.typing import NDArray
from rich.progress import track
from scenes import SceneMaker
from trials import Measured, as_recorded, choose_thresholds, measure, mixed_trials, quiet, trials_of

from edgernn import bundle
from edgernn.spec import DetectorSpec, LogMelSpec
from edgernn.train.architecture import Architecture, Layer
from edgernn.train.quantize import quantize_run
from edgernn.train.sequences import Sequences

LABELS = ("reject", *WORDS)
LAYERS = (Layer("dense", 48, "relu"), Layer("gru", 80, "tanh"), Layer("gru", 64, "tanh"),
          Layer("dense", len(LABELS), "softmax"))
READER_FOLDS = 3
"""A model is trained without every third reader of the negative speech ..."""
SPEAKER_FOLDS = 6
"""... and without every sixth speaker of the wake words in the train split."""
BLOCK = 50
"""Scenes drawn from one seed."""

_maker: SceneMaker


@click.command(context_settings={"show_default": True})
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path),
              default="../shared/data", help="The folder that holds wakewords_picovoice.")
@click.option("--work", type=click.Path(path_type=Path), default="build/wakeword",
              help="Where the run folder goes.")
@click.option("--out", type=click.Path(path_type=Path), default="edgernn/models/wakeword.tflite",
              help="The model to write; its card goes beside it.")
@click.option("--fold", type=click.IntRange(0, READER_FOLDS - 1), default=0,
              help="Which people to hold out of training.  The bundled model is fold 0.")
@click.option("--scenes", default=16000, help="Training scenes of 6 s.")
@click.option("--epochs", default=10)
@click.option("--spoken", default=700, help="Times espeak-ng says each word alone.")
@click.option("--seed", default=1)
@click.option("--processes", default=2, help="Processes that make scenes.")
@click.option("--reuse", is_flag=True, help="Keep the run folder's weights; only quantize again.")
def main(data: Path, work: Path, out: Path, fold: int, scenes: int, epochs: int, spoken: int,
         seed: int, processes: int, reuse: bool) -> None:
    """Make the bundled model and its card."""
    run, began = work / f"fold{fold}", time.monotonic()
    speakers, readers = held_out(data, fold)
    if not reuse:
        train(data, run, speakers, readers, scenes, epochs, spoken, seed, processes)
    seconds = time.monotonic() - began
    command = "python tools/make_bundled_model.py " + " ".join(sys.argv[1:])
    report = quantize_run(run, out, "int8x16", command=command.strip())
    say(model=str(out), bytes=report.bytes, reject_and_words=report.int8_accuracy)
    measured = finish(data, run, out, speakers, readers)
    write_card(out.with_suffix(".md"), out, run, measured, command.strip(), seconds)
    say(**measured.summary())


def held_out(data: Path, fold: int) -> tuple[set[str], set[str]]:
    """Wake-word speakers and readers that the model of this fold never hears."""
    speakers = sorted({clip.speaker for clip in clips(data, "train")})
    readers = sorted(speech(data))
    rng = np.random.default_rng(5)  # not --seed: another seed must hold out the same people
    speakers, readers = list(rng.permutation(speakers)), list(rng.permutation(readers))
    return set(speakers[fold::SPEAKER_FOLDS]), set(readers[fold::READER_FOLDS])


def train(data: Path, run: Path, speakers: set[str], readers: set[str], count: int, epochs: int,
          spoken: int, seed: int, processes: int) -> None:
    """Make scenes, train, and write the run folder."""
    print("espeak-ng speaks", file=sys.stderr)
    materials = gather(data, seed, speakers, readers, spoken)
    features, labels, weights = make_scenes(SceneMaker(materials), count, seed, processes)
    say(scenes=len(features), hours=round(features.shape[0] * features.shape[1] / 180000, 2),
        word_frames=round(float((labels > 0).mean()), 4))
    architecture = Architecture(
        features=40, labels=LABELS, frontend=LogMelSpec(), layers=LAYERS, task="spot",
        detector=DetectorSpec(thresholds=dict.fromkeys(WORDS, 0.7)))
    arrays, losses = fit(architecture, features, labels, weights, epochs, seed)
    calibration = as_sequences(features[:300], labels[:300])
    people = [clip for clip in clips(data, "train") if clip.speaker in speakers]
    write_run(run, architecture, arrays, losses,
              joined(calibration, held_out_sequences(people, noises(data, "first"))))


def make_scenes(
    maker: SceneMaker, count: int, seed: int, processes: int
) -> tuple[NDArray[np.int8], NDArray[np.int8], NDArray[np.float32]]:
    """Scenes of all blocks, whatever the number of processes."""
    global _maker
    _maker = maker  # forked processes share it; pickling a gigabyte to each would not do
    jobs = [(seed, block) for block in range(-(-count // BLOCK))]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        found = list(track(pool.imap(_block, jobs), "scenes", len(jobs), transient=True))
    features, labels, weights = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return features, labels, weights


def _block(job: tuple[int, int]) -> tuple[NDArray, ...]:
    rng = np.random.default_rng(job)
    return tuple(np.stack(part) for part in zip(*(_maker(rng) for _ in range(BLOCK)), strict=True))


def held_out_sequences(people: list[Clip], noise: dict[str, NDArray[np.float32]]) -> Sequences:
    """The held-out speakers' clips at 10 dB SNR, for the table that `quantize` prints."""
    passages = mixed_trials(people, noise, 10)
    rows = [passage.rows for passage in passages]
    labels = np.array([LABELS.index(passage.said[0].label) for passage in passages])
    return Sequences(np.concatenate(rows), np.array([len(r) for r in rows]), labels,
                     np.full(len(rows), "validation"))


def finish(data: Path, run: Path, out: Path, speakers: set[str], readers: set[str]) -> Measured:
    """Choose the thresholds, measure, and write both into the model."""
    people = [clip for clip in clips(data, "train") if clip.speaker in speakers]
    talk = speech(data)
    chosen = choose_thresholds(
        out, mixed_trials(people, noises(data, "first"), 10) + quiet(people),
        [as_recorded(x, who) for who, x in talk.items()]
        + [as_recorded(x, name) for name, x in noises(data, "first").items()])
    file = bundle.read(out)
    bundle.write(out, bundle.attach(
        file.flatbuffer, dataclasses.replace(file.spec, detector=chosen)))
    measured = measure(run, out, trials_of(
        clips(data, "validation"), talk, noises(data, "second"), readers))
    file = bundle.read(out)
    bundle.write(out, bundle.attach(file.flatbuffer, dataclasses.replace(
        file.spec, metrics={**file.spec.metrics, **measured.metrics()})))
    (run / "spotting.json").write_text(json.dumps(measured.summary(), indent=1) + "\n")
    return measured


def say(**what: object) -> None:
    """One JSON line on stdout."""
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
