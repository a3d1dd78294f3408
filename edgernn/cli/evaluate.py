"""`edgernn evaluate`: what a wake word model misses and mistakes in continuous audio."""

import json
from pathlib import Path
from typing import Any

import click

from edgernn.cli.models import BUNDLED
from edgernn.interpreter import BACKENDS

GRID = tuple(round(0.05 * i, 2) for i in range(2, 20))
"""Thresholds that are tried."""
RARE_PER_HOUR = 0.1
"""One false alarm in ten hours, at which Picovoice's wake word benchmark reads the misses."""
MLPERF = 8
"""Misses and false alarms that MLPerf Tiny's streaming wake word rule allows at most."""


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option("--positives", required=True, type=click.Path(path_type=Path),
              help="Words: a folder label/*.wav, Speech Commands, or an index.csv; labels as the "
                   "model's.")
@click.option("--negatives", multiple=True, type=click.Path(path_type=Path),
              help="Audio in which nobody says them: files, or folders; may be repeated.")
@click.option("--noise", multiple=True, type=click.Path(path_type=Path),
              help="Noise to lay the words into: files, or folders; may be repeated.")
@click.option("--snr", default="10", show_default=True, metavar="DB,...",
              help="Decibels of the word over each noise.")
@click.option("--split", type=click.Choice(["all", "train", "validation", "test"]), default="test",
              show_default=True, help="Which of the words; people never trained on, if you can.")
@click.option("--seed", default=0, show_default=True, help="Draws pauses and places in the noise.")
@click.option("--backend", type=click.Choice(BACKENDS), default="auto", show_default=True,
              help="The interpreter to run the model in.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Draw misses against false alarms (DET), as .png, .svg or .pdf.")
def command(model: Path | None, positives: Path, negatives: tuple[Path, ...],
            noise: tuple[Path, ...], snr: str, split: str, seed: int, backend: str, as_json: bool,
            plot: Path | None) -> None:
    """Hear words and everything else as one endless stream, and count what MODEL makes of it.

    The int8 step with its own frontend and detector, its state carried on and, to compare, reset
    before every word. A detection is right from a word's beginning to 0.9 s after its end. Every
    count comes with its 95 % interval: no false alarm in two hours is not "0 an hour".
    """
    from edgernn.cost.plot import needs_matplotlib
    from edgernn.train.evaluate_run import Materials, evaluate

    if plot:
        needs_matplotlib(plot)
    tree, curve = evaluate(model or BUNDLED, Materials(positives, negatives, noise, decibels(snr),
                                                       split, seed), backend, GRID)
    if as_json:
        click.echo(json.dumps(tree | {"thresholds": curve}, indent=2))
    else:
        _print(tree, curve)
    if plot:
        from edgernn.train.evaluate_plot import draw

        draw(tree, curve, plot)


def decibels(text: str) -> tuple[float, ...]:
    """Numbers between commas."""
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise click.UsageError(f"--snr {text}: numbers between commas were needed, such as "
                               "20,10,5") from None


def _print(tree: dict[str, Any], curve: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    words = Table("words", "state", "missed", "95 %", "late p50", "p90", "twice",
                  "false alarms beside", title="Words missed", title_justify="left")
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
        rates = Table("threshold", f"missed, {tree['read_at']}", "false alarms an hour", "95 %",
                      title="One threshold for all labels", title_justify="left")
        for each in curve:
            rates.add_row(f"{each['threshold']:g}", f"{each['miss_rate']:.1%}",
                          f"{each['per_hour']:.2f}",
                          f"{each['interval'][0]:.2f} to {each['interval'][1]:.2f}")
        console.print(rates)
    for line in _protocols(tree, curve):
        console.print(line)


def _share(interval: list[float]) -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}"


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{1000 * seconds:.0f} ms"


def _protocols(tree: dict[str, Any], curve: list[dict[str, Any]]) -> list[str]:
    """What the field's protocols make of it, as far as there is audio enough."""
    if not tree["negatives"]:
        return ["Without --negatives nothing can be said of false alarms."]
    hours = tree["negatives"]["hours"]
    low = [each for each in curve if each["interval"][1] <= RARE_PER_HOUR]
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

