"""`edgernn stream`: listen, and print what was detected."""

import contextlib
import dataclasses
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from edgernn.cli.models import BUNDLED
from edgernn.interpreter import BACKENDS

BLOCK_S = 0.1
"""Files are read in blocks of this many seconds; a microphone gives one hop at a time."""


@click.command()
@click.option("--model", type=click.Path(path_type=Path),
              help='The .tflite to run (default: the bundled one for "computer" and "alexa").')
@click.option("--input", "source", default="mic", show_default=True,
              help="mic, an audio file, a CSV file of sensor rows, or - for stdin: raw signed "
                   "16-bit little-endian mono at the model's rate, or CSV rows.")
@click.option("--device", help="Microphone, by number or part of its name "
                               "(default: the system's default input).")
@click.option("--threshold", "thresholds", multiple=True, metavar="P|LABEL=P",
              help="Fire when the smoothed score reaches P, 0 to 1; for one label or for all; "
                   "may be repeated (default: the values stored in the model; "
                   "`edgernn info` shows them).")
@click.option("--smoothing-ms", type=click.IntRange(0),
              help="Milliseconds over which scores are averaged (default: stored in the model).")
@click.option("--hysteresis", type=click.FloatRange(0, 1),
              help="How far below its threshold a score must fall before it may fire again, "
                   "0 to 1 (default: stored in the model).")
@click.option("--refractory-ms", type=click.IntRange(0),
              help="Milliseconds of silence after a detection (default: stored in the model).")
@click.option("--backend", type=click.Choice(BACKENDS), default="auto", show_default=True,
              help="The interpreter to run the model in; auto is the fastest installed.")
@click.option("--meter", is_flag=True, help="Draw each label's score on the terminal (stderr).")
@click.option("--scores", is_flag=True,
              help="Print every step's scores as JSON lines, besides detections.")
def command(model: Path | None, source: str, device: str | None, thresholds: tuple[str, ...],
            backend: str, meter: bool, scores: bool, **detector: Any) -> None:
    """Drive a model over a microphone, a file or a pipe.

    Prints one JSON line per detection: label, smoothed score (0 to 1), and time in
    seconds since the stream began. Ctrl-C ends it with a summary on stderr.

    \b
      edgernn stream
      edgernn stream --model kws.tflite --input recording.wav
      arecord -q -f S16_LE -r 16000 -t raw | edgernn stream --input -
    """
    from edgernn.sinks.jsonl import JsonLines
    from edgernn.step import StepModel
    from edgernn.stream import Listener, listen

    step = StepModel.open(model or BUNDLED, backend)
    wanted = _detector(step.spec.detector, step.labels, thresholds, detector)
    sink = JsonLines(sys.stdout, step.labels)
    with contextlib.ExitStack() as stack:
        watch = _watchers(stack, step.labels, sink, meter, scores)

        def show_scores(values: Any, time_s: float) -> None:
            for show in watch:
                show(values, time_s)

        listener = Listener(step, wanted, show_scores if watch else None)
        frames = stack.enter_context(_open(source, device, listener))
        _say_what_runs(step, frames, source)
        try:
            with _until_stopped():
                for found in listen(frames, listener):
                    sink.detection(found)
        finally:
            _print_summary(listener, frames)


def _watchers(stack: contextlib.ExitStack, labels: tuple[str, ...], sink: Any, meter: bool,
              scores: bool) -> list[Any]:
    watch = [sink.scores] if scores else []
    if meter and sys.stderr.isatty():
        from edgernn.sinks.meter import Meter

        watch.append(stack.enter_context(Meter(labels)).scores)
    elif meter:
        print("edgernn: --meter draws on a terminal; stderr is none, so it does not",
              file=sys.stderr)
    return watch


def _detector(stored: Any, labels: tuple[str, ...], thresholds: tuple[str, ...],
              changes: dict[str, Any]) -> Any:
    """The stored detector with what the command line changes."""
    from edgernn.spec import DetectorSpec

    spec = stored or DetectorSpec({label: 0.5 for label in labels})
    chosen = dict(spec.thresholds)
    for given in thresholds:
        name, _, value = given.rpartition("=")
        if name and name not in labels:
            raise click.UsageError(f"--threshold {given}: the model has no label {name!r}; it has "
                                   f"{', '.join(labels)}")
        try:
            p = float(value)
        except ValueError:
            raise click.UsageError(f"--threshold {given}: {value!r} is no number; "
                                   "P or LABEL=P was needed, P from 0 to 1") from None
        if not 0 < p <= 1:
            raise click.UsageError(f"--threshold {given}: {p} is not above 0 and at most 1")
        chosen.update({name: p} if name else dict.fromkeys(chosen, p))
    kept = {key: value for key, value in changes.items() if value is not None}
    return dataclasses.replace(spec, thresholds=chosen, **kept)


def _open(source: str, device: str | None, listener: Any) -> Any:
    """The source of frames that fits the model's frontend."""
    from edgernn.spec import LogMelSpec

    if not isinstance(listener.model.spec.frontend, LogMelSpec):
        return _open_rows(source, listener)
    rate, hop = int(listener.rate_hz), listener.frontend.hop
    if source == "mic":
        from edgernn.sources.microphone import Microphone

        return Microphone(rate, hop, int(device) if device and device.isdigit() else device)
    if source == "-":
        from edgernn.sources.pcm import PcmSource

        return PcmSource(sys.stdin.buffer, rate, hop)
    from edgernn.sources.wav import WavSource

    return WavSource(source, rate, max(hop, int(BLOCK_S * rate)))


def _open_rows(source: str, listener: Any) -> Any:
    from edgernn.errors import SourceError
    from edgernn.sources.rows import RowSource

    columns = listener.frontend.width
    if source == "mic":
        raise click.UsageError("this model listens to sensor rows, not to a microphone; "
                               "give --input FILE.csv, or pipe rows to --input -")
    if source == "-":
        return RowSource(sys.stdin, columns, listener.rate_hz)
    try:
        return RowSource(open(source, encoding="utf-8"), columns, listener.rate_hz, source)
    except OSError as problem:
        raise SourceError(f"{source} cannot be read: {problem.strerror}. "
                          "Give a CSV file, or - for stdin") from problem


class _Stopped(BaseException):
    """A signal asked for the end; no error, so not caught as one."""


@contextlib.contextmanager
def _until_stopped() -> Iterator[None]:
    """End the block quietly at SIGINT or SIGTERM."""
    def stop(number: int, frame: Any) -> None:
        raise _Stopped

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except _Stopped:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say_what_runs(step: Any, frames: Any, source: str) -> None:
    listens = ", ".join(step.spec.detector.thresholds) if step.spec.detector else "scores"
    where = f"microphone {frames.device.name!r}" if hasattr(frames, "device") else source
    print(f"edgernn: {where}, {step.runtime.name}, listening for {listens}", file=sys.stderr)


def _print_summary(listener: Any, frames: Any) -> None:
    summary, latency = listener.summary, listener.summary.latency
    speed = 1 / summary.real_time_factor if summary.busy_s else 0.0
    us = {f"step_{name}_us": round(1e6 * value, 1) for name, value in (
        ("p50", latency.percentile_s(0.5)), ("p99", latency.percentile_s(0.99)),
        ("max", latency.largest_s))}
    print("edgernn: " + json.dumps({
        "heard_s": round(summary.heard_s, 2), "detections": summary.detections,
        "times_real_time": round(speed), **us, "steps": summary.steps, "held": summary.held,
        "resets": summary.resets, "overflows": frames.overflows, "dropped": frames.dropped}),
        file=sys.stderr)
