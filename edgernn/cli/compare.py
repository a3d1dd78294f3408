"""`edgernn compare`: a grid of cells and widths on one data set."""

import json
import os
from pathlib import Path
from typing import Any

import click

ALIASES = {"rnn": "simple_rnn"}


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option("--cells", default="rnn,lstm,gru", show_default=True, metavar="A,B,...",
              help="Recurrent cells; rnn is simple_rnn.")
@click.option("--hidden", default="16,32,64,128", show_default=True, metavar="N,N,...",
              help="Units of the recurrent layer.")
@click.option("--out", default="comparison", show_default=True, type=click.Path(path_type=Path),
              help="Folder of the grid: a run and a .tflite per point, and the plot. Points that "
                   "are there are not trained again.")
@click.option("--profile", type=click.Choice(["int8", "int8x16", "int16x8"]), default="int8x16",
              show_default=True, help="How each model is quantized.")
@click.option("--config", "config_file", type=click.Path(path_type=Path, dir_okay=False),
              help="YAML file of settings for every point, as `edgernn train` takes it.")
@click.option("--epochs", type=click.IntRange(1), help="Epochs at most (default: the recipe's).")
@click.option("--seed", type=click.IntRange(0), help="Of every point (default: the recipe's).")
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1,
              help="Points trained at a time (default: one per core).")
def command(data: Path, cells: str, hidden: str, out: Path, profile: str,
            config_file: Path | None, epochs: int | None, seed: int | None, jobs: int) -> None:
    """Train every cell at every width on DATA and say what each costs and reaches.

    Prints one JSON line per point; a table and OUT/compare.png mark the Pareto front: the
    models that no other beats in both accuracy (integers, state carried) and cost.
    """
    from rich.console import Console
    from rich.progress import Progress

    from edgernn.train.compare import Point, compare
    from edgernn.train.compare_plot import draw
    from edgernn.train.config import load

    given = {"epochs": epochs, "seed": seed}
    config = load(config_file, {k: v for k, v in given.items() if v is not None})
    points = [Point(cell, units) for cell in _cells(cells) for units in _widths(hidden)]
    console = Console(stderr=True)
    with Progress(console=console, transient=True) as bars:
        task = bars.add_task("training", total=len(points))

        def tell(point: Point, line: dict[str, Any]) -> None:
            bars.update(task, advance=1, description=f"{point.name} done")
            if "error" in line:
                console.print(f"{point.name}: {line['error']}", highlight=False, soft_wrap=True)

        lines = compare(data, out, points, config, profile, jobs, tell)
    for line in lines:
        print(json.dumps(line), flush=True)
    good = [line for line in lines if "error" not in line]
    if not good:
        raise click.ClickException("no point could be trained; each one's reason is above")
    for ending in ("png", "svg"):
        draw(lines, out / f"compare.{ending}", f"{data.name}, {profile}")
    _print_table(console, good)
    console.print(f"plot: {out / 'compare.png'}", highlight=False)


def _cells(given: str) -> list[str]:
    from edgernn.train.blocks import CELLS

    names = [ALIASES.get(name.strip(), name.strip()) for name in given.split(",") if name.strip()]
    unknown = [name for name in names if name not in CELLS]
    if unknown or not names:
        raise click.UsageError(f"--cells {given}: {unknown[0] if unknown else 'nothing'} is no "
                               f"cell; choose among {', '.join(CELLS)}")
    return list(dict.fromkeys(names))


def _widths(given: str) -> list[int]:
    parts = [part.strip() for part in given.split(",")]
    if not all(part.isdigit() and 1 <= int(part) <= 1024 for part in parts):
        raise click.UsageError(f"--hidden {given}: whole numbers from 1 to 1024 were needed, such "
                               "as 16,32,64")
    return sorted({int(part) for part in parts})


def _print_table(console: Any, lines: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table("cell", "units", "float", "int", "bytes", "macs", "state", "front",
                  title=f"{lines[0]['metric']}, state carried; macs: multiplications per step; "
                        "state: bytes per stream; front: no other is better at that cost",
                  title_justify="left", box=None, padding=(0, 1))
    for line in lines:
        best = ", ".join(cost.removesuffix("_bytes") for cost, on in line["pareto"].items() if on)
        table.add_row(line["cell"], str(line["units"]), f"{line['float']['carry']:.4g}",
                      f"{line['integer']['carry']:.4g}",
                      f"{line['bytes']:,}", f"{line['macs']:,}", str(line["state_bytes"]), best)
    console.print(table)
