"""`edgernn bench`: what a model costs on this machine."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from edgernn.cli.models import BUNDLED
from edgernn.interpreter import BACKENDS


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option("--backend", "backends", multiple=True, type=click.Choice(BACKENDS[1:]),
              help="Interpreter to measure; may be repeated (default: all that are installed; "
                   "`edgernn --version` lists them).")
@click.option("--steps", type=click.IntRange(100, 10_000_000), default=5000, show_default=True,
              help="Steps to time in each interpreter; the slow emulator gets a hundredth.")
@click.option("--seconds", type=click.FloatRange(1, 3600), default=30.0, show_default=True,
              help="Seconds of generated input for the whole path.")
@click.option("--part", default="", help="Of a model of several parts, which one's step to time "
                                         "(default: the main one; `edgernn info` names them).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(model: Path | None, backends: tuple[str, ...], steps: int, seconds: float,
            part: str, as_json: bool) -> None:
    """Measure what a MODEL costs on this machine; without MODEL, the bundled one.

    Step latency beside the interpreter's own calls, the frontend, the whole path in times
    real time, and what importing edgernn costs a fresh process. Microseconds are medians
    and 99th percentiles; other programs running at the same time spoil them.
    """
    from edgernn.cost import measure

    path = model or BUNDLED
    with _Bar(not as_json) as bar:
        tree = measure(path, backends, steps, seconds, bar.say, part)
    if as_json:
        click.echo(json.dumps(tree, indent=2))
    else:
        _print_tables(tree)


class _Bar:
    """What is being measured, on a terminal's stderr."""

    def __init__(self, wanted: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._bars = Progress(TextColumn("{task.description}"), BarColumn(),
                              console=Console(stderr=True), transient=True,
                              disable=not (wanted and sys.stderr.isatty()))
        self._task = self._bars.add_task("opening")

    def say(self, what: str, done: int, total: int) -> None:
        """Show that `what` comes next, after `done` of `total` measurements."""
        self._bars.update(self._task, description=what, completed=done, total=total)

    def __enter__(self) -> "_Bar":
        self._bars.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._bars.stop()


def _print_tables(tree: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    steps = Table("backend", "step p50", "p99", "max", "its own calls p50", "ratio",
                  title="One step, microseconds", title_justify="left")
    for name, cost in tree["backends"].items():
        if "error" in cost:
            steps.add_row(name, cost["error"])
            continue
        steps.add_row(f"{name} {cost['version']}", *(f"{cost['step_us'][key]:.1f}"
                                                     for key in ("p50", "p99", "max")),
                      f"{cost['calls_us']['p50']:.1f}", f"{cost['ratio']:.2f}")
    console.print(steps)
    if "part" in tree:
        console.print(f"The file has the parts {', '.join(tree['parts'])}; these are steps of "
                      f"{tree['part']}: --part chooses another.")
        return
    rest = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    frontend = tree["frontend"]
    rest.add_row("frontend", f"{frontend['push_us']['p50']:.1f} us per step, one hop at a time; "
                             f"{frontend['batched_us']:.1f} us in blocks of a second")
    for name, speed in tree["times_real_time"].items():
        rest.add_row(f"whole path, {name}",
                     f"{speed['one_hop']:.0f} x real time one hop at a time; "
                     f"{speed['blocks']:.0f} x in blocks of 0.1 s")
    start = tree["import"]
    rest.add_row("import", f"{start['seconds']:.2f} s, {start['megabytes']:.0f} MB resident "
                           f"(with {start['backend']} loaded {start['loaded_seconds']:.2f} s, "
                           f"{start['loaded_megabytes']:.0f} MB)")
    rest.add_row("machine", tree["machine"])
    console.print(rest)
