"""`edgernn bench`: what a model costs on this machine."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from edgernn.cli.models import BUNDLED, ModelPath
from edgernn.cli.numbers import FiniteRange
from edgernn.interpreter import BACKENDS


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...", type=ModelPath())
@click.option("--backend", "backends", multiple=True, type=click.Choice(BACKENDS[1:]),
              help="Interpreter to measure; may be repeated (default: all that are installed; "
                   "`edgernn --version` lists them).")
@click.option("--steps", type=click.IntRange(100, 10_000_000), default=5000, show_default=True,
              help="Steps, and frames, to time in each; the slow emulator gets a hundredth.")
@click.option("--seconds", type=FiniteRange(1, 3600), default=30.0, show_default=True,
              help="Seconds of generated input that is heard in blocks, as a file is.")
@click.option("--streams", type=click.IntRange(1, 1_000_000), metavar="N",
              help="Instead: drive so many live streams of audio for --seconds, on one core.")
@click.option("--part", default="", help="Of a model of several parts, which one's step to time "
                                         "(default: the main one; `edgernn info` names them).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Draw how long frames took, as .png, .svg or .pdf.")
def command(models: tuple[Path, ...], backends: tuple[str, ...], steps: int, seconds: float,
            streams: int | None, part: str, as_json: bool, plot: Path | None) -> None:
    """Measure what MODELs cost on this machine; without MODEL, the bundled one.

    Per backend: a step beside the interpreter's own calls; every stage of a frame's way from
    samples to detections; a fresh process. Microseconds are of frames timed in turns; other
    programs running at the same time spoil them. onnxruntime (with onnx) and pymicro-wakeword
    are measured beside it where they are installed.
    """
    from edgernn.cost import measure

    paths = models or (BUNDLED,)
    if streams:
        from edgernn.cost.streams import streams_cost

        return _show_streams(streams_cost(paths[0], streams, seconds), as_json)
    if plot:
        from edgernn.cost.plot import needs_matplotlib

        needs_matplotlib(plot)
    with _Bar(not as_json) as bar:
        tree = measure(paths, backends, steps, seconds, bar.say, part)
    if as_json:
        click.echo(json.dumps(tree, indent=2))
    else:
        _print_tables(tree)
    if plot:
        from edgernn.cost.plot import draw

        draw(tree, plot)
        print(f"edgernn: drawn in {plot}", file=sys.stderr)


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

    console = Console()
    for table in (_frames(tree), _stages(tree), _others(tree), _steps(tree), _processes(tree)):
        if table is not None:
            console.print(table)
    parts = [run for run in tree["runs"] if "part" in run]
    if parts:
        console.print(f"The file has the parts {', '.join(parts[0]['parts'])}; these are steps of "
                      f"{parts[0]['part']}: --part chooses another.")
    console.print(tree["machine"])


def _table(title: str, *columns: str) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left", pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
    return table


def _name(run: dict[str, Any], runs: list[dict[str, Any]]) -> str:
    """What tells a run from the others."""
    several = len({each["model"] for each in runs}) > 1
    return f"{Path(run['model']).stem}, {run['backend']}" if several else str(run["backend"])


def _with(runs: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    return [run for run in runs if key in run]


def _frames(tree: dict[str, Any]) -> Any:
    runs = _with(tree["runs"], "path")
    if not runs:
        return None
    table = _table("From samples to detections, microseconds a frame", "backend", "p50", "mean",
                   "p99", "p99.9", "max", "jitter", "x real time", "in blocks")
    for run in runs:
        table.add_row(_name(run, runs), *_durations(run["path"]["frame"]),
                      f"{1 / run['path']['real_time_factor']:,.0f}",
                      f"{run['times_real_time_in_blocks']:,.0f}")
    return table


def _others(tree: dict[str, Any]) -> Any:
    if not tree["others"]:
        return None
    table = _table("Other packages, microseconds", "package", "what", "p50", "mean", "p99")
    for name, other in tree["others"].items():
        table.add_row(f"{name} {other['version']}", other["what"],
                      *_durations(other["frame"])[:3])
    return table


def _durations(times: dict[str, float]) -> list[str]:
    return [_us(times[key]) for key in ("p50", "mean", "p99", "p99.9", "max", "jitter")]


def _us(microseconds: float) -> str:
    """Five characters up to a second: columns have to fit a terminal, however slow it is."""
    if microseconds >= 9999.5:
        return f"{microseconds / 1000:,.0f} ms"
    return f"{microseconds:,.{0 if microseconds >= 99.95 else 1}f}"


def _stages(tree: dict[str, Any]) -> Any:
    runs = _with(tree["runs"], "path")
    if not runs:
        return None
    stages = list(runs[0]["path"]["stages"])
    table = _table("Its stages, medians", "backend", *stages)
    for run in runs:
        table.add_row(_name(run, runs), *(_us(run["path"]["stages"][stage]["p50"])
                                          for stage in stages))
    return table


def _steps(tree: dict[str, Any]) -> Any:
    runs = tree["runs"]
    table = _table("A step of float features, beside the interpreter's own calls, microseconds",
                   "backend", "profile", "step p50", "p99", "its own calls p50", "ratio")
    for run in runs:
        name = _name(run, runs)
        if "error" in run:
            table.add_row(f"{name}: {run['error']}")
            continue
        table.add_row(f"{name} {run['version']}", run["profile"], _us(run["step_us"]["p50"]),
                      _us(run["step_us"]["p99"]), _us(run["calls_us"]["p50"]),
                      f"{run['ratio']:.2f}")
    return table


def _processes(tree: dict[str, Any]) -> Any:
    runs = _with(tree["runs"], "startup")
    if not runs:
        return None
    moments = {"imported": "edgernn imported", "loaded": "model open", "answered": "first scores",
               "ran": "a thousand steps"}
    table = _table("A fresh process: seconds, and megabytes resident", "backend", *moments.values())
    for run in runs:
        table.add_row(_name(run, runs), *(
            f"{run['startup'][key]['seconds']:.2f} s, {run['startup'][key]['megabytes']:.0f} MB"
            for key in moments))
    return table


def _show_streams(tree: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(tree, indent=2))
        return
    from rich.console import Console

    console = Console()
    table = _table(f"{tree['streams']:,} live streams on one core, {tree['seconds']:g} s",
                   "busy", "tick p50", "p99", "max", "late ticks", "steps", "resident")
    table.add_row(f"{tree['busy']:.1%}",
                  *(f"{tree['tick_us'][key] / 1000:,.1f} ms" for key in ("p50", "p99", "max")),
                  f"{tree['late_ticks']} of {tree['ticks']}", f"{tree['steps']:,}",
                  f"{tree['megabytes']:.0f} MB")
    console.print(table)
    console.print(tree["machine"])
