"""`edgernn evaluate`: what a model answers, and what it misses and mistakes in endless audio."""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from edgernn.cli.models import BUNDLED, ModelPath
from edgernn.cli.numbers import FiniteRange
from edgernn.cli.progress import told
from edgernn.cli.scheduler import MANY, scheduler_option
from edgernn.interpreter import BACKENDS

USUAL_DB = "10"
LOUDEST_DB = 100
"""Of --snr; more is beyond 16 bits."""
MOST_ROWS = 20
"""Of a table that are printed; --json and --html have all."""


@click.command()
@click.argument("model", required=False, type=ModelPath())
@click.option("--positives", required=True, type=click.Path(path_type=Path),
              help="Data whose labels are the model's, in any layout that `edgernn train` reads.")
@click.option("--negatives", multiple=True, type=click.Path(path_type=Path),
              help="Audio in which nobody says them: files, or folders; may be repeated.")
@click.option("--noise", multiple=True, type=click.Path(path_type=Path),
              help="Noise to lay the words into: files, or folders; may be repeated.")
@click.option("--snr", metavar="DB,...",
              help="Decibels of the word over the noise, or over --negatives that go on under it; "
                   f"thresholds are tried at the lowest (default: {USUAL_DB}).")
@click.option("--split", type=click.Choice(["all", "train", "validation", "test"]), default="test",
              show_default=True, help="Which of them; people never trained on, if you can. Of data "
                                      "that marks no split, edgernn holds some out by --seed.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="Draws pauses, places in the noise, and the split of data that marks none.")
@click.option("--float", "run", type=click.Path(path_type=Path, file_okay=False), metavar="RUN",
              help="The run folder MODEL was quantized from: what float answers to the same.")
@click.option("--against", type=click.Path(path_type=Path), metavar="OTHER",
              help="Another .tflite on the same audio, with paired statistics.")
@click.option("--drift-hours", default=0.0, metavar="HOURS", type=FiniteRange(min=0),
              help="Also hear so many hours without a reset, and a burst of noise.")
@click.option("--backend", type=click.Choice(BACKENDS), default="auto", show_default=True,
              help="The interpreter to run the model in.")
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Keep features of recordings there, as `edgernn features` does.")
@scheduler_option("Hear --positives and --negatives",
                  f"local for {MANY} hours of negatives or more where Dask is installed, else none",
                  "All files must be at the same path for all workers.")
@click.option("--work", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Keep what was heard there: the same command goes on from it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write a report that needs nothing else: tables, plots, the model's card.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Draw misses against false alarms (DET), as .png, .svg or .pdf.")
def command(model: Path | None, positives: Path, negatives: tuple[Path, ...],
            noise: tuple[Path, ...], snr: str | None, split: str, seed: int, run: Path | None,
            against: Path | None, drift_hours: float, backend: str, cache: Path | None,
            scheduler: str, work: Path | None, as_json: bool, html: Path | None,
            plot: Path | None) -> None:
    """Ask MODEL about data whose truth is known, and count.

    What it answers to whole sequences, of any task that classifies or gives a number: right and
    wrong, by label and by speaker, with its state reset and carried over. A model that detects
    words also hears them and everything else as one endless stream; a detection is right from a
    word's beginning to 0.9 s after its end. Every count comes with its 95 % interval: no false
    alarm in two hours is not "0 an hour".
    """
    from edgernn import bundle, files
    from edgernn.cost.plot import needs_matplotlib
    from edgernn.train import evaluate_plot, svg
    from edgernn.train.evaluate_page import page
    from edgernn.train.evaluate_run import Beside, Materials, Means, evaluate
    from edgernn.train.features import FeatureCache
    from edgernn.train.spread import Spread

    if plot:
        needs_matplotlib(plot)
        if not negatives:
            raise click.UsageError("--plot draws misses against false alarms; --negatives, "
                                   "in which there may be some, were needed")
    if html:
        svg.load_matplotlib()  # missing, it is better missed before the work
    path = model or BUNDLED
    files.wanted(html, plot, read=(path, against, positives, *negatives, *noise))
    materials = Materials(positives, negatives, noise, decibels(
        snr, noise=noise, negatives=negatives), split, seed)
    with told("streams of words, then of negatives") as (tell, progress):
        tree = evaluate(path, materials, Beside(run, against, drift_hours), Means(
            backend, FeatureCache(cache) if cache else None, Spread(scheduler, work, tell), tell,
            progress))
    try:  # files first, a reader of what is printed may have had enough; but print in any case
        if plot:
            evaluate_plot.write(tree, plot)
        if html:
            made_by = shlex.join(["edgernn", *sys.argv[1:]])
            files.write(html, page(tree, bundle.read(path).spec, made_by).encode())
    finally:
        if as_json:
            click.echo(json.dumps(tree, indent=2))
        else:
            _print(tree)


def decibels(given: str | None, **over: Sequence[Path]) -> tuple[float, ...]:
    """Numbers between commas, one or more; the usual one where none are given.

    They are of words over some of the options named, of which one was needed.
    """
    text = USUAL_DB if given is None else given
    try:
        found = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        found = ()
    if not found or not all(abs(each) <= LOUDEST_DB for each in found):  # nan is not
        raise click.UsageError(f"--snr {text!r}: numbers between commas were needed, from "
                               f"{-LOUDEST_DB} to {LOUDEST_DB}, such as 20,10,5")
    if given is not None and not any(over.values()):
        raise click.UsageError(f"--snr {text!r} is of words over something; "
                               f"{' or '.join(f'--{name}' for name in over)} was needed")
    return found


def _print(tree: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from edgernn.train.evaluate_report import sections

    console = Console()
    for section in sections(tree):
        console.print(f"{section.title}: {section.text}", highlight=False, markup=False)
        for each in section.tables:
            table = Table(*each.heads, title=each.title, title_justify="left")
            for row in each.rows[:MOST_ROWS]:
                table.add_row(*map(escape, row))
            console.print(table)
            if len(each.rows) > MOST_ROWS:
                console.print(f"and {len(each.rows) - MOST_ROWS} more: --json or --html")
