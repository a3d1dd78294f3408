"""The options of `edgernn stream` that say where detections go, and all of these as one."""

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edgernn.cli.numbers import FiniteRange
from edgernn.cli.sections import section
from edgernn.errors import OutputError
from edgernn.mqtt import PASSWORD
from edgernn.sinks import COMMAND_TIMEOUT_S, LOG_MEGABYTES
from edgernn.sinks.home_assistant import PREFIX, Told


@dataclass(frozen=True)
class WantedSinks:
    """What the command line asked for besides stdout."""

    run: str | None
    run_shell: bool
    run_timeout_s: float
    log: Path | None
    log_mb: float
    mqtt: str | None = None
    mqtt_discovery: str = PREFIX
    web: tuple[str, int] | None = None
    web_token: str | None = None

    def refuse(self, model: str) -> None:
        """Say that a model that detects nothing has no use for them."""
        for option, value in (("--exec", self.run), ("--log", self.log), ("--mqtt", self.mqtt),
                              ("--web", self.web)):
            if value is not None:
                raise click.UsageError(f"{option} takes detections; {model} makes none. "
                                       "Its answers go to stdout: pipe them on")


def _host_and_port(ctx: click.Context, param: click.Parameter, given: str | None
                   ) -> tuple[str, int] | None:
    if given is None:
        return None
    host, _, port = given.rpartition(":") if ":" in given else ("127.0.0.1", "", given)
    if not (host and port.isascii() and port.isdecimal() and int(port) < 2**16):
        raise click.BadParameter(f"{given!r} is no address; PORT or HOST:PORT was needed, PORT "
                                 "0 to 65535, 0 being any free one")
    return host.removeprefix("[").removesuffix("]"), int(port)


def sink_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options; it gets them as one argument, `wanted_sinks`."""
    @functools.wraps(command)
    def gathered(*given: Any, **named: Any) -> None:
        wanted = WantedSinks(*(named.pop(name) for name in WantedSinks.__dataclass_fields__))
        command(*given, wanted_sinks=wanted, **named)

    return section(
        "Where detections go, besides stdout",
        click.option("--exec", "run", metavar="COMMAND",
                     help="Run this for every detection, which it gets as JSON on stdin and in "
                          "EDGERNN_LABEL, EDGERNN_SCORE and EDGERNN_TIME_S; one at a time; no "
                          "shell sees it."),
        click.option("--exec-shell", "run_shell", is_flag=True,
                     help="Have /bin/sh run the command of --exec."),
        click.option("--exec-timeout-s", "run_timeout_s", show_default=True,
                     default=COMMAND_TIMEOUT_S, type=FiniteRange(0, min_open=True),
                     help="Seconds after which the command of --exec is killed."),
        click.option("--log", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
                     help="Append what stdout gets, with the time of day, to this file; full ones "
                          "are kept as FILE.1 to FILE.4."),
        click.option("--log-mb", type=FiniteRange(0, min_open=True), default=LOG_MEGABYTES,
                     show_default=True, help="Megabytes at which the file of --log is full."),
        click.option("--mqtt", metavar="URL",
                     help="Publish what stdout gets to a broker under mqtt://user@host/topic, or "
                          f"mqtts:// (password: {PASSWORD}; topic: edgernn/HOST/MODEL if left "
                          "out). Home Assistant finds it by itself."),
        click.option("--mqtt-discovery", metavar="TOPIC", default=PREFIX, show_default=True,
                     help="Where Home Assistant looks for devices; empty: tell it nothing."),
        click.option("--web", metavar="[HOST:]PORT", callback=_host_and_port,
                     help="Show the stream on a page: rows, scores, detections, counters; its "
                          "thresholds can be changed there, and saved. For this machine alone "
                          "unless HOST says otherwise."),
        click.option("--web-token", metavar="TOKEN", envvar="EDGERNN_WEB_TOKEN", show_envvar=True,
                     help="What a browser must know to see the page, as ?token=TOKEN; needed "
                          "where other machines reach it."))(gathered)


class Sinks:
    """Everything that takes the detections of a stream; use it in a `with` block.

    Made before the stream begins, so that what cannot work says so at once.

    Parameters
    ----------
    wanted : WantedSinks
    labels : tuple of str
        What each score means.
    live : bool
        Whether the source loses what is not taken in time: stdout is then queued too.
        Otherwise its reader sets the pace, as in any pipeline.
    recorded : bool
        Whether the source is a file, which can wait: nothing is dropped then.
    told : Told, optional
        What Home Assistant is told of the model.
    """

    def __init__(self, wanted: WantedSinks, labels: tuple[str, ...], *, live: bool,
                 recorded: bool, told: Told | None = None) -> None:
        self._labels, self._live, self._recorded = labels, live, recorded
        self._closed = False
        self._queued: list[Any] = []
        self._others: list[tuple[Any, str]] = []
        self.web: Any = None
        """The page of --web, which is not queued: it has a thread of its own."""
        if wanted.run is not None:
            from edgernn.sinks.command import Command

            self._others.append((Command(wanted.run, shell=wanted.run_shell,
                                         timeout_s=wanted.run_timeout_s), "--exec"))
        if wanted.log is not None:
            from edgernn.sinks.log import Log

            self._others.append((Log(wanted.log, labels, wanted.log_mb), "--log"))
        if wanted.mqtt is not None:
            from edgernn import mqtt
            from edgernn.sinks.mqtt import MqttSink

            self._others.append((MqttSink(
                mqtt.parse(wanted.mqtt, OutputError), labels, told or Told("model", labels),
                wanted.mqtt_discovery), "--mqtt"))
        if wanted.web is not None:
            from edgernn.sinks.web import Web
            from edgernn.web.access import Access

            self.web = Web(Access(*wanted.web, wanted.web_token))
            print(f"edgernn: the page is {self.web.address}"
                  + ("?token=TOKEN" if wanted.web_token else ""), file=sys.stderr, flush=True)

    def __enter__(self) -> "Sinks":
        from edgernn.sinks.jsonl import JsonLines
        from edgernn.sinks.queued import Queued

        stdout = JsonLines(sys.stdout, self._labels)
        self._queued = [Queued(sink, name, patient=self._recorded) for sink, name in self._others]
        if self._live:
            self._queued.append(Queued(stdout, "stdout", fatal=True))
        self._all = [*([] if self._live else [stdout]), *self._queued,
                     *([self.web] if self.web else [])]
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def detection(self, found: Any) -> None:
        """Give all of them a detection."""
        for sink in self._all:
            sink.detection(found)

    def scores(self, scores: Any, time_s: float) -> None:
        """Give all of them the scores of a step."""
        for sink in self._all:
            sink.scores(scores, time_s)

    def drain(self) -> None:
        """Wait until all have taken everything."""
        for sink in self._queued:
            sink.drain()

    @property
    def dropped(self) -> int:
        """Detections and scores that a sink never took."""
        return sum(sink.dropped for sink in [*self._queued, *([self.web] if self.web else [])])

    def close(self) -> None:
        """End them all, within seconds; harmless when done twice."""
        if self._closed:
            return
        self._closed = True
        if self.web:
            self.web.close()
        for sink in self._queued:
            sink.close()
        if not self._queued:  # never begun
            for sink, _ in self._others:
                sink.close()
        if any(sink.stuck for sink in self._queued):
            # Python would wait at its end for the thread that still writes to stdout.
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115
