"""`edgernn stream`: listen, and print what was detected."""

import contextlib
import dataclasses
import functools
import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from edgernn.cli.inputs import WantedInput, input_options, open_input
from edgernn.cli.listening import NUMBERS, Listening, WantedModels, detector_of, model_options
from edgernn.cli.models import BUNDLED
from edgernn.cli.sections import Sectioned, section
from edgernn.cli.sinks import Sinks, WantedSinks, sink_options
from edgernn.errors import SourceError
from edgernn.service.watchdog import Watchdog
from edgernn.sinks.home_assistant import Told
from edgernn.sources.merged import Merged
from edgernn.stream import Summary

OURS = ("A bundled model is not changed: what is chosen here lasts as long as the stream. To keep "
        "it, copy the model and give --model.")
"""Why a page does not save thresholds."""


@click.command(cls=Sectioned)
@model_options
@input_options
@section(
    "What is shown",
    click.option("--meter", is_flag=True,
                 help="Draw each label's score on the terminal (stderr)."),
    click.option("--scores", is_flag=True,
                 help="Print every step's scores as JSON lines, besides detections."))
@sink_options
def command(wanted_models: WantedModels, wanted_inputs: tuple[WantedInput, ...], meter: bool,
            scores: bool, wanted_sinks: WantedSinks) -> None:
    """Drive models over a microphone, files or a pipe.

    Prints one JSON line per detection: label, smoothed score (0 to 1), and time in
    seconds since the stream began; of several models or inputs also which. Ctrl-C ends it
    with a summary on stderr. A model of numbers prints one line per row; a model of texts
    one per line of text.

    \b
      edgernn stream
      edgernn stream --model kws.tflite --input recording.wav
      arecord -q -f S16_LE -r 16000 -t raw | edgernn stream --input -
    """
    from edgernn.spec import TokenSpec

    path = wanted_models.paths[0]
    first = wanted_models.read(path)
    if first.spec.task == "transduce" or isinstance(first.spec.frontend, TokenSpec):
        _one(wanted_models, wanted_inputs, "a model of texts")
        wanted_sinks.refuse("a model of texts")
        return _answer_lines(_answers(first, wanted_models.backend), wanted_inputs[0].source)
    watch: list[Any] = []

    def show_scores(values: Any, time_s: float) -> None:
        for show in watch:
            show(values, time_s)

    scores = scores or first.spec.task in NUMBERS
    several = len(wanted_models.paths) * len(wanted_inputs) > 1
    if several and (scores or meter or wanted_sinks.web):
        raise click.UsageError("scores are shown of one model that listens to one input; there are "
                               "several. Leave out --meter, --scores, --web and models of numbers")
    if wanted_sinks.web:
        _check_web(first, wanted_inputs[0])
    on_scores = show_scores if scores or meter or wanted_sinks.web else None
    if "head" in first.parts:
        _one(wanted_models, wanted_inputs, "a model that reads both ways")
        listening: Any = _ReadingBothWays(first, wanted_models, on_scores)
    else:
        listening = Listening(wanted_models, [each.shown for each in wanted_inputs], on_scores)
    _run(listening, path, wanted_inputs, wanted_sinks, watch, meter, scores)


def _run(listening: Any, path: Path, inputs: tuple[WantedInput, ...], wanted_sinks: WantedSinks,
         watch: list[Any], meter: bool, scores: bool) -> None:
    """Listen until the inputs end, or a signal says so."""
    listeners = list(listening.ensembles[0].listeners.values())
    labels = tuple(dict.fromkeys(label for each in listeners for label in each.model.labels))
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(open_input(each, listeners[0], path)) for each in inputs]
        frames: Any = stack.enter_context(Merged(opened, [each.shown for each in inputs]))
        sinks = Sinks(wanted_sinks, labels, live=frames.live,
                      recorded=all(each.recorded for each in inputs),
                      told=_told(path, listeners))
        stack.callback(_print_summary, listening, frames, sinks)
        stack.callback(sinks.close)
        _say_what_runs(listening, opened, inputs)
        heard = _numbered(_display(stack, opened[0], meter, watch, labels)) if (
            len(opened) == 1) else frames
        # After the display, which on a terminal keeps a place for lines above itself, and
        # so that what waits is written before the display is taken down.
        stack.enter_context(sinks)
        if scores:
            watch.append(sinks.scores)
        if sinks.web:
            watch.append(sinks.web.step)
            sinks.web.show(listeners[0], path, inputs[0].shown, OURS if (
                path.parent == BUNDLED.parent) else "")
        count = functools.partial(_counts, listening, frames, sinks)
        with _until_stopped(), listening.kept(), Watchdog() as watchdog:
            for number, frame in watchdog.watched(iter(heard)):
                ensemble = listening.ensembles[number]
                for found in ensemble.flush() if frame is None else ensemble.push(frame):
                    sinks.detection(found if len(opened) == 1 else dataclasses.replace(
                        found, input=inputs[number].shown))
                listening.look_after()
                if sinks.web:
                    sinks.web.look_after(listening.choose, count)
            sinks.drain()


def _told(path: Path, listeners: list[Any]) -> Told:
    """What Home Assistant is told of the models."""
    events = dict.fromkeys(label for each in listeners for label in each.detector.spec.thresholds)
    numbers = [label for each in listeners if each.model.spec.task == "regress"
               for label in each.model.labels]
    return Told(path.name, tuple(events), tuple(numbers))


def _numbered(frames: Any) -> Iterator[tuple[int, Any]]:
    """Frames of the only input, as of several."""
    for frame in frames:
        yield 0, frame
    yield 0, None


def _check_web(model: Any, wanted: WantedInput) -> None:
    """Whether there is something to show as it goes."""
    if "head" in model.parts:
        raise click.UsageError("--web shows steps; a model that reads both ways makes none. "
                               "Leave it out")
    if wanted.recorded:
        raise click.UsageError(
            f"--web shows what goes on, and {wanted.shown} is read faster than it can be seen. "
            "Play it: ffmpeg -v error -re -i FILE -f s16le -ar 16000 -ac 1 - | edgernn stream "
            "--input - --web PORT")


def _one(models: WantedModels, inputs: tuple[WantedInput, ...], model: str) -> None:
    models.refuse(model)
    if len(inputs) > 1:
        raise click.UsageError(f"{model} takes one --input; there are {len(inputs)}")


class _ReadingBothWays:
    """A bidirectional model as `Listening` is for others."""

    def __init__(self, parts: Any, wanted: WantedModels, on_scores: Any) -> None:
        from edgernn.bidirectional import Bidirectional
        from edgernn.bidirectional_stream import BidirectionalListener
        from edgernn.ensemble import Ensemble

        model = Bidirectional(parts, wanted.backend)
        detector = detector_of(parts.spec, model.labels, wanted)
        self.ensembles = [Ensemble({"": BidirectionalListener(model, detector, on_scores)})]

    def kept(self) -> contextlib.AbstractContextManager[None]:
        """Nothing is kept."""
        return contextlib.nullcontext()

    def look_after(self) -> None:
        """Nothing is due."""


def _answers(parts: Any, backend: str) -> Callable[[Any], Iterator[Any]]:
    """What a model of texts says of lines."""
    if parts.spec.task == "transduce":
        from edgernn.transduce import Transducer, targets

        transducer = Transducer(parts, backend)
        return lambda lines: targets(transducer, lines)
    if "head" in parts.parts:
        from edgernn.bidirectional import Bidirectional, tagged

        both = Bidirectional(parts, backend)
        return lambda lines: tagged(both, lines)
    from edgernn.lines import answers
    from edgernn.step import StepModel

    model = StepModel.load(parts, backend)
    return lambda lines: answers(model, lines)


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


def _say_what_runs(listening: Any, opened: list[Any], inputs: tuple[WantedInput, ...]) -> None:
    listeners = list(listening.ensembles[0].listeners.values())
    listens = ", ".join(f"{label} at {p:g}" for listener in listeners
                        for label, p in listener.detector.spec.thresholds.items())
    model = listeners[0].model
    doing = f"listening for {listens}" if listens else f"giving {', '.join(model.labels)}"
    where = ", ".join(f"microphone {frames.device.name!r} at {frames.recorded_hz} Hz"
                      if hasattr(frames, "device") else wanted.shown
                      for frames, wanted in zip(opened, inputs, strict=True))
    late = getattr(model, "latency_ms", 0.0)
    waits = ", each frame answered at the end" if late is None else (
        f", each frame answered up to {late:g} ms late" if late else "")
    gate = listening.ensembles[0].gate
    behind = f", behind {', '.join(gate.listener.model.labels[1:])}" if gate else ""
    print(f"edgernn: {where:.200}, {model.runtime.name}, {doing:.200}{waits}{behind:.100}",
          file=sys.stderr)


def _print_summary(listening: Any, frames: Merged, sinks: Sinks) -> None:
    if any(each.summary.heard_s for each in listening.ensembles):  # else an error says what was
        print("edgernn: " + json.dumps(_counts(listening, frames, sinks)), file=sys.stderr)


def _counts(listening: Any, frames: Merged, sinks: Sinks) -> dict[str, Any]:
    """What the stream was like until now."""
    summary = Summary()
    for ensemble in listening.ensembles:
        summary.add(ensemble.summary)
    latency = summary.latency
    speed = 1 / summary.real_time_factor if summary.busy_s else 0.0
    us = {f"step_{name}_us": round(1e6 * value, 1) for name, value in (
        ("p50", latency.percentile_s(0.5)), ("p99", latency.percentile_s(0.99)),
        ("max", latency.largest_s))}
    gates = [ensemble for ensemble in listening.ensembles if ensemble.gate]
    let = {"let_through_s": round(sum(each.let_through_s for each in gates), 2)} if gates else {}
    return {
        "heard_s": round(summary.heard_s, 2), "detections": summary.detections,
        "times_real_time": round(speed), **us, "steps": summary.steps, "held": summary.held,
        "resets": summary.resets, **let, "overflows": frames.count("overflows"),
        "dropped": frames.count("dropped"), "sinks_dropped": sinks.dropped,
        **frames.counts}
