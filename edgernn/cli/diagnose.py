"""`edgernn diagnose`: what goes on inside a trained run, as one HTML page."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False),
              help="The HTML page to write.  [default: RUN/diagnose.html]")
@click.option("--sequences", default=200, show_default=True, type=click.IntRange(1),
              help="Sequences to look at, of the test split if there is one.")
def command(run: Path, out: Path | None, sequences: int) -> None:
    """Examine the trained RUN folder.

    Shows whether gradients vanish or explode on their way back through time, which gates are
    saturated, which units are dead, how far states go, and what 8 and 16 bits do to them:
    what stands out on stderr, one JSON line on stdout, plots in one HTML page. Runs no
    TensorFlow; needs Matplotlib: pip install "edgernn[train]".
    """
    from rich.console import Console
    from rich.progress import Progress

    from edgernn import files
    from edgernn.train import svg
    from edgernn.train.diagnose import diagnose, summary
    from edgernn.train.diagnose.page import page

    svg.load_matplotlib()  # missing, it is better missed before the work
    files.wanted(out)
    out = out or run / "diagnose.html"
    console = Console(stderr=True)
    with Progress(console=console, transient=True) as bars:
        def begin(title: str, frames: int) -> Callable[[int], None]:
            task = bars.add_task(title, total=frames)
            return lambda done: bars.advance(task, done)

        found = diagnose(run, sequences, begin)
    files.write(out, page(found).encode())
    _talk(console, found, out)
    print(json.dumps({"report": str(out), **summary(found)}), flush=True)


def _talk(console: Any, found: Any, out: Path) -> None:
    for one in found.findings:
        mark = "[green]ok[/]  " if one.ok else "[red]look[/]"
        console.print(mark, end=" ")
        console.print(one.text, highlight=False, markup=False)
    console.print(f"plots: {out}", highlight=False, markup=False)
