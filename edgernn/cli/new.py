"""`edgernn new`: a wake word model from nothing but its phrase."""

import json
import shlex
import signal
import sys
from pathlib import Path

import click

from edgernn.cli.numbers import FiniteRange
from edgernn.cli.synth import spoken_phrases


@click.command()
@click.argument("phrases", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True,
              help="Folder to make, or to go on with.")
@click.option("--count", type=click.IntRange(50), default=1200, show_default=True,
              help="Recordings to synthesize of each phrase, and as many of other things.")
@click.option("--epochs", type=click.IntRange(1), default=30, show_default=True)
@click.option("--positives", type=click.Path(path_type=Path, exists=True), metavar="DIR",
              help="Recordings of people to learn from too: DIR/PHRASE/*.wav.")
@click.option("--negatives", multiple=True, type=click.Path(path_type=Path, exists=True),
              help="Speech without the phrases to learn from: files or folders.")
@click.option("--noise", multiple=True, type=click.Path(path_type=Path, exists=True),
              help="Noise to learn and be judged in: files or folders.")
@click.option("--max-false-alarms-per-hour", "per_hour", default=0.5, show_default=True,
              type=FiniteRange(0, min_open=True), help="What thresholds are chosen for.")
@click.option("--rooms", type=click.IntRange(0), default=40, show_default=True,
              help="Rooms that half of the recordings are spoken in.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def command(phrases: tuple[str, ...], out: Path, count: int, epochs: int, positives: Path | None,
            negatives: tuple[Path, ...], noise: tuple[Path, ...], per_hour: float, rooms: int,
            seed: int) -> None:
    """Make a model that listens for PHRASES, without a recording.

    Speaks them (`edgernn synth`), learns them, quantizes, chooses thresholds on voices that
    were not trained on, and judges all of it on other voices again. The same command goes on
    where it was stopped. Needs: pip install "edgernn[synth,train]".
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from edgernn.train.new import Order, Watch, make

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    order = Order(spoken_phrases(phrases), out, count, epochs, seed, rooms, positives, negatives,
                  noise, per_hour)
    console = Console(stderr=True)
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(),
                  console=console) as bars:
        tasks: list[int] = []

        def stage(name: str) -> None:
            for task in tasks[-1:]:
                bars.update(bars.task_ids[task], total=1, completed=1)
            bars.add_task(name, total=None)
            tasks.append(len(tasks))

        def tell(message: str) -> None:
            console.print(message, highlight=False, markup=False, soft_wrap=True)

        watch = Watch(stage,
                      lambda done, total: bars.update(bars.task_ids[-1], completed=done,
                                                      total=total),
                      lambda epoch: bars.update(bars.task_ids[-1], completed=epoch.epoch,
                                                total=epochs),
                      tell)
        tree = make(order, shlex.join(["edgernn", *sys.argv[1:]]), watch)
        stage("done")
        bars.remove_task(bars.task_ids[-1])
    words = [each for each in tree["words"] if each["state"] == "carried"][-1]
    alarms = tree["negatives"]
    low, high = words["miss_interval"]
    console.print(
        f"Of voices never trained on, {words['condition']}: {words['missed']} of {words['said']} "
        f"missed ({low:.1%} to {high:.1%}); {alarms['false_alarms']} false alarms in "
        f"{alarms['hours']:.2f} h, up to {alarms['interval'][1]:.1f} an hour. People sound "
        "different: try your own voice.", highlight=False)
    console.print(f"edgernn stream --model {shlex.quote(str(order.model))}", highlight=False)
    click.echo(json.dumps({"model": str(order.model), "report": str(out / "report.html"),
                           "missed": words["missed"], "said": words["said"],
                           "false_alarms": alarms["false_alarms"], "hours": alarms["hours"]}))
