"""`edgernn lint`: where a model runs."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import click

from edgernn.cli.models import ModelPath
from edgernn.lint import REFUSED, SLOWLY, TARGETS, Verdict

SHOWN = 2
"""Tensors that are named of those that share a reason."""


@click.command()
@click.argument("model", type=ModelPath())
@click.option("--target", "targets", multiple=True, type=click.Choice(list(TARGETS)),
              help="Where it is to run; may be repeated (default: say it of all).")
@click.option("--sources", is_flag=True, help="Say where each verdict was read.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(model: Path, targets: tuple[str, ...], sources: bool, as_json: bool) -> None:
    """Say of every op of MODEL whether a target runs it, why not, and what to change.

    Any .tflite will do. Exit code 1 if a target that was asked for refuses an op.
    """
    from edgernn import bundle, tflite
    from edgernn.lint import lint

    verdicts = lint(tflite.read(bundle.flatbuffer(model), to_run=False), targets or tuple(TARGETS))
    if as_json:
        click.echo(json.dumps({"model": str(model), "verdicts": [
            dataclasses.asdict(each) for each in verdicts]}, indent=2))
    else:
        _print(verdicts, targets or tuple(TARGETS), sources)
    if targets and any(each.state == REFUSED for each in verdicts):
        raise click.exceptions.Exit(1)


def _print(verdicts: list, targets: tuple[str, ...], sources: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for name in targets:
        own = [each for each in verdicts if each.target == name]
        bad = [each for each in own if each.state == REFUSED]
        slow = [each for each in own if each.state == SLOWLY]
        said = (f"refuses {len(bad)} of {len(own)} ops" if bad else
                f"runs all {len(own)} ops" + (f", {len(slow)} of them not accelerated" if slow
                                              else ""))
        console.print(Text(f"{name}: {said}", style="bold red" if bad else "bold green"))
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 2))
        for (op, why), tensors in _alike((*bad, *slow)).items():
            shown = ", ".join(tensors[:SHOWN]) + (", ..." if len(tensors) > SHOWN else "")
            table.add_row(f"{len(tensors)} {op}", Text(why), Text(shown, style="dim"))
        if bad or slow:
            console.print(table)
        if bad:
            console.print(Text(f"  -> {bad[0].change}"))
        if sources:
            for source in sorted({each.source for each in own}):
                console.print(Text(f"  read in {source}", style="dim"))
        if TARGETS[name].note:
            console.print(Text(f"  {TARGETS[name].note}", style="dim"))


def _alike(verdicts: Sequence[Verdict]) -> dict[tuple[str, str], list[str]]:
    """Tensors by the op and the reason that they share."""
    found: dict[tuple[str, str], list[str]] = {}
    for each in verdicts:
        found.setdefault((each.op, each.why), []).append(each.tensor)
    return found
