"""Make the bundled wake-word model, edgernn/models/wakeword.tflite, and its card.

    .venv/bin/python tools/make_bundled_model.py --data ../shared/data --clones ../clones

Voices are spoken by espeak-ng, scenes put together, a GRU trained on them as `edgernn
train` does and quantized as `edgernn quantize` does, and all of it measured on the
validation speakers.  A network twice as large learns first, and its answers teach the small
one that is bundled.  About 45 minutes on two cores; every draw comes from --seed.

--clones holds clones of three public repositories (`materials.CLONES` says at which commits), in
which people say something else: some to learn from, others only to count false alarms in.
"""

import dataclasses
import json
import multiprocessing
import sys
from pathlib import Path

import click
import numpy as np
from card import write_card
from materials import (
    ALIKE,
    CLONES,
    RATE,
    WORDS,
    Materials,
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
from scene_pool import ScenePool, held_out_sequences
from scenes import SceneMaker
from trials import Measured, measure, trials_of

from edgernn import bundle
from edgernn.frames import Frame
from edgernn.frontend.logmel import LogMel
from edgernn.spec import DetectorSpec, LogMelSpec
from edgernn.step import StepModel
from edgernn.stream import Listener
from edgernn.train.config import TrainConfig
from edgernn.train.fit import teach
from edgernn.train.lessons import OTHER
from edgernn.train.material import Material
from edgernn.train.models import load as keras_model
from edgernn.train.quantize import quantize_run
from edgernn.train.sequences import Sequences

LABELS = (OTHER, *WORDS)
CONFIG = TrainConfig(
    task="spot", keywords=WORDS, cell="gru", units=52, layers=2, front=32, dropout=0.1,
    input_noise=0.1, batch=64, learning_rate=2e-3, average=0.995, early_stopping=False,
    warp=0.1, equalize_db=2.0)
TEACHER = dataclasses.replace(CONFIG, units=80, front=48, dropout=0.2, epochs=22)
"""Twice the weights, too large for the device: its answers teach the small one."""
DETECTOR = DetectorSpec({"computer": 0.16, "alexa": 0.56}, smoothing_ms=300, refractory_ms=1000)
"""Chosen in sight of the curve in the card; averages of 100 ms gave a quarter more false alarms."""
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
              help="Where the run folder goes.")
@click.option("--out", type=click.Path(path_type=Path),
              default="edgernn/models/wakeword.tflite",
              help="The model to write, its card beside it.")
@click.option("--pool", default=15000, help="Training scenes of 6 s made.")
@click.option("--scenes", default=5000, help="Scenes drawn from the pool for an epoch.")
@click.option("--epochs", default=45)
@click.option("--spoken", default=700, help="Times espeak-ng says each word alone.")
@click.option("--talk-hours", default=1.0,
              help="Of synthesized sentences in which false alarms are counted.")
@click.option("--seed", default=1)
@click.option("--processes", default=2, help="Processes that make scenes.")
@click.option("--reuse", is_flag=True, help="Keep the run folder's weights; only quantize again.")
@click.option("--keep-teacher", is_flag=True, help="Do not train a teacher that is there again.")
@click.option("--card-only", is_flag=True, help="Keep what was measured; write the card again.")
def main(data: Path, clones: Path, work: Path, out: Path, pool: int, scenes: int, epochs: int,
         spoken: int, talk_hours: float, seed: int, processes: int, reuse: bool,
         keep_teacher: bool, card_only: bool) -> None:
    """Make the bundled model and its card."""
    run = work / "run"
    if not card_only:
        if not reuse:
            print("espeak-ng speaks", file=sys.stderr)
            config = dataclasses.replace(CONFIG, scenes=scenes, epochs=epochs, seed=seed)
            train(gather(data, clones, seed, spoken), held_out(data), run, pool, config, processes,
                  keep_teacher)
        report = quantize_run(run, out, "int8x16", command=_command())
        say(model=str(out), bytes=report.bytes, reject_and_words=report.integers)
        finish(data, run, out, talk(data, talk_hours, seed, processes), strangers(clones))
    measured = Measured.of(json.loads((run / "spotting.json").read_text()))
    alike = json.loads((run / "alike.json").read_text())
    write_card(out.with_suffix(".md"), out, run, measured, _command(), alike, TIMES)
    say(**{name: value for name, value in measured.summary().items() if name != "curve"})


def _command() -> str:
    """What makes this model again, wherever the folders are."""
    given = click.get_current_context()
    options = [f"--{name} {value}" for name, value in given.params.items()
               if name in ("pool", "scenes", "epochs", "spoken", "seed")
               and value != next(p.default for p in given.command.params if p.name == name)]
    return " ".join(["python tools/make_bundled_model.py", *options])


def held_out(data: Path) -> Sequences:
    """What `quantize` tables: the validation speakers."""
    return held_out_sequences(clips(data, "validation"), noises(data, "second"), LABELS)


def train(materials: Materials, held: Sequences, run: Path, pool: int, config: TrainConfig,
          processes: int, keep_teacher: bool) -> None:
    """Make scenes, and train on them as `edgernn train` does."""
    codes, labels, weights = make_scenes(SceneMaker(materials), pool, config.seed, processes)
    say(scenes=len(codes), hours=round(labels.size / 180000, 2),
        word_frames=round(float((labels > 0).mean()), 4))
    scenes = ScenePool(dataclasses.replace(TEACHER, scenes=config.scenes, seed=config.seed), codes,
                       labels, weights)
    large = run.with_name(f"{run.name}-teacher")
    if not keep_teacher or not large.exists():
        teach(scenes.config, Material(LABELS, LogMelSpec(), scenes, held), large,
              lambda epoch: say(teacher=True, **vars(epoch)), overwrite=True)
    scenes = dataclasses.replace(scenes, config=config, answers=answered(large, codes))
    teach(config, Material(LABELS, LogMelSpec(), scenes, held, shares=True), run,
          lambda epoch: say(**vars(epoch)), overwrite=True)


def answered(run: Path, codes: NDArray[np.int16]) -> NDArray[np.float16]:
    """What a run's network answers on every frame of scenes, shape (scenes, frames, labels)."""
    model, frontend = keras_model(run / "model.keras"), LogMel(LogMelSpec())
    return np.concatenate([
        model.predict_on_batch(np.stack([frontend.features(one) for one in part]))
        .astype(np.float16) for part in np.array_split(codes, -(-len(codes) // 256))])


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


def finish(data: Path, run: Path, out: Path, said: list[NDArray[np.int16]],
           unheard: dict[str, list[Samples]]) -> None:
    """Give the model its detector, measure it, and write what was found into it and beside."""
    file = bundle.read(out)
    bundle.write(out, bundle.attach(
        file.flatbuffer, dataclasses.replace(file.spec, detector=DETECTOR)))
    measured = measure(run, out, trials_of(
        clips(data, "validation"), speech(data), noises(data, "second"), said, unheard))
    file = bundle.read(out)
    bundle.write(out, bundle.attach(file.flatbuffer, dataclasses.replace(
        file.spec, metrics={**file.spec.metrics, **measured.metrics()})))
    (run / "spotting.json").write_text(json.dumps(measured.summary(), indent=1) + "\n")
    (run / "alike.json").write_text(json.dumps(fired_by(out), indent=1) + "\n")


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
