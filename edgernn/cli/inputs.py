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

from edgernn.errors import SourceError

BLOCK_S = 0.1
"""Files are read in blocks of this many seconds; a microphone gives one hop at a time."""


@dataclass(frozen=True)
class WantedInput:
    """What the command line asked to hear."""

    source: str
    """mic, a path, or - for stdin."""
    device: str | None
    """Microphone, by number or part of its name."""

    @property
    def recorded(self) -> bool:
        """Whether the input is a file, named or redirected: one that waits until it is read."""
        if self.source == "-":
            try:
                return stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode)
            except (OSError, ValueError):
                return False
        return self.source != "mic"


def input_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options; it gets them as one argument, `wanted_inputs`."""
    @functools.wraps(command)
    def gathered(*given: Any, **named: Any) -> None:
        sources = named.pop("sources") or ("mic",)
        shared = {name: named.pop(name) for name in WantedInput.__dataclass_fields__
                  if name != "source"}
        wanted = tuple(WantedInput(source=source, **shared) for source in sources)
        command(*given, wanted_inputs=wanted, **named)

    for option in reversed((
        click.option("--input", "sources", multiple=True,
                     help="mic, an audio file, a CSV file of sensor rows, a text file, or - for "
                          "stdin: raw signed 16-bit little-endian mono at the model's rate, CSV "
                          "rows, or lines. May be repeated  [default: mic]"),
        click.option("--device", help="Microphone, by number or part of its name "
                                      "(default: the system's default input)."),
    )):
        gathered = option(gathered)
    return gathered


def open_input(wanted: WantedInput, listener: Any, model: Path) -> Any:
    """The source of frames that fits the model's frontend."""
    from edgernn.spec import LogMelSpec

    if not isinstance(listener.model.spec.frontend, LogMelSpec):
        return _open_rows(wanted.source, listener)
    rate, hop = int(listener.rate_hz), listener.frontend.hop
    if wanted.source == "mic":
        from edgernn.sources.microphone import Microphone

        device = wanted.device
        return Microphone(rate, hop, int(device) if device and device.isdigit() else device)
    if wanted.source == "-":
        from edgernn.sources.pcm import PcmSource

        return PcmSource(sys.stdin.buffer, rate, hop)
    from edgernn.sources.wav import WavSource

    return WavSource(wanted.source, rate, max(hop, int(BLOCK_S * rate)), model.name)


def _open_rows(source: str, listener: Any) -> Any:
    from edgernn.sources.rows import RowSource

    columns = listener.frontend.width
    if source == "mic":
        raise click.UsageError("this model listens to sensor rows, not to a microphone; "
                               "give --input FILE.csv, or pipe rows to --input -")
    # What is no text is no number either: such a line is held, it must not end the stream.
    if source == "-":
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
        return RowSource(sys.stdin, columns, listener.rate_hz)
    try:
        text = Path(source).open(encoding="utf-8", errors="replace")  # noqa: SIM115
        return RowSource(text, columns, listener.rate_hz, source)  # which closes it
    except OSError as problem:
        raise SourceError(f"{source} cannot be read: {problem.strerror}. "
                          "Give a CSV file, or - for stdin") from problem
