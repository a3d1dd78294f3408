"""The options that say how a microphone is listened to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from edgernn.cli.numbers import FiniteRange
from edgernn.sources.levels import SILENT_DBFS, SILENT_S


@dataclass(frozen=True)
class WantedMicrophone:
    """What the command line asked of a microphone."""

    device: str | None
    channel: int | None
    gain_db: float
    capture_hz: int | None
    silent_s: float
    silent_dbfs: float
    give_up_s: float | None

    def refuse(self, why: str) -> None:
        """Say that these options are of no use here."""
        for name, value in vars(self).items():
            if value != vars(NOTHING_ASKED)[name]:
                raise click.UsageError(f"--{name.replace('_', '-')} is for a microphone; {why}. "
                                       "Leave it out")

    def open(self, rate_hz: int, block: int) -> Any:
        """The microphone, at the rate of a model."""
        from edgernn.sources.microphone import Microphone

        return Microphone(rate_hz, block, **vars(self))


NOTHING_ASKED = WantedMicrophone(None, None, 0.0, None, SILENT_S, SILENT_DBFS, None)

LISTENING = (
    click.option("--device", help="Microphone, by number or part of its name; `edgernn devices` "
                                  "lists them (default: the system's default input)."),
    click.option("--channel", type=click.IntRange(1), metavar="N",
                 help="Which of its channels to hear, from 1 (default: the mean of all)."),
    click.option("--gain-db", type=FiniteRange(-120, 120), default=0.0, show_default=True,
                 help="Decibels to raise it by."),
    click.option("--capture-hz", type=click.IntRange(1000, 768_000), metavar="HZ",
                 help="Record at this rate and resample (default: the model's rate if the device "
                      "takes it, else its own)."),
)
"""How to hear one."""

WATCHING = (
    click.option("--silent-s", type=FiniteRange(0), default=SILENT_S, show_default=True,
                 help="Seconds of silence of the microphone after which to say so; 0: never."),
    click.option("--silent-dbfs", type=FiniteRange(-120, 0), default=SILENT_DBFS,
                 show_default=True, help="What is silence: no sample louder than this."),
    click.option("--give-up-s", type=FiniteRange(0), metavar="S",
                 help="Fail when the microphone is away for so many seconds (default: wait for "
                      "it)."),
)
"""What to do when something is wrong with it."""


def gather(named: dict[str, Any]) -> WantedMicrophone:
    """Take the options out of a command's arguments."""
    return WantedMicrophone(*(named.pop(name, default)
                              for name, default in vars(NOTHING_ASKED).items()))


def listening(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `LISTENING` but for the device."""
    for option in reversed(LISTENING[1:]):
        command = option(command)
    return command
