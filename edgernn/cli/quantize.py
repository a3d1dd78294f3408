"""`edgernn quantize`: a trained run, or a Keras model, becomes one .tflite."""

import contextlib
import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from edgernn import bundle, files
from edgernn.errors import QuantizeError
from edgernn.lint import REFUSED, TARGETS, lint
from edgernn.spec import DRIFT_POLICIES


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True))
@click.argument("others", metavar="[RUN]...", nargs=-1,
                type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False),
              help="The .tflite to write.")
@click.option("--target", type=click.Choice(["edgetpu"]),
              help="Make only what this maps: int8 throughout and one scale per weight matrix, or "
                   "an error that says which layer it cannot have.")
@click.option("--profile", type=click.Choice(["int8", "int8x16", "int16x8"]),
              help="int8: smallest. int8x16: int8 matmuls, int16 state and gates. "
                   "int16x8: int16 throughout, most accurate, slowest.  [default: int8x16; "
                   "for edgetpu int8]")
@click.option("--weights", type=click.Choice(["per-channel", "per-tensor"]),
              help="One weight scale per unit, or per matrix (8 bytes a unit smaller).  [default: "
                   "per-channel; for edgetpu per-tensor]")
@click.option("--reset-state", type=click.Choice(tuple(DRIFT_POLICIES)), default="never",
              show_default=True,
              help="Stored with the model: when the state of an endless stream begins anew "
                   "(docs/streaming.md); `edgernn stream --reset-state` overrides it.")
@click.option("--calibrate", "calibration", type=click.Path(path_type=Path), metavar="DATA",
              help="Keras model only, and needed: frames such as it will meet. An .npz with "
                   "`frames` of shape (n, frames, features), and `lengths` and `y` if it has "
                   "them; or any sensor data that `edgernn train` takes.")
@click.option("--labels", default="", metavar="A,B,...",
              help="Keras model only: names of its outputs, in their order.  "
                   "[default: class_0,class_1,...]")
@click.option("--vocabulary", type=click.Path(path_type=Path), metavar="FILE",
              help="Keras model with an Embedding only: its tokens from row 2, one a line; row 0 "
                   "is padding, 1 an unknown token.")
def command(run: Path, others: tuple[Path, ...], out: Path, target: str | None,
            profile: str | None, weights: str | None, reset_state: str,
            calibration: Path | None, labels: str, vocabulary: Path | None) -> None:
    """Quantize RUN, or several RUNs together, to one int8 step model.

    RUN is the folder that `edgernn train` wrote, or a Keras model built by hand and saved
    as .keras or .h5: Sequential or functional, of Dense, GRU, LSTM, SimpleRNN, causal Conv1D,
    Embedding and norms; what a step cannot do is refused by the layer's name.

    Of several runs, trained apart for the same question, the model holds all networks and
    answers with the mean of their logits: what one of them mistakes for a word the others vote
    down.

    Calibrates on the run's own frames (or on --calibrate) fed as a stream, writes the .tflite
    with its labels, frontend, states and thresholds inside, and prints what it cost: a table
    on stderr, one JSON line on stdout. Of a run folder it needs no TensorFlow.
    """
    from rich.console import Console
    from rich.progress import Progress

    if run.is_dir() and (calibration or labels or vocabulary):
        raise click.UsageError("--calibrate, --labels and --vocabulary are for a Keras model; a "
                               "run folder has all that in it")
    if others and not run.is_dir():
        raise click.UsageError("several RUNs were given, one of them a Keras model; folders that "
                               "edgernn train wrote can be averaged")
    if target and profile not in (None, "int8"):
        raise click.UsageError(f"--target {target} takes 8 bits alone; --profile {profile} has 16. "
                               "Leave --profile out")
    profile = profile or ("int8" if target else "int8x16")
    weights = weights or ("per-tensor" if target else "per-channel")
    console = Console(stderr=True)
    with contextlib.ExitStack() as stack, Progress(console=console, transient=True) as bars:
        def begin(title: str, frames: int) -> Callable[[int], None]:
            task = bars.add_task(title, total=frames)
            return lambda done: bars.advance(task, done)

        common: dict[str, Any] = {
            "out": stack.enter_context(_finished(out, target, reset_state)), "profile": profile,
            "per_channel": weights == "per-channel",
            "command": "edgernn " + " ".join(sys.argv[1:]), "progress": begin}
        if run.is_dir():
            from edgernn.train.quantize import quantize_run

            report = quantize_run(run, **common, others=others)
        else:
            from edgernn.train.keras_quantize import quantize_keras

            report = quantize_keras(run, calibration, **common, labels=_listed(labels),
                                    vocabulary=vocabulary, tell=console.print)
        report = dataclasses.replace(report, path=out)
    for text in report.warnings:
        console.print(f"warning: {text}", highlight=False, soft_wrap=True)
    _print_table(console, report)
    print(json.dumps({
        "model": str(report.path), "profile": profile, "bytes": report.bytes,
        "ops": dict(report.ops), "state_bytes": report.state_bytes, "split": report.split,
        "sequences": report.sequences, "metric": report.metric.name,
        "float": report.floats, profile: report.integers,
        "worst_tensors": [dataclasses.asdict(error) for error in report.worst]}), flush=True)


@contextlib.contextmanager
def _finished(out: Path, target: str | None, reset_state: str) -> Iterator[Path]:
    """Where to write a model, which gets to `out` only if the target runs all of it."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / out.name
        yield made
        whole = bundle.read(made)
        if target is not None:
            _refuse(whole, target)
        if reset_state != "never":
            if whole.parts:
                raise QuantizeError("--reset-state is for models that step through a stream; this "
                                    f"one has the parts {', '.join(whole.parts)}. Leave it out")
            drift = dataclasses.replace(whole.spec.drift, policy=reset_state)
            made.write_bytes(bundle.attach(
                whole.flatbuffer, dataclasses.replace(whole.spec, drift=drift)))
        files.write(out, made.read_bytes())


def _refuse(whole: bundle.Bundle, target: str) -> None:
    """Say what of a model a target does not run, if there is anything."""
    refused = [each for part in (whole, *whole.parts.values())
               for each in lint(part.graph, [target]) if each.state == REFUSED]
    if refused:
        first = refused[0]
        raise QuantizeError(
            f"{TARGETS[target].what} does not run {len(refused)} of its ops, the first being "
            f"{first.op} ({first.tensor}): {first.why}. A GRU, or a SimpleRNN with tanh, and "
            "Dense layers it does run; an LSTM's cell state has 16 bits. Train such a one")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _print_table(console: Any, report: Any) -> None:
    from rich.table import Table

    table = Table(title=f"{report.path}", show_header=False, title_justify="left")
    table.add_row("size", f"{report.bytes:,} bytes")
    table.add_row("ops", f"{report.ops.total()}: "
                  + ", ".join(f"{n} {op}" for op, n in report.ops.most_common()))
    table.add_row("state", f"{report.state_bytes} bytes per stream")
    if report.floats:
        table.add_section()
        header = f"{report.metric.name}, {report.sequences} {report.split} sequences"
        table.add_row(header, "float    integer")
    meanings = {"reset": "state reset for each", "carry": "state carried over",
                "greedy": "the likeliest token at each step",
                "chunked": "in chunks, with their look-ahead", "whole": "whole sequences"}
    for name in report.floats:
        shown = (format(found[name], report.metric.form).rjust(7)
                 for found in (report.floats, report.integers))
        table.add_row(f"  {meanings[name]}", "  ".join(shown))
    if report.worst:
        table.add_section()
        table.add_row("farthest from float", "rms error    share of the float tensor's rms")
    for error in report.worst:
        table.add_row(f"  {error.name}", f"{error.rms:9.3g}    {error.relative:.2%}")
    console.print(table)
