"""`edgernn evaluate`: what a model answers, and what it misses and mistakes in endless audio."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from edgernn.cli.models import BUNDLED
from edgernn.interpreter import BACKENDS

Tree = dict[str, Any]
MOST_ROWS = 40
"""Labels that are printed; --json and --html have all."""
GRID = tuple(round(0.05 * i, 2) for i in range(2, 20))
"""Thresholds that are tried."""
RARE_PER_HOUR = 0.1
"""One false alarm in ten hours, at which Picovoice's wake word benchmark reads the misses."""
MLPERF = 8
"""Misses and false alarms that MLPerf Tiny's streaming wake word rule allows at most."""


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option("--positives", required=True, type=click.Path(path_type=Path),
              help="Data whose labels are the model's, in any layout that `edgernn train` reads.")
@click.option("--negatives", multiple=True, type=click.Path(path_type=Path),
              help="Audio in which nobody says them: files, or folders; may be repeated.")
@click.option("--noise", multiple=True, type=click.Path(path_type=Path),
              help="Noise to lay the words into: files, or folders; may be repeated.")
@click.option("--snr", default="10", show_default=True, metavar="DB,...",
              help="Decibels of the word over each noise.")
@click.option("--split", type=click.Choice(["all", "train", "validation", "test"]), default="test",
              show_default=True, help="Which of them; people never trained on, if you can.")
@click.option("--seed", default=0, show_default=True, help="Draws pauses and places in the noise.")
@click.option("--float", "run", type=click.Path(path_type=Path, file_okay=False), metavar="RUN",
              help="The run folder MODEL was quantized from: what float answers to the same.")
@click.option("--against", type=click.Path(path_type=Path), metavar="OTHER",
              help="Another .tflite on the same audio, with paired statistics.")
@click.option("--drift-hours", default=0.0, metavar="HOURS", type=click.FloatRange(min=0),
              help="Also hear so many hours without a reset, and a burst of noise.")
@click.option("--backend", type=click.Choice(BACKENDS), default="auto", show_default=True,
              help="The interpreter to run the model in.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write a report that needs nothing else: tables, plots, the model's card.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Draw misses against false alarms (DET), as .png, .svg or .pdf.")
def command(model: Path | None, positives: Path, negatives: tuple[Path, ...],
            noise: tuple[Path, ...], snr: str, split: str, seed: int, run: Path | None,
            against: Path | None, drift_hours: float, backend: str, as_json: bool,
            html: Path | None, plot: Path | None) -> None:
    """Ask MODEL about data whose truth is known, and count.

    What it answers to whole sequences, of any task that classifies or gives a number: right and
    wrong, by label and by speaker, with its state reset and carried over. A model that detects
    words also hears them and everything else as one endless stream; a detection is right from a
    word's beginning to 0.9 s after its end. Every count comes with its 95 % interval: no false
    alarm in two hours is not "0 an hour".
    """
    from edgernn.cost.plot import needs_matplotlib
    from edgernn.train.evaluate_run import Beside, Materials, evaluate

    if plot:
        needs_matplotlib(plot)
    if html:
        from edgernn.train.svg import load_matplotlib

        load_matplotlib()  # missing, it is better missed before the work
    path = model or BUNDLED
    tree = evaluate(path, Materials(positives, negatives, noise, decibels(snr), split, seed),
                    backend, GRID, Beside(run, against, drift_hours))
    if plot and not tree.get("thresholds"):
        raise click.UsageError("--plot draws false alarms; --negatives, and a model that detects "
                               "words, were needed")
    protocols = _protocols(tree) if "words" in tree else []
    if as_json:
        click.echo(json.dumps(tree, indent=2))
    else:
        _print(tree, protocols)
    if plot:
        from edgernn.train import evaluate_plot

        evaluate_plot.write(tree, plot)
    if html:
        _write(html, path, tree, protocols)


def _write(html: Path, path: Path, tree: Tree, protocols: list[str]) -> None:
    from edgernn import bundle, files
    from edgernn.train.evaluate_page import page

    text = page(tree, bundle.read(path).spec, shlex.join(["edgernn", *sys.argv[1:]]), protocols)
    with files.replacing(html) as temporary:
        temporary.write_text(text, encoding="utf-8")


def decibels(text: str) -> tuple[float, ...]:
    """Numbers between commas."""
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise click.UsageError(f"--snr {text}: numbers between commas were needed, such as "
                               "20,10,5") from None


def _print(tree: Tree, protocols: list[str]) -> None:
    from rich.console import Console

    console = Console()
    for table in _answers(tree["answers"]):
        console.print(table)
    if "words" in tree:
        _print_words(console, tree)
    for line in protocols:
        console.print(line)
    if "against" in tree:
        _print_against(console, tree["against"])
    if "drift" in tree:
        console.print(_drift(tree["drift"]))


def _table(title: str, *heads: str) -> Any:
    from rich.table import Table

    return Table(*heads, title=title, title_justify="left")


def _answers(found: Tree) -> list[Any]:
    """What it answers to whole sequences."""
    kinds = [(name.replace("_", ", "), found[name])
             for name in ("reset", "carried", "float_reset", "float_carried") if name in found]
    if found["task"] == "regress":
        errors = _table("Numbers", "state", "rows", "rms error", "mean absolute", "rms at the end")
        for name, each in kinds:
            errors.add_row(name, str(each["rows"]), f"{each['rmse']:.4g}", f"{each['mae']:.4g}",
                           f"{each['last']['rmse']:.4g}")
        return [errors]
    whole = _table("Whole sequences", "state", "right", "95 %")
    for name, each in kinds:
        whole.add_row(name, f"{each['right']} of {each['of']}", _share(each["interval"]))
    by_label = _table("By label, state carried", "label", "right", "95 %", "said")
    for each in found["labels"][:MOST_ROWS]:
        by_label.add_row(each["label"], f"{each['right']} of {each['of']}",
                         _share(each["interval"]), str(each["given"]))
    tables = [whole, by_label]
    if found["speakers"]:
        by_speaker = _table("Speakers understood least", "speaker", "right", "95 %")
        for each in found["speakers"][:5]:
            by_speaker.add_row(each["speaker"], f"{each['right']} of {each['of']}",
                               _share(each["interval"]))
        tables.append(by_speaker)
    agree = _table("Frames with the same label on top", "of", "share")
    for name, value in found["agreement"].items():
        agree.add_row(name.replace("_", ", "), f"{value:.2%}")
    return [*tables, agree]


def _print_words(console: Any, tree: Tree) -> None:
    words = _table("Words missed in continuous audio", "words", "state", "missed", "95 %",
                   "late p50", "p90", "twice", "false alarms beside")
    for each in tree["words"]:
        words.add_row(each["condition"], each["state"], f"{each['missed']} of {each['said']}",
                      _share(each["miss_interval"]), _ms(each["delay_p50_s"]),
                      _ms(each["delay_p90_s"]), str(each["doubles"]), str(each["false_alarms"]))
    console.print(words)
    if tree["negatives"]:
        found = tree["negatives"]
        console.print(f"False alarms: {found['false_alarms']} in {found['hours']:.2f} h of what is "
                      f"no word: {found['per_hour']:.2f} an hour, 95 %: "
                      f"{found['interval'][0]:.2f} to {found['interval'][1]:.2f}")
        rates = _table("One threshold for all labels", "threshold", f"missed, {tree['read_at']}",
                       "false alarms an hour", "95 %")
        for each in tree["thresholds"]:
            rates.add_row(f"{each['threshold']:g}", f"{each['miss_rate']:.1%}",
                          f"{each['per_hour']:.2f}",
                          f"{each['interval'][0]:.2f} to {each['interval'][1]:.2f}")
        console.print(rates)


def _print_against(console: Any, found: Tree) -> None:
    table = _table(f"Against {Path(found['model']).name}, by {', '.join(found['labels'])}",
                   "words", "missed", "by the other", "found alone", "by the other", "p")
    for each in found["words"]:
        table.add_row(each["condition"], f"{each['missed']} of {each['said']}",
                      f"{each['missed_by_other']}", str(each["found_alone"]),
                      str(each["found_by_other_alone"]), f"{each['p']:.3g}")
    console.print(table)
    alarms = found["negatives"]
    if alarms:
        console.print(f"False alarms in {alarms['hours']:.2f} h: {alarms['false_alarms']} against "
                      f"{alarms['false_alarms_of_other']}, p {alarms['p']:.3g}")


def _drift(found: Tree) -> Any:
    again = found["recovery"]
    table = _table(f"Without a reset; after a burst of noise scores are back in "
                   f"{again['p50_s']:g} s (p90 {again['p90_s']:g} s, {again['never']} of "
                   f"{again['places']} never within 10 s)", "hours", "frames that agree", "rms")
    for each in found["parts"]:
        table.add_row(f"{each['hours']:.2f}", f"{each['agree']:.2%}", f"{each['rms']:.4f}")
    return table


def _share(interval: list[float]) -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}"


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{1000 * seconds:.0f} ms"


def _protocols(tree: Tree) -> list[str]:
    """What the field's protocols make of it, as far as there is audio enough."""
    if not tree["negatives"]:
        return ["Without --negatives nothing can be said of false alarms."]
    hours = tree["negatives"]["hours"]
    low = [each for each in tree["thresholds"] if each["interval"][1] <= RARE_PER_HOUR]
    said = [f"Picovoice's protocol: missed {low[0]['miss_rate']:.1%} at {low[0]['threshold']:g}, "
            "at most one false alarm in 10 h" if low else
            f"Picovoice's protocol (misses at one false alarm in 10 h): {hours:.2f} h of negatives "
            "cannot show so low a rate; 37 h without an alarm could"]
    worst = max(tree["words"], key=lambda each: each["missed"])
    alarms = tree["negatives"]["false_alarms"]
    held = worst["missed"] <= MLPERF and alarms <= MLPERF
    said.append(f"MLPerf Tiny's rule (at most {MLPERF} misses and {MLPERF} false alarms), on this "
                f"audio: {'held' if held else 'not held'} ({worst['missed']} missed of "
                f"{worst['said']} in {worst['condition']}, {alarms} false alarms)")
    return said

