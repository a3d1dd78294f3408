"""`edgernn doctor`: what works on this machine, and what to do about the rest."""

import dataclasses
import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """Look at Python, packages, interpreters, microphones, permissions and power.

    Every problem comes with its fix. Exit code 1 if something is broken; what merely is not
    there, or could be better, is no failure.
    """
    from edgernn.doctor import FAIL, examine

    found = list(examine())
    if as_json:
        click.echo(json.dumps({"findings": [dataclasses.asdict(each) for each in found]},
                              indent=2, ensure_ascii=False))
    else:
        _print(found)
    if any(each.state == FAIL for each in found):
        raise click.exceptions.Exit(1)


def _print(found: list) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from edgernn.doctor import FAIL, INFO, OK, WARN

    styles = {OK: ("ok", "green"), INFO: ("-", "dim"), WARN: ("warning", "yellow"),
              FAIL: ("FAILS", "bold red")}
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for each in found:
        word, style = styles[each.state]
        said = Text(each.found)
        if each.fix:
            said.append(f"\n  -> {each.fix}", style="bold" if each.state in (WARN, FAIL) else "dim")
        table.add_row(Text(word, style), each.what, said)
    console = Console()
    console.print(table)
    counts = [(sum(each.state == state for each in found), name)
              for state, name in ((FAIL, "broken"), (WARN, "to look at"))]
    told = ", ".join(f"{count} {name}" for count, name in counts if count)
    console.print(told or "Nothing to mend.")
