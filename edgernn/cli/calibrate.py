"""`edgernn calibrate`: a detector for a wanted rate of false alarms."""

import dataclasses
import json
from pathlib import Path

import click

from edgernn.cli.evaluate import USUAL_DB, decibels
from edgernn.cli.models import ModelPath
from edgernn.cli.numbers import FiniteRange
from edgernn.cli.progress import told
from edgernn.cli.scheduler import MANY, scheduler_option
from edgernn.interpreter import BACKENDS


@click.command()
@click.argument("model", type=ModelPath())
@click.option("--positives", required=True, type=click.Path(path_type=Path),
              help="Words, as `edgernn evaluate` takes them.")
@click.option("--negatives", multiple=True, required=True, type=click.Path(path_type=Path),
              help="Audio in which nobody says them: files, or folders; may be repeated.")
@click.option("--noise", multiple=True, type=click.Path(path_type=Path),
              help="Noise to lay the words into: files, or folders; may be repeated.")
@click.option("--snr", metavar="DB,...",
              help="Decibels of the word over the noise; of several the lowest counts "
                   f"(default: {USUAL_DB}).")
@click.option("--split", type=click.Choice(["all", "train", "validation", "test"]),
              default="validation", show_default=True,
              help="Which of the words; not those that the model will be judged by.")
@click.option("--max-false-alarms-per-hour", "per_hour", type=FiniteRange(0, min_open=True),
              default=0.5, show_default=True, help="What is wanted.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="Draws pauses, places in the noise, and the split of data that marks none.")
@click.option("--backend", type=click.Choice(BACKENDS), default="auto", show_default=True,
              help="The interpreter to run the model in.")
@scheduler_option("Hear --negatives", f"local for {MANY} hours or more where Dask is installed, "
                  "else none", "All files must be at the same path for all workers.")
@click.option("--work", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Keep what was heard there: the same command goes on from it.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE",
              help="Where to write the model (default: in its place).")
def command(model: Path, positives: Path, negatives: tuple[Path, ...], noise: tuple[Path, ...],
            snr: str | None, split: str, per_hour: float, seed: int, backend: str,
            scheduler: str, work: Path | None, out: Path | None) -> None:
    """Choose each label's threshold, smoothing, hysteresis and refractory time, for MODEL.

    Of each label: the threshold that keeps to its part of the rate on the audio given and misses
    least, the highest of these, and the smoothing that misses least with it; then the hysteresis
    and refractory time with which the fewest words are missed or told twice. Says when there is
    too little audio to promise the rate.
    """
    from edgernn import bundle, files
    from edgernn.errors import DataError, ModelError
    from edgernn.train.evaluate_run import Materials, Means, calibrated
    from edgernn.train.spread import Spread

    whole = bundle.read(model)
    if whole.parts or whole.foreign:
        raise ModelError(f"{model} is a model of several parts, or not edgernn's; one that edgernn "
                         "quantize made of one part was needed")
    files.wanted(out, read=(positives, *negatives, *noise))
    materials = Materials(positives, negatives, noise, decibels(snr, noise=noise), split, seed)
    with told("streams of negatives") as (tell, progress):
        found = calibrated(model, materials, per_hour, Means(
            backend, spread=Spread(scheduler, work, tell), tell=tell, progress=progress))
    hours, bound = found.others.seconds / 3600, found.bound_per_hour()
    if (least := found.others.alarms_interval()[0]) > per_hour:
        raise DataError(f"{found.others.false_alarms} false alarms in {hours:.2f} h with the "
                        f"thresholds that fire least: {least:.2f} an hour or more (95 %), and at "
                        f"most {per_hour:g} were wanted. {model} is left as it was. Are the words "
                        "themselves in --negatives? Else ask for less, or train it on what it "
                        "mistakes")
    bundle.write(out or model, bundle.attach(whole.flatbuffer, dataclasses.replace(
        whole.spec, detector=found.detector)))
    click.echo(json.dumps({
        "model": str(out or model), **dataclasses.asdict(found.detector),
        "missed": found.words.missed, "missed_by": dict(found.words.missed_by),
        "said": found.words.said, "doubles": found.words.doubles,
        "false_alarms": found.others.false_alarms, "hours": round(hours, 3),
        "false_alarms_per_hour_below": round(bound, 3), "promised": bound <= per_hour}))
    if bound > per_hour:
        click.echo(f"edgernn: {found.others.false_alarms} false alarms in {hours:.2f} h leave up "
                   f"to {bound:.2f} an hour possible (95 %, one-sided): these data cannot promise "
                   f"{per_hour:g}. {3 / per_hour:.0f} h without one could", err=True)
