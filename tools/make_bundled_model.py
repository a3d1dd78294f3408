"""Make the bundled wake-word model, edgernn/models/wakeword.tflite.

    .venv/bin/python tools/make_bundled_model.py --data ../shared/data --clones ../clones

Voices are spoken by espeak-ng, scenes put together, a GRU taught by them as `edgernn train` does,
and quantized as `edgernn quantize` does.  All of it is measured on the validation speakers and on
hours of people who taught it nothing; a card is written beside it.  About twenty minutes on two
cores.  Every draw comes from --seed and the network is taught by one thread: from the same scenes
(--reuse) it makes the same bytes on the same kind of processor.  The scenes themselves are not
quite the same each time: of what espeak-ng says one in a hundred came out otherwise in a second
run, by some samples, which 6 of 1,000 scenes were made with.

Networks differ by luck far more than by recipe: of five begun from nothing, at 3 % of words
missed, 33, 52, 70, 80 and 341 false alarms were counted in the same 8.2 hours.  So the network
goes on from the weights of one that was lucky, tools/wakeword-start, whose README says what it
learned from (--from-nothing gives others of its kind).

--clones holds clones of public repositories (`materials.CLONES` says at which commits), in
which people say something else: some to learn from, others only to count false alarms in.
"""

import dataclasses
import json
import multiprocessing
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    input_noise=0.1, epochs=45, batch=64, learning_rate=2e-3, average=0.995, early_stopping=False,
    warp=0.1, equalize_db=2.0, scenes=5000)
TEACHER = {"units": 80, "front": 48, "dropout": 0.2, "epochs": 22}
"""About twice the weights: its answers teach the small one, which it is no better than."""
START = Path(__file__).resolve().with_name("wakeword-start") / "weights.npz"
AGAIN = {"epochs": 5, "batch": 128, "learning_rate": 5e-4, "average": 0.998, "scenes": 10000,
         "dropout": 0.0, "input_noise": 0.05}
"""At a lower rate.  So small a network has nothing to spare for dropout: it mistook even what it
had learned from for its words."""
DETECTOR = DetectorSpec({"computer": 0.25, "alexa": 0.62}, smoothing_ms=300)
"""Chosen in sight of the curves in the card."""
POOLS = 2
"""Each of scenes of its own seed."""
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
@click.option("--pool", default=20000, help="Training scenes of 6 s made from each of two seeds.")
@click.option("--share", default=1.0, help="Of all epochs; less is for trying this program.")
@click.option("--spoken", default=700, help="Times espeak-ng says each word alone.")
@click.option("--talk-hours", default=1.0,
              help="Of synthesized sentences in which false alarms are counted.")
@click.option("--seed", default=3)
@click.option("--processes", default=2, help="Processes that make scenes.")
@click.option("--from-nothing", is_flag=True,
              help="Teach it twice before, rather than go on from tools/wakeword-start.")
@click.option("--reuse", is_flag=True, help="Keep scenes and a run folder that are there.")
@click.option("--card-only", is_flag=True, help="Keep what was measured; write the card again.")
def main(data: Path, clones: Path, work: Path, out: Path, pool: int, share: float, spoken: int,
         talk_hours: float, seed: int, processes: int, from_nothing: bool, reuse: bool,
         card_only: bool) -> None:
    """Make the bundled model and its card."""
    run, model = work / "run", out / "wakeword.tflite"
    if not card_only:
        pools = [work / f"scenes-{seed + place}.npz" for place in range(POOLS)]
        if not reuse or not all(path.exists() for path in pools):
            print("espeak-ng speaks", file=sys.stderr)
            make_pools(gather(data, clones, seed, spoken, processes), pools, pool, seed, processes)
        job = Job(data, run, pools, share, reuse, from_nothing,
                  dataclasses.replace(CONFIG, seed=seed))
        # In a process of its own: how many threads there are is said before TensorFlow comes.
        with multiprocessing.get_context("spawn").Pool(1) as worker:
            worker.apply(learn, (job,))
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
    return " ".join(["python tools/make_bundled_model.py", *options,
                     *["--from-nothing"] * given.params["from_nothing"]])


def held_out(data: Path) -> Sequences:
    """What `quantize` tables: the validation speakers."""
    return held_out_sequences(clips(data, "validation"), noises(data, "second"), LABELS)


def make_pools(materials: Materials, pools: list[Path], count: int, seed: int, processes: int
               ) -> None:
    """Scenes of one seed after another, each into a file."""
    for place, path in enumerate(pools):
        codes, labels, weights = make_scenes(SceneMaker(materials), count, seed + place, processes)
        say(scenes=len(codes), hours=round(labels.size / 180000, 2),
            word_frames=round(float((labels > 0).mean()), 4))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez(file, codes=codes, labels=labels, weights=weights)


@dataclass(frozen=True)
class Job:
    """How the network is taught."""

    data: Path
    run: Path
    """The run folder to write."""
    pools: list[Path]
    """Files of scenes."""
    share: float
    """Of the epochs."""
    reuse: bool
    """Whether a run folder that is there is kept."""
    from_nothing: bool
    config: TrainConfig


def learn(job: Job) -> None:
    """Teach the network, as `edgernn train` does."""
    # More threads would add in another order, and every number of them in its own.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    held, run = held_out(job.data), job.run

    def short(**changes: Any) -> TrainConfig:
        chosen = dataclasses.replace(job.config, **changes)
        return dataclasses.replace(chosen, epochs=max(1, round(job.share * chosen.epochs)))

    def taught(out: Path, scenes: ScenePool, start: dict[str, NDArray[np.float32]] | None = None
               ) -> None:
        if not (job.reuse and out.exists()):
            material = Material(LABELS, LogMelSpec(), scenes, held,
                                shares=scenes.answers is not None)
            teach(scenes.config, material, out, lambda epoch: say(run=out.name, **vars(epoch)),
                  overwrite=True, start=start)

    start = START
    if job.from_nothing:
        first, large = (run.with_name(name) for name in ("first", "teacher"))
        own = pooled(job.pools[:1])
        taught(large, ScenePool(short(**TEACHER), *own))
        taught(first, ScenePool(short(), *own, answered(large, own[0])))
        start = first / "weights.npz"
    with np.load(start) as weights:
        taught(run, ScenePool(short(**AGAIN), *pooled(job.pools)), dict(weights))


def pooled(pools: list[Path]) -> tuple[NDArray[np.int16], NDArray[np.int8], NDArray[np.float32]]:
    """The scenes of some files: codes, labels and weights."""
    found = [np.load(path) for path in pools]
    codes, labels, weights = (np.concatenate([each[name] for each in found])
                              for name in ("codes", "labels", "weights"))
    return codes, labels, weights


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
