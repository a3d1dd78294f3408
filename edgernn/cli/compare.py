"""`edgernn compare`: a grid of cells and widths on one data set."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

from edgernn.cli.scheduler import scheduler_option

ALIASES = {"rnn": "simple_rnn"}


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--cells", default="rnn,lstm,gru", show_default=True, metavar="A,B,...",
              help="Recurrent cells; rnn is simple_rnn.")
@click.option("--hidden", default="16,32,64,128", show_default=True, metavar="N,N,...",
              help="Units of the recurrent layer.")
@click.option("--out", default="comparison", show_default=True, type=click.Path(path_type=Path),
              help="Folder of the grid: a run and a .tflite per point, and the plot. Points that "
                   "are there are not trained again.")
@click.option("--profile", type=click.Choice(["int8", "int8x16", "int16x8"]), default="int8x16",
              show_default=True, help="How each model is quantized; another profile of a grid that "
                                      "is there trains nothing again.")
@click.option("--config", "config_file", type=click.Path(path_type=Path, dir_okay=False),
              help="YAML file of settings for every point, as `edgernn train` takes it.")
@click.option("--epochs", type=click.IntRange(1), help="Epochs at most (default: the recipe's).")
@click.option("--seed", type=click.IntRange(0), help="Of every point (default: the recipe's).")
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1,
              help="Points trained at a time, each on one core (default: one per core).")
@scheduler_option("Train the points", "none: as many --jobs at a time",
                  "OUT and DATA must be at the same path for all workers.", default="none")
@click.option("--noise", multiple=True, type=click.Path(path_type=Path, exists=True),
              help="As for `edgernn train`.")
@click.option("--negative", multiple=True, type=click.Path(path_type=Path, exists=True),
              help="As for `edgernn train`.")
@click.option("--hold-out", default="", metavar="SPEAKER", help="As for `edgernn train`.")
def command(data: tuple[Path, ...], cells: str, hidden: str, out: Path, profile: str,
            config_file: Path | None, epochs: int | None, seed: int | None, jobs: int,
            scheduler: str, noise: tuple[Path, ...], negative: tuple[Path, ...],
            hold_out: str) -> None:
    """Train every cell at every width on DATA and say what each costs and reaches.

    Prints one JSON line per point; a table and OUT/compare.png (and .svg) mark the Pareto
    front: the models that no other beats in both accuracy (integers, state carried) and
    cost. A point that fails is named, the others go on, and the exit code is 1; the same
    command tries it again.
    """
    from rich.console import Console

    from edgernn.train.compare import Material, Point, refuse
    from edgernn.train.compare_plot import check_matplotlib, draw
    from edgernn.train.config import load

    given = {"epochs": epochs, "seed": seed}
    config = load(config_file, {k: v for k, v in given.items() if v is not None})
    points = [Point(cell, units) for cell in _cells(cells) for units in _widths(hidden)]
    refuse(config)
    check_matplotlib()
    # As an exception, so that no point goes on without us.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    console = Console(stderr=True)
    lines = _train(console, Material(data, noise, negative, hold_out), out, points, config,
                   profile, jobs, scheduler)
    good = [line for line in lines if "error" not in line]
    if good:
        _time(good)
    for line in lines:
        print(json.dumps(line), flush=True)
    if good:
        name = ", ".join(path.name for path in data)
        draw(lines, out / "compare.png", f"{name}, {profile}, {good[0]['sequences']} "
                                         f"{good[0]['split']} sequences")
        _print_table(console, good)
        console.print(f"plot: {out / 'compare.png'} and .svg", highlight=False, soft_wrap=True)
    if len(good) < len(lines):
        raise click.ClickException(
            f"{len(lines) - len(good)} of {len(lines)} points failed, each for the reason above; "
            "the same command tries them again")


def _train(console: Any, material: Any, out: Path, points: list[Any], config: Any, profile: str,
           jobs: int, scheduler: str) -> list[dict[str, Any]]:
    """`compare`, with a bar, and the reason of each point that fails."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from edgernn.train.compare import compare

    columns = (TextColumn("points"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=len(points))

        def tell(point: Any, line: dict[str, Any]) -> None:
            bars.update(task, advance=1, description=f"{point.name} done")
            if "error" in line:
                console.print(f"{point.name}: {line['error']}", highlight=False, markup=False,
                              soft_wrap=True)

        def talk(message: str) -> None:
            console.print(message, highlight=False, markup=False, soft_wrap=True)

        return compare(material, out, points, config, profile, jobs, tell, scheduler, talk)


def _time(lines: list[dict[str, Any]]) -> None:
    """Add what a step takes here, after the training: other work would be measured with it.

    A model that no interpreter here runs gets null; its accuracy is known all the same.
    """
    from edgernn.cost import step_times
    from edgernn.errors import BackendError
    from edgernn.step import StepModel

    opened = []
    for line in lines:
        line.update(step_us=None, step_ratio=None, backend=None)
        try:
            opened.append((line, StepModel.open(line["model"])))
        except BackendError:
            continue
    times = step_times([model for _, model in opened])
    for (line, model), step_us in zip(opened, times, strict=True):
        line.update(step_us=round(step_us, 2), step_ratio=round(step_us / min(times), 2),
                    backend=model.runtime.name)


def _cells(given: str) -> list[str]:
    from edgernn.train.blocks import CELLS

    names = [ALIASES.get(name.strip(), name.strip()) for name in given.split(",") if name.strip()]
    unknown = [name for name in names if name not in CELLS]
    if unknown or not names:
        raise click.UsageError(f"--cells {given}: {unknown[0] if unknown else 'nothing'} is no "
                               f"cell; choose among rnn, {', '.join(CELLS)}")
    return list(dict.fromkeys(names))


def _widths(given: str) -> list[int]:
    parts = [part.strip() for part in given.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= 1024 for part in parts):
        raise click.UsageError(f"--hidden {given}: whole numbers from 1 to 1024 were needed, such "
                               "as 16,32,64")
    return sorted({int(part) for part in parts})


def _print_table(console: Any, lines: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from edgernn.train.measure import METRICS

    form = next(m.form for m in METRICS.values() if m.name == lines[0]["metric"])
    times = [line["step_us"] for line in lines if line["step_us"]]
    about = (f"time: of a step, by {next(line['backend'] for line in lines if line['backend'])}; "
             f"1 is the fastest, {min(times):.1f} us" if times
             else "time: no interpreter here runs these models")
    table = Table(title=f"{lines[0]['metric']}, {lines[0]['sequences']} {lines[0]['split']} "
                        "sequences, float and integer", title_justify="left", box=None,
                  padding=(0, 1), caption_justify="left",
                  caption="* Pareto front: no other is better both at that cost and in integers "
                          f"with the state carried\n{about}")
    for name in ("cell", "units", "float\nreset", "\ncarry", "int\nreset", "\ncarry", "bytes",
                 "macs\na step", "state\nbytes", "time"):
        table.add_column(name, justify="left" if name == "cell" else "right")
    for line in lines:
        reached = [format(line[kind][mode], form).rstrip("%") for kind in ("float", "integer")
                   for mode in ("reset", "carry")]
        costs = [f"{line[cost]:,}{'*' if line['pareto'][cost] else ' '}"
                 for cost in ("bytes", "macs", "state_bytes")]
        table.add_row(line["cell"], str(line["units"]), *reached, *costs,
                      f"{line['step_ratio']:.2f}" if line["step_ratio"] else "-")
    console.print(table)
