"""`edgernn stream`: listen, and print what was detected."""

import contextlib
import dataclasses
import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from edgernn.cli.inputs import WantedInput, input_options, open_input
from edgernn.cli.models import BUNDLED
from edgernn.cli.sinks import Sinks, WantedSinks, sink_options
from edgernn.errors import SourceError
from edgernn.interpreter import BACKENDS

NUMBERS = ("regress", "next")
"""Tasks whose every score is wanted, and none is a detection."""

LONGEST_MS = 60_000
"""A minute: more smoothing or silence than that is a slip of the keyboard."""


@click.command()
@click.option("--model", type=click.Path(path_type=Path),
              help='The .tflite to run (default: the bundled one for "computer" and "alexa").')
@input_options
@click.option("--threshold", "thresholds", multiple=True, metavar="P|LABEL=P",
              help="Fire when the smoothed score reaches P, 0 to 1; for one label or for all; "
                   "may be repeated (default: the values stored in the model; "
                   "`edgernn info` shows them).")
@click.option("--smoothing-ms", type=click.IntRange(0, LONGEST_MS),
              help="Milliseconds over which scores are averaged (default: stored in the model).")
@click.option("--hysteresis", type=click.FloatRange(0, 1),
              help="How far below its threshold a score must fall before it may fire again, "
                   "0 to 1 (default: stored in the model).")
@click.option("--refractory-ms", type=click.IntRange(0, LONGEST_MS),
              help="Milliseconds of silence after a detection (default: stored in the model).")
@click.option("--backend", type=click.Choice(BACKENDS), default="auto", show_default=True,
              help="The interpreter to run the model in; auto is the fastest installed.")
@click.option("--meter", is_flag=True, help="Draw each label's score on the terminal (stderr).")
@click.option("--scores", is_flag=True,
              help="Print every step's scores as JSON lines, besides detections.")
@sink_options
def command(model: Path | None, wanted_input: WantedInput, thresholds: tuple[str, ...],
            backend: str, meter: bool, scores: bool, wanted_sinks: WantedSinks,
            **detector: Any) -> None:
    """Drive a model over a microphone, a file or a pipe.

    Prints one JSON line per detection: label, smoothed score (0 to 1), and time in
    seconds since the stream began. Ctrl-C ends it with a summary on stderr. A model of
    numbers prints one line per row; a model of texts one per line of text.

    \b
      edgernn stream
      edgernn stream --model kws.tflite --input recording.wav
      arecord -q -f S16_LE -r 16000 -t raw | edgernn stream --input -
    """
    from edgernn import bundle
    from edgernn.lines import answers
    from edgernn.spec import TokenSpec
    from edgernn.step import StepModel
    from edgernn.stream import Listener, listen

    path = model or BUNDLED
    parts = bundle.read(path)
    if parts.spec.task == "transduce":
        from edgernn.transduce import Transducer, targets

        transducer = Transducer(parts, backend)
        wanted_sinks.refuse("a model of texts")
        return _answer_lines(lambda lines: targets(transducer, lines), wanted_input.source)
    if "head" in parts.parts:
        from edgernn.bidirectional import Bidirectional, tagged
        from edgernn.bidirectional_stream import BidirectionalListener

        opened: Any = Bidirectional(parts, backend)
        listener_of: Any = BidirectionalListener
        answers_of: Any = tagged
    else:
        opened, listener_of, answers_of = StepModel.load(parts, backend), Listener, answers
    if isinstance(parts.spec.frontend, TokenSpec):
        wanted_sinks.refuse("a model of texts")
        return _answer_lines(lambda lines: answers_of(opened, lines), wanted_input.source)
    scores = scores or parts.spec.task in NUMBERS
    wanted = _detector(parts.spec, opened.labels, thresholds, detector)
    watch: list[Any] = []

    def show_scores(values: Any, time_s: float) -> None:
        for show in watch:
            show(values, time_s)

    listener = listener_of(opened, wanted, show_scores if scores or meter else None)
    with contextlib.ExitStack() as stack:
        frames = stack.enter_context(open_input(wanted_input, listener, path))
        sinks = Sinks(wanted_sinks, opened.labels, live=frames.live,
                      recorded=wanted_input.recorded)
        stack.callback(_print_summary, listener, frames, sinks)
        stack.callback(sinks.close)
        _say_what_runs(listener, frames, wanted_input.source)
        heard = _display(stack, frames, meter, watch, opened.labels)
        # After the display, which on a terminal keeps a place for lines above itself, and
        # so that what waits is written before the display is taken down.
        stack.enter_context(sinks)
        if scores:
            watch.append(sinks.scores)
        with _until_stopped():
            for found in listen(heard, listener):
                sinks.detection(found)
            sinks.drain()


def _display(stack: contextlib.ExitStack, frames: Any, meter: bool, watch: list[Any],
             labels: tuple[str, ...]) -> Any:
    """Put up the meter, or for a file a progress bar, on a terminal's stderr; give the frames."""
    if not sys.stderr.isatty():
        if meter:
            print("edgernn: --meter draws on a terminal; stderr is none, so it does not",
                  file=sys.stderr)
        return frames
    if meter:
        from edgernn.sinks.meter import Meter

        watch.append(stack.enter_context(Meter(labels)).scores)
        return frames
    if not hasattr(frames, "duration_s"):
        return frames
    from edgernn.sinks.progress import Progress

    return stack.enter_context(Progress(frames, frames.duration_s))


def _detector(model: Any, labels: tuple[str, ...], thresholds: tuple[str, ...],
              changes: dict[str, Any]) -> Any:
    """The stored detector with what the command line changes; a number is never detected."""
    from edgernn.spec import DetectorSpec

    spec = model.detector or DetectorSpec({})
    if model.task in NUMBERS:
        return spec
    chosen = dict(spec.thresholds) or dict.fromkeys(labels, 0.5)
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


def _answer_lines(answers: Callable[[Any], Iterator[Any]], source: str) -> None:
    """Print what a model of texts says of each line."""
    if source == "mic":
        raise click.UsageError("this model reads text, not a microphone; give --input FILE.txt, "
                               "or pipe lines to --input -")
    if source == "-":
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
        lines: Any = contextlib.nullcontext(sys.stdin)
    else:
        try:
            lines = Path(source).open(encoding="utf-8", errors="replace")  # noqa: SIM115
        except OSError as problem:
            raise SourceError(f"{source} cannot be read: {problem.strerror}. Give a text file, "
                              "or - for stdin") from problem
    with lines as text, _until_stopped():
        for answer in answers(text):
            print(json.dumps(answer, ensure_ascii=False), flush=True)


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


def _say_what_runs(listener: Any, frames: Any, source: str) -> None:
    listens = ", ".join(f"{label} at {p:g}"
                        for label, p in listener.detector.spec.thresholds.items())
    doing = f"listening for {listens}" if listens else f"giving {', '.join(listener.model.labels)}"
    where = f"microphone {frames.device.name!r}" if hasattr(frames, "device") else source
    late = getattr(listener.model, "latency_ms", 0.0)
    waits = ", each frame answered at the end" if late is None else (
        f", each frame answered up to {late:g} ms late" if late else "")
    print(f"edgernn: {where}, {listener.model.runtime.name}, {doing:.200}{waits}",
          file=sys.stderr)


def _print_summary(listener: Any, frames: Any, sinks: Sinks) -> None:
    summary, latency = listener.summary, listener.summary.latency
    if not summary.heard_s:  # an error says what happened instead
        return
    speed = 1 / summary.real_time_factor if summary.busy_s else 0.0
    us = {f"step_{name}_us": round(1e6 * value, 1) for name, value in (
        ("p50", latency.percentile_s(0.5)), ("p99", latency.percentile_s(0.99)),
        ("max", latency.largest_s))}
    print("edgernn: " + json.dumps({
        "heard_s": round(summary.heard_s, 2), "detections": summary.detections,
        "times_real_time": round(speed), **us, "steps": summary.steps, "held": summary.held,
        "resets": summary.resets, "overflows": frames.overflows, "dropped": frames.dropped,
        "sinks_dropped": sinks.dropped}),
        file=sys.stderr)
