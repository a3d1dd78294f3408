"""The option `--scheduler`: where jobs that need nothing of each other are computed."""

import re
from collections.abc import Callable
from typing import Any

import click

MANY = 8
"""`edgernn.train.spread.MANY`, said in help without importing what trains."""


def scheduler_option(does: str, otherwise: str, more: str = "", default: str = "auto"
                     ) -> Callable[..., Any]:
    """Of a verb that `does` something on Dask; `otherwise` says where, if it is not given."""
    return click.option(
        "--scheduler", default=default, is_flag=False, flag_value="local", callback=_checked,
        metavar="[local|none|tcp://HOST:PORT]",
        help=f"{does} on Dask: in a process per core of this machine (local, also without a "
             "value), or by the workers of a scheduler; none: not on Dask "
             f"(default: {otherwise}). {more}".strip())


def _checked(context: click.Context, option: click.Parameter, given: str) -> str:
    """As `edgernn.train.spread.Spread` takes it."""
    if given == "none":
        return ""
    if given in ("auto", "local") or re.fullmatch(r"([a-z]+://)?[^/\\s]+:\d+", given):
        return given
    raise click.BadParameter(f"{given} is neither local, none nor an address; an address such as "
                             "tcp://10.0.0.1:8786 was needed. Before MODEL or a folder, write "
                             "--scheduler local")
