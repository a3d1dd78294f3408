"""Make the bundled wake-word model, edgernn/models/wakeword.tflite.

    .venv/bin/python tools/make_bundled_model.py --data ../shared/data --clones ../clones

Voices are spoken by espeak-ng, scenes put together, a GRU taught by them as `edgernn train` does,
and quantized as `edgernn quantize` does.  All of it is measured on the validation speakers and on
hours of people who taught it nothing; a card is written beside it.  About twenty minutes on two
cores.  Every draw comes from --seed and one thread teaches: it makes the same bytes again on the
same kind of processor.

The network goes on from the weights in tools/wakeword-start, whose README says what they learned
from and why it does not begin from nothing.

--clones holds clones of public repositories (`materials.CLONES` says at which commits), in
which people say something else: some to learn from, others only to count false alarms in.
"""

import dataclasses
import json
import multiprocessing
import os
import sys
from pathlib import Path

import click
import numpy as np
from card import write_card
from materials import (
    ALIKE,
    CLONES,
    NOISES,
    RATE,
    WORDS,
    Samples,
    Speaker,
    clips,
    gather,
    noises,
    speech,
    strangers,
    talk,
)
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scenes import SceneMaker
from trials import Measured, measure, mixed_trials, trials_of

from edgernn import bundle
from edgernn.frames import Frame
from edgernn.frontend.logmel import LogMel
from edgernn.spec import DetectorSpec, LogMelSpec
from edgernn.step import StepModel
from edgernn.stream import Listener
from edgernn.train.config import TrainConfig
from edgernn.train.fit import teach
from edgernn.train.lessons import OTHER, rows_of
from edgernn.train.material import Material
from edgernn.train.quantize import quantize_run
from edgernn.train.scene_pool import ScenePool
from edgernn.train.sequences import Sequences

LABELS = (OTHER, *WORDS)
CONFIG = TrainConfig(
    task="spot", keywords=WORDS, cell="gru", units=52, layers=2, front=32, dropout=0.0,
    input_noise=0.05, epochs=5, batch=128, learning_rate=5e-4, average=0.998,
    early_stopping=False, warp=0.1, equalize_db=2.0, scenes=10000)
"""So small a network has nothing to spare for dropout, once it knows the words: with it, it mistook
even what it had learned from for them."""
START = Path(__file__).resolve().with_name("wakeword-start") / "weights.npz"
DETECTOR = DetectorSpec({"computer": 0.26, "alexa": 0.5}, smoothing_ms=300)
"""Chosen in sight of the curves in the card."""
BLOCK = 50
"""Scenes drawn from one seed."""
TIMES = 10

_maker: SceneMaker


@click.command(context_settings={"show_default": True})
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path),
              default="../shared/data", help="The folder that holds wakewords_picovoice.")
@click.option("--clones", type=click.Path(exists=True, file_okay=False, path_type=Path),
              default="../clones", help=f"The folder that holds clones of {', '.join(CLONES)}.")
@click.option("--work", type=click.Path(path_type=Path), default="build/wakeword",
              help="Where scenes and the run folder go.")
@click.option("--out", type=click.Path(path_type=Path), default="edgernn/models",
              help="The folder to write the model to, its card beside it.")
@click.option("--pool", default=40000, help="Training scenes of 6 s.")
@click.option("--share", default=1.0, help="Of all epochs; less is for trying this program.")
@click.option("--spoken", default=700, help="Times espeak-ng says each word alone.")
@click.option("--talk-hours", default=1.0,
              help="Of synthesized sentences in which false alarms are counted.")
@click.option("--seed", default=3)
@click.option("--processes", default=2, help="Processes that make scenes.")
@click.option("--reuse", is_flag=True, help="Keep scenes and a run folder that are there.")
@click.option("--card-only", is_flag=True, help="Keep what was measured; write the card again.")
def main(data: Path, clones: Path, work: Path, out: Path, pool: int, share: float, spoken: int,
         talk_hours: float, seed: int, processes: int, reuse: bool, card_only: bool) -> None:
    """Make the bundled model and its card."""
    # More threads would add in another order.  Said before TensorFlow comes.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    run, scenes, model = work / "run", work / "scenes.npz", out / "wakeword.tflite"
    if not card_only:
        if not (reuse and scenes.exists()):
            print("espeak-ng speaks", file=sys.stderr)
            save_scenes(scenes, SceneMaker(gather(data, clones, seed, spoken, processes)), pool,
                        seed, processes)
        if not (reuse and run.exists()):
            learn(dataclasses.replace(CONFIG, seed=seed,
                                      epochs=max(1, round(share * CONFIG.epochs))),
                  scenes, held_out(data), run)
        report = quantize_run(run, model, "int8x16", command=_command())
        say(model=str(model), bytes=report.bytes, reject_and_words=report.integers)
        finish(data, work, run, model, talk(data, talk_hours, seed, processes), strangers(clones))
    found = json.loads((work / "measured.json").read_text(encoding="utf-8"))
    measured = Measured.of(found["measured"])
    write_card(model, run, measured, _command(), found["alike"], TIMES)
    say(**{key: value for key, value in measured.summary().items() if key != "curve"})


def _command() -> str:
    """What makes this model again, wherever the folders are."""
    given = click.get_current_context()
    options = [f"--{name} {value}" for name, value in given.params.items()
               if name in ("pool", "share", "spoken", "seed")
               and value != next(p.default for p in given.command.params if p.name == name)]
    return " ".join(["python tools/make_bundled_model.py", *options])


def held_out(data: Path) -> Sequences:
    """What `quantize` tables: clips of the validation speakers, each in one noise at 10 dB SNR."""
    passages = mixed_trials(clips(data, "validation"), noises(data, "second"), 10)
    passages = passages[::len(NOISES) + 1]  # a new noise each time
    labels = np.array([LABELS.index(passage.said[0].label) for passage in passages])
    return rows_of([passage.rows for passage in passages], labels, "validation")


def save_scenes(path: Path, maker: SceneMaker, count: int, seed: int, processes: int) -> None:
    """Make scenes, and write them as `ScenePool` takes them."""
    codes, labels, weights = make_scenes(maker, count, seed, processes)
    say(scenes=len(codes), hours=round(labels.size / 180000, 2),
        word_frames=round(float((labels > 0).mean()), 4))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez(file, codes=codes, labels=labels, weights=weights)


def learn(config: TrainConfig, scenes: Path, held: Sequences, run: Path) -> None:
    """Teach the network, as `edgernn train` does."""
    with np.load(scenes) as file:
        made = list(zip(file["codes"], file["labels"], file["weights"], strict=True))
    pool = ScenePool(config, LogMel(LogMelSpec()), len(made), made.__getitem__)
    material = Material(LABELS, LogMelSpec(), pool, held)
    with np.load(START) as start:
        teach(config, material, run, lambda epoch: say(**vars(epoch)), overwrite=True,
              start=dict(start))


def make_scenes(
    maker: SceneMaker, count: int, seed: int, processes: int
) -> tuple[NDArray[np.int16], NDArray[np.int8], NDArray[np.float32]]:
    """Scenes of all blocks, whatever the number of processes."""
    global _maker
    _maker = maker  # forked processes share it; pickling a gigabyte to each would not do
    jobs = [(seed, block) for block in range(-(-count // BLOCK))]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        found = list(track(pool.imap(_block, jobs), "scenes", len(jobs), transient=True,
                           console=Console(stderr=True)))
    codes, labels, weights = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return codes, labels, weights


def _block(job: tuple[int, int]) -> tuple[NDArray, ...]:
    rng = np.random.default_rng(job)
    return tuple(np.stack(part) for part in zip(*(_maker(rng) for _ in range(BLOCK)), strict=True))


def finish(data: Path, work: Path, run: Path, out: Path, said: list[NDArray[np.int16]],
           unheard: dict[str, list[Samples]]) -> None:
    """Give the model its detector, measure it, and write what was found into it and to `work`."""
    file = bundle.read(out)
    bundle.write(out, bundle.attach(
        file.flatbuffer, dataclasses.replace(file.spec, detector=DETECTOR)))
    measured = measure([run], out, trials_of(
        clips(data, "validation"), speech(data), noises(data, "second"), said, unheard))
    file = bundle.read(out)
    bundle.write(out, bundle.attach(file.flatbuffer, dataclasses.replace(
        file.spec, metrics={**file.spec.metrics, **measured.metrics()})))
    (work / "measured.json").write_text(json.dumps(
        {"measured": measured.summary(), "alike": fired_by(out)}, indent=1) + "\n")


def fired_by(model: Path) -> dict[str, int]:
    """How often each of `ALIKE` fires the model, of `TIMES` times that espeak-ng says it alone."""
    step, speaker = StepModel.open(model), Speaker(np.random.default_rng(3))
    found = {}
    for word in ALIKE:
        fired = 0
        for _ in range(TIMES):
            said = np.pad(np.rint(speaker.say(word)[0]).astype(np.int16), (RATE, RATE))
            fired += any(Listener(step.fork()).push(Frame(said, 0.0)))
        found[word] = fired
    return found


def say(**what: object) -> None:
    """One JSON line on stdout."""
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
