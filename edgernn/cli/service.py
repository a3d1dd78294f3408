"""`edgernn service`: `edgernn stream`, kept running by systemd."""

import getpass
import os
import sys
from pathlib import Path
from typing import Any

import click

from edgernn import files
from edgernn.errors import OutputError
from edgernn.service.unit import Unit, ours

NAME = "edgernn"


@click.group()
def command() -> None:
    """Keep `edgernn stream` running: a unit of systemd, hardened, with a watchdog.

    Nothing is written before it was shown, and nothing is started.

    \b
      edgernn service show -- --model kws.tflite --mqtt mqtt://broker/kitchen
      sudo edgernn service install -- --model kws.tflite --log /var/log/edgernn/words.log
      edgernn service install --user -- --exec 'notify-send heard'
    """


def _options(verb: Any) -> Any:
    for option in (
        click.argument("stream_options", nargs=-1, type=click.UNPROCESSED),
        click.option("--name", default=NAME, show_default=True, help="What the service is called."),
        click.option("--user", is_flag=True,
                     help="A service of your own, which hears what your desktop hears; not one "
                          "of the machine."),
    ):
        verb = option(verb)
    return verb


@command.command()
@_options
def show(stream_options: tuple[str, ...], name: str, user: bool) -> None:
    """Print the unit for `edgernn stream` with these options, given after --."""
    click.echo(_unit(stream_options, name, user).text(), nl=False)


@command.command()
@_options
@click.option("--yes", is_flag=True, help="Do not ask.")
def install(stream_options: tuple[str, ...], name: str, user: bool, yes: bool) -> None:
    """Write the unit, once you have seen it; say how to start it."""
    unit = _unit(stream_options, name, user)
    unit.verify()
    if unit.path.exists() and not ours(unit.path):
        raise OutputError(f"{unit.path} is a unit that edgernn did not write; it stays as it is. "
                          "Choose another with --name")
    print(f"# {unit.path}\n{unit.text()}", file=sys.stderr)
    if not yes:
        click.confirm(f"Write this to {unit.path}?", abort=True, err=True)
    try:
        unit.path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise OutputError(f"{unit.path.parent} cannot be made: {problem.strerror}. Use sudo, or "
                          "--user") from problem
    files.write(unit.path, unit.text().encode())
    control = "systemctl --user" if user else "sudo systemctl"
    print(f"edgernn: {unit.path} is written. Start it, now and at every start of the machine:\n"
          f"  {control} daemon-reload && {control} enable --now {name}\n"
          f"  {'journalctl --user' if user else 'journalctl'} -fu {name}    # what it says",
          file=sys.stderr)


@command.command()
@click.argument("name", default=NAME)
@click.option("--user", is_flag=True, help="One of your own.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(name: str, user: bool, yes: bool) -> None:
    """Delete a unit that `install` wrote."""
    unit = _unit((), name, user)
    if not unit.path.exists():
        raise OutputError(f"there is no {unit.path}; nothing is removed. `systemctl list-units` "
                          "shows what there is")
    if not ours(unit.path):
        raise OutputError(f"{unit.path} is a unit that edgernn did not write; it stays")
    control = "systemctl --user" if user else "sudo systemctl"
    if not yes:
        click.confirm(f"Delete {unit.path}? ({control} disable --now {name}, first, stops it)",
                      abort=True, err=True)
    try:
        unit.path.unlink()
    except OSError as problem:
        raise OutputError(f"{unit.path} cannot be deleted: {problem.strerror}. Use sudo"
                          ) from problem
    print(f"edgernn: {unit.path} is gone. {control} daemon-reload", file=sys.stderr)


def _unit(options: tuple[str, ...], name: str, user: bool) -> Unit:
    """The unit, its options looked at as `edgernn stream` would."""
    from edgernn.cli.stream import command as stream

    # Parsed alone, so that a slip is found now and not by a service that fails for ever.
    parsed = stream.make_context("edgernn stream", list(options), resilient_parsing=False).params
    written = [Path(parsed[key]).resolve().parent for key in ("log", "state_file")
               if parsed.get(key)]
    if parsed.get("web"):  # its page saves thresholds into the model's file
        written += [path.resolve().parent for path in parsed["models"]]
    owner = "" if user else os.environ.get("SUDO_USER") or getpass.getuser()
    return Unit(name, [sys.executable, "-m", "edgernn", "stream", *options], Path.cwd(), owner,
                tuple(dict.fromkeys(written)), Path.home())
