"""Options under headings, for verbs that have many."""

from collections.abc import Callable
from typing import Any

import click

REST = "Options"


def section(title: str, *options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Give a command these options, in this order, under a heading of its help.

    Parameters
    ----------
    title : str
    *options
        What `click.option` makes.
    """
    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
            command.__click_params__[-1].section = title
        return command
    return decorate


class Sectioned(click.Command):
    """A command whose help has those headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section in the order in which they were given."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(param, "section", REST), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)
