"""The options of `edgernn stream` that say what it hears, and the source they mean."""

import functools
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edgernn.cli.mic_options import LISTENING, WATCHING, WantedMicrophone, gather
from edgernn.cli.sections import section
from edgernn.errors import SourceError
from edgernn.mqtt import PASSWORD
from edgernn.sources.serial import BAUD

BLOCK_S = 0.1
"""Files are read in blocks of this many seconds; a microphone gives one hop at a time."""
SERIAL = "serial:"
BROKERS = ("mqtt://", "mqtts://")
"""What the sources begin with that are no files."""


@dataclass(frozen=True)
class WantedInput:
    """What the command line asked to hear."""

    source: str
    """mic, a path, or - for stdin."""
    microphone: WantedMicrophone
    """How to hear it, if it is one."""
    columns: tuple[str, ...]
    """Names of a sensor row's cells; none: as a first line says, or the model's own."""
    arrival_times: bool
    """A sensor row's time is when it comes."""
    baud: int
    """Of a serial port."""

    @property
    def shown(self) -> str:
        """What to call the source, without a password."""
        if not self.source.startswith(BROKERS):
            return self.source
        from edgernn import mqtt

        return mqtt.parse(self.source, SourceError).shown

    @property
    def recorded(self) -> bool:
        """Whether the input is a file, named or redirected: one that waits until it is read."""
        if self.source == "-":
            try:
                return stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode)
            except (OSError, ValueError):
                return False
        return self.source != "mic" and not self.source.startswith((SERIAL, *BROKERS))


def input_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options; it gets them as one argument, `wanted_inputs`."""
    @functools.wraps(command)
    def gathered(*given: Any, **named: Any) -> None:
        sources = named.pop("sources") or ("mic",)
        microphone = gather(named)
        if "mic" not in sources:
            microphone.refuse("no --input is one")
        shared = {name: named.pop(name) for name in WantedInput.__dataclass_fields__
                  if name not in ("source", "microphone")}
        wanted = tuple(WantedInput(source=source, microphone=microphone, **shared)
                       for source in sources)
        command(*given, wanted_inputs=wanted, **named)

    hearing = section(
        "Inputs",
        click.option("--input", "sources", multiple=True,
                     help="mic, an audio file, a file of sensor rows (CSV or JSON lines), a text "
                          "file, or - for stdin: raw signed 16-bit little-endian mono at the "
                          "model's rate, rows, or lines. Rows also from serial:/dev/ttyACM0 and "
                          f"mqtt://user@host/topic (password: {PASSWORD}). May be repeated  "
                          "[default: mic]"))
    rows = section(
        "Sensor rows",
        click.option("--columns", metavar="A,B,...", callback=_names, default="",
                     help="Names of a sensor row's cells as they come; one may be time, time_ms, "
                          "time_us or timestamp (default: what a first line says, or the model's "
                          "own columns)."),
        click.option("--arrival-times", is_flag=True,
                     help="The time of a row from a serial port or broker is when it comes, not "
                          "what it says."),
        click.option("--baud", type=click.IntRange(1), default=BAUD, show_default=True,
                     help="Bits per second of a serial port."))
    return hearing(section("Microphones", *LISTENING, *WATCHING)(rows(gathered)))


def _names(context: Any, option: Any, given: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in given.split(",")) if given else ()


def open_input(wanted: WantedInput, listener: Any, model: Path) -> Any:
    """The source of frames that fits the model's frontend."""
    from edgernn.spec import LogMelSpec

    if not isinstance(listener.model.spec.frontend, LogMelSpec):
        return _open_rows(wanted, listener.model.spec.frontend)
    if wanted.source.startswith((SERIAL, *BROKERS)):
        raise click.UsageError(f"this model listens to audio; {wanted.shown} gives sensor rows. "
                               "Give --input mic, a recording, or pipe samples to --input -")
    rate, hop = int(listener.rate_hz), listener.frontend.hop
    if wanted.source == "mic":
        return wanted.microphone.open(rate, hop)
    if wanted.source == "-":
        from edgernn.sources.pcm import PcmSource

        return PcmSource(sys.stdin.buffer, rate, hop)
    from edgernn.sources.wav import WavSource

    return WavSource(wanted.source, rate, max(hop, int(BLOCK_S * rate)), model.name)


def _open_rows(wanted: WantedInput, spec: Any) -> Any:
    from edgernn.sources.rows import RowSource

    source = wanted.source
    rate_hz, names = getattr(spec, "rate_hz", 0.0), getattr(spec, "columns", ())
    if source == "mic":
        raise click.UsageError("this model listens to sensor rows, not to a microphone; "
                               "give --input FILE.csv, serial:/dev/ttyACM0 or mqtt://host/topic, "
                               "or pipe rows to --input -")
    if source.startswith((SERIAL, *BROKERS)):
        return _open_live(wanted, spec.width, rate_hz, names)
    if wanted.arrival_times:
        raise click.UsageError("--arrival-times is for a serial port or broker; a file's and a "
                               "pipe's rows come as fast as they are read")
    # What is no text is no number either: such a line is held, it must not end the stream.
    if source == "-":
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
        return RowSource(sys.stdin, spec.width, rate_hz, "stdin", names, wanted.columns)
    try:
        text = Path(source).open(encoding="utf-8-sig", errors="replace")  # noqa: SIM115
    except OSError as problem:
        raise SourceError(f"{source} cannot be read: {problem.strerror}. "
                          "Give a CSV file, or - for stdin") from problem
    # Which closes it.
    return RowSource(text, spec.width, rate_hz, source, names, wanted.columns)


def _open_live(wanted: WantedInput, width: int, rate_hz: float, names: tuple[str, ...]) -> Any:
    from edgernn.sources.row_text import RowText
    from edgernn.sources.rows import RowFrames

    if wanted.arrival_times and not rate_hz:
        raise click.UsageError("--arrival-times brings rows to the model's rate, which this one "
                               "does not know. Say it with --rate HZ")
    frames = RowFrames(RowText(width, names, wanted.columns), rate_hz, wanted.shown,
                       arrivals=wanted.arrival_times)
    if wanted.source.startswith(SERIAL):
        from edgernn.sources.serial import SerialRows

        return SerialRows(frames, wanted.source.removeprefix(SERIAL), wanted.baud)
    from edgernn import mqtt
    from edgernn.sources.mqtt import MqttRows

    return MqttRows(frames, mqtt.parse(wanted.source, SourceError))
