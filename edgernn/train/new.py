"""A wake word from nothing: spoken, learned, quantized, given thresholds, and judged.

What `edgernn synth`, `train`, `quantize`, `calibrate` and `evaluate` do, one after another in
one folder.  What was spoken and learned is not spoken and learned again.
"""

import csv
import dataclasses
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgernn import bundle, files
from edgernn.errors import DataError
from edgernn.synth import corpus, folder
from edgernn.synth.plan import OTHER, Wish
from edgernn.train import evaluate_page, mix
from edgernn.train.config import TrainConfig
from edgernn.train.dataset import DataSet, Samples, Tell, once
from edgernn.train.evaluate_run import Beside, Materials, Means, calibrated, evaluate
from edgernn.train.fingerprint import fingerprint
from edgernn.train.fit import fit
from edgernn.train.loop import Epoch
from edgernn.train.quantize import quantize_run
from edgernn.train.readers import load, read
from edgernn.train.readers.audio import read_sounds

RECIPE = TrainConfig(task="spot", units=64, layers=2, front=48, dropout=0.2, input_noise=0.1,
                     batch=64, learning_rate=2e-3, average=0.995, carry=0.5, warp=0.1,
                     equalize_db=2.0, scenes=1500, early_stopping=False)
"""What a word is learned by; epochs, keywords and seed are asked for.

Lessons begin with the state that others left, half of them: a device never resets, and a
model that has only ever begun anew does not hear a word after a sentence.
"""
PROFILE = "int8x16"
CONTENT = {name: f"{name} content" for name in ("positives", "negatives", "noise")}
"""What is kept of recordings that are given: which there were."""
SETTINGS = "order.json"
PHONEMES = "[["
"""How the text of a confusable phrase begins."""


@dataclass(frozen=True)
class Order:
    """What is wanted."""

    phrases: tuple[str, ...]
    out: Path
    count: int = 1200
    epochs: int = 30
    seed: int = 0
    rooms: int = 40
    positives: Path | None = None
    """Recordings of the phrases by people, in folders of their names, to learn from too."""
    negatives: tuple[Path, ...] = ()
    noise: tuple[Path, ...] = ()
    per_hour: float = 0.5
    """False alarms that thresholds are chosen for."""

    def settings(self) -> dict[str, Any]:
        """All but the folder, and what data there is in those given, fit for JSON."""
        found = dataclasses.asdict(self)
        del found["out"]
        for name, content in CONTENT.items():
            given = getattr(self, name)
            if given:
                found[content] = fingerprint([given] if name == "positives" else given, self.out)
        return json.loads(json.dumps(found, default=str))

    @property
    def data(self) -> Path:
        """Folder of what was spoken."""
        return self.out / "data"

    @property
    def run(self) -> Path:
        """Run folder."""
        return self.out / "run"

    @property
    def model(self) -> Path:
        """The finished model."""
        return self.out / f"{'-'.join(self.phrases[0].split())}.tflite"


@dataclass(frozen=True)
class Watch:
    """Who is told how far it is."""

    stage: Callable[[str], None] = lambda name: None
    spoken: Callable[[int, int], None] = lambda done, total: None
    learned: Callable[[Epoch], None] = lambda epoch: None
    tell: Tell = lambda message: None
    """Told what was left out and why, each thing once."""


@dataclass(frozen=True)
class Given:
    """What is learned from besides what is spoken."""

    data: tuple[DataSet, ...] = ()
    """Recordings of the phrases by people."""
    negatives: tuple[Samples, ...] = ()

    @classmethod
    def of(cls, order: Order, tell: Tell) -> "Given":
        """What is given to an order; noise is read too, to refuse it as early as the others.

        Raises
        ------
        DataError
            If there is nothing usable in it, or recordings of people say something else.
        """
        read_sounds(order.noise, RECIPE.sample_rate_hz, tell)
        negatives = read_sounds(order.negatives, RECIPE.sample_rate_hz, tell)
        if not order.positives:
            return cls((), negatives)
        own = read(order.positives, seed=order.seed, tell=tell)
        unknown = sorted(set(own.labels) - {*order.phrases, OTHER})
        if unknown:
            raise DataError(f"{order.positives} has the label {unknown[0]!r}; a folder named "
                            f"{order.phrases[0]!r} was needed, and {OTHER} for anything else")
        return cls((own,), negatives)


def make(order: Order, command: str, watch: Watch = Watch()) -> dict[str, Any]:
    """Make the model of an order, from where it was left.

    Returns
    -------
    dict
        What `evaluate` found, on voices that were never trained on.

    Raises
    ------
    DataError, ConfigError, OutputError
    """
    means = Means(tell=once(watch.tell))  # it is read to learn, to choose and to judge
    # Refused, if it is, before anything is spoken, or kept as the order of this folder.
    learned = order.run.exists()
    given = Given() if learned else Given.of(order, means.tell)
    folder.begin(order.out, order.settings(), SETTINGS,
                 ("per_hour", *(() if learned else CONTENT.values())))
    watch.stage("speaking")
    wish = Wish(order.phrases, order.count, order.count, order.seed, rooms=order.rooms)
    corpus.make(wish, order.data, command, progress=watch.spoken)
    if not learned:
        watch.stage("training")
        _train(order, given, watch, means.tell)
    watch.stage("quantizing")
    whole = order.model.with_suffix(".uncalibrated.tflite")
    quantize_run(order.run, whole, PROFILE, command=command)
    watch.stage("choosing thresholds")
    chosen = calibrated(whole, _materials(order, "validation", alike=False), order.per_hour, means)
    made = bundle.read(whole)
    bundle.write(order.model, bundle.attach(made.flatbuffer, dataclasses.replace(
        made.spec, detector=chosen.detector)))
    whole.unlink()
    watch.stage("evaluating")
    tree = evaluate(order.model, _materials(order, "test"), Beside(order.run), means)
    page = evaluate_page.page(tree, bundle.read(order.model).spec, command)
    files.write(order.out / "report.html", page.encode())
    files.write(order.out / "README.md", _readme(order, command, tree).encode())
    return tree


def _train(order: Order, given: Given, watch: Watch, tell: Tell) -> None:
    config = dataclasses.replace(RECIPE, keywords=order.phrases, epochs=order.epochs,
                                 seed=order.seed)
    spoken = load(order.data, noise=order.noise, seed=order.seed, tell=tell)
    fit(config, mix.join([spoken, *given.data], tell), order.run, watch.learned,
        negatives=given.negatives)


def _materials(order: Order, split: str, alike: bool = True) -> Materials:
    """The words of a split, and what else was said by its voices.

    Without `alike`, sentences alone: an hour of nothing but phrases that sound like the word is
    no hour of anybody's life, and would make every threshold too high.
    """
    with (order.data / "index.csv").open(newline="", encoding="utf-8") as file:
        other = tuple(order.data / line["path"] for line in csv.DictReader(file)
                      if line["label"] == OTHER and line["split"] == split
                      and (alike or not line["text"].startswith(PHONEMES)))
    return Materials(order.data, other, order.noise, (10.0,), split, order.seed)


README = """\
# {names}

Made by

    {command}

from recordings that espeak-ng spoke (GPL-3.0 software; what it says is yours), and heard with

    edgernn stream --model {model}

On the {voices} synthesized recordings of voices never trained on, int8, state carried: {missed}
missed ({low:.1%} to {high:.1%}, 95 %), {alarms} false alarms in {hours:.2f} h of other speech
({least:.2f} to {most:.2f} an hour). People sound different from synthesizers: record some
(`edgernn evaluate {model} --positives FOLDER`) before you believe this. report.html says more.
"""


def _readme(order: Order, command: str, tree: dict[str, Any]) -> str:
    words = [each for each in tree["words"] if each["state"] == "carried"][-1]
    alarms = tree["negatives"]
    return README.format(
        names=", ".join(order.phrases), command=command, model=shlex.quote(str(order.model)),
        voices=words["said"], missed=words["missed"], low=words["miss_interval"][0],
        high=words["miss_interval"][1], alarms=alarms["false_alarms"], hours=alarms["hours"],
        least=alarms["interval"][0], most=alarms["interval"][1])
