"""`edgernn devices`: what records here, and how loud it is."""

import json
import sys
from dataclasses import asdict
from typing import Any

import click

from edgernn.cli.mic_options import gather, listening
from edgernn.cli.numbers import FiniteRange

NEEDED_HZ = 16000
"""What most models listen at."""


@click.command()
@click.option("--level", is_flag=False, flag_value="", default=None, metavar="[DEVICE]",
              help="Show how loud DEVICE is until Ctrl-C, by number or part of its name "
                   "(without one, the default): a bar on a terminal, else JSON lines.")
@click.option("--seconds", type=FiniteRange(0, min_open=True),
              help="End --level after so many (default: never).")
@listening
@click.option("--json", "as_json", is_flag=True, help="Print JSON, also on a terminal.")
def command(level: str | None, seconds: float | None, as_json: bool, **named: Any) -> None:
    """List the microphones, or show how loud one is.

    \b
      edgernn devices
      edgernn devices --level
      edgernn devices --level usb --channel 2 --seconds 5
    """
    wanted = gather(named | {"device": level or None})
    if level is None:
        if seconds is not None:
            raise click.UsageError("--seconds is for --level; give that too")
        wanted.refuse("without --level none is opened")
        return _list(as_json)
    from edgernn.cli.level_meter import show_levels
    from edgernn.sources.devices import find_device

    # At the device's own rate, so that what is seen is what it gives.
    rate_hz = wanted.capture_hz or round(find_device(wanted.device).rate_hz)
    with wanted.open(rate_hz, rate_hz // 50) as microphone:
        try:
            show_levels(microphone, seconds, bar=sys.stdout.isatty() and not as_json)
        except KeyboardInterrupt:  # the way to end it
            return


def _list(as_json: bool) -> None:
    from edgernn.sources.devices import list_devices

    devices = list_devices()
    rows = [asdict(device) | {"accepts_16khz": device.accepts(NEEDED_HZ)} for device in devices]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        print("edgernn: no microphone was found. Plug one in, and see that `arecord -l` lists it "
              "and that no container hides /dev/snd", file=sys.stderr)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("")
    for title in ("number", "name", "channels", "usual Hz", "at 16 kHz", "host"):
        table.add_column(title, overflow="fold",
                         justify="right" if title in ("number", "channels", "usual Hz") else "left")
    for row in rows:
        # As Text: a name in square brackets is no markup.
        table.add_row("*" if row["default"] else "", str(row["number"]), Text(row["name"]),
                      str(row["channels"]), f"{row['rate_hz']:g}",
                      "yes" if row["accepts_16khz"] else "resampled", row["host"])
    Console().print(table)
    print("edgernn: * is used when none is named; choose with `edgernn stream --device`, by number "
          "or part of the name", file=sys.stderr)
