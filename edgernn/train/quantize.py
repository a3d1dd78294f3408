"""A run folder becomes one .tflite: calibrate, write, measure, bundle.  No TensorFlow."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgernn import bundle
from edgernn.frontend import make_frontend
from edgernn.spec import ModelSpec
from edgernn.train import bidirection
from edgernn.train.assembly import quantize_parts
from edgernn.train.bidirection import FORWARD
from edgernn.train.blocks.ops import Array
from edgernn.train.calibrate import calibrate
from edgernn.train.committee import Committee
from edgernn.train.emit import emit
from edgernn.train.emulated import EmulatedModel
from edgernn.train.measure import METRICS, measure
from edgernn.train.network import Network
from edgernn.train.profile import get_profile
from edgernn.train.reference import FloatModel, TraceOps
from edgernn.train.report import Progress, Report, TensorError, metrics, provenance
from edgernn.train.sequences import (
    Sequences,
    calibration_rows,
    load_sequences,
    measured_split,
)
from edgernn.train.transducer import DECODER


def quantize_run(
    run: Path, out: Path, profile: str = "int8x16", per_channel: bool = True,
    command: str = "", progress: Progress = lambda title, frames: lambda done: None,
    others: Sequence[Path] = (),
) -> Report:
    """Quantize a trained run and write the model.

    Parameters
    ----------
    run : Path
        Folder written by `edgernn train`.
    out : Path
        The .tflite to write; replaced only once the new one is complete.
    profile : str
        int8, int8x16 or int16x8.
    per_channel : bool
        One weight scale per output unit rather than per matrix.
    command : str
        Kept in the model as its origin.
    progress : callable
        See `Progress`.
    others : paths
        More runs, whose scores are averaged with those of the first (`Committee`); it is
        calibrated and measured on the frames of the first.

    Raises
    ------
    ModelError, QuantizeError, ConfigError
        If the run is incomplete, or holds what a step cannot represent.
    """
    get_profile(profile)
    if not others and (run / FORWARD).is_dir():
        return bidirection.quantize_parts(run, out, profile, per_channel, command, progress)
    if not others and (run / DECODER).is_dir():
        return quantize_parts(run, out, profile, per_channel, command, progress)
    network = Committee.of([Network.load(each) for each in (run, *others)])
    sequences = load_sequences(run, network.architecture.features)
    return quantize_network(
        network, sequences, out, profile, per_channel,
        provenance([each / "weights.npz" for each in (run, *others)], command), progress)


def quantize_network(
    network: Network, sequences: Sequences, out: Path, profile: str, per_channel: bool,
    origin: dict[str, str], progress: Progress, labelled: bool = True,
) -> Report:
    """Quantize a network on sequences of frontend rows and write the model.

    Without `labelled`, nobody knows what is right of `sequences`, and nothing is measured.
    For the rest see `quantize_run`.
    """
    chosen = get_profile(profile)
    frontend = make_frontend(network.architecture.frontend)
    real = [frontend.features(rows) for rows in calibration_rows(sequences)]
    warnings: list[str] = []
    ranges = calibrate(network, real, progress("calibrating", 2 * sum(map(len, real))),
                       warnings.append)
    flatbuffer, pairs = emit(network, ranges, chosen, per_channel)

    emulated = EmulatedModel(flatbuffer, pairs, network.architecture.frontend)
    split, measured = measured_split(sequences)
    rows = list(measured)
    frames = 2 * int(measured.lengths.sum())
    metric = METRICS[network.architecture.task]
    floats: dict[str, float] = {}
    integers: dict[str, float] = {}
    if labelled:
        floats = measure(network.architecture, FloatModel(network),
                         [frontend.features(r) for r in rows], measured,
                         progress(f"float {metric.name}", frames))
        integers = measure(network.architecture, emulated, [emulated.encode(r) for r in rows],
                           measured, progress(f"integer {metric.name}", frames))
    spec = ModelSpec(
        labels=network.architecture.labels, frontend=network.architecture.frontend, states=pairs,
        model_sha256=hashlib.sha256(flatbuffer).hexdigest(), profile=profile,
        task=network.architecture.task,
        detector=network.architecture.detector,
        provenance=origin,
        metrics=metrics(split, profile, floats, integers))
    data = bundle.attach(flatbuffer, spec)
    bundle.write(out, data)
    return Report.of(
        [emulated], path=out, bytes=len(data), split=split, sequences=len(measured),
        metric=metric, floats=floats, integers=integers,
        worst=tensor_errors(network, emulated, rows[:200], frontend.features)[:5],
        warnings=warnings)


def tensor_errors(
    network: Network, emulated: EmulatedModel, rows: list[NDArray[np.generic]],
    features: Callable[[NDArray[np.generic]], Array],
) -> list[TensorError]:
    """Compare every tensor of the two steps over sequences laid end to end, worst first.

    Each step carries its own state: errors are those a stream would see.
    """
    ops = TraceOps()
    float_model = FloatModel(network, ops)
    float_states, int_states = float_model.initial(1), emulated.initial(1)
    squares: dict[str, NDArray[np.float64]] = {}
    stream = np.concatenate(rows)[:2000]
    for real, codes in zip(features(stream), emulated.encode(stream), strict=True):
        _, float_states = float_model.step(real[None], float_states)
        traced, int_states = emulated.trace(codes[None], int_states)
        for name in ops.seen.keys() & traced.keys():
            wanted = ops.seen[name].astype(np.float64)
            sums = squares.setdefault(name, np.zeros(2))
            sums += np.mean((traced[name] - wanted) ** 2), np.mean(wanted**2)
    errors = [TensorError(name, float(np.sqrt(d / len(stream))), float(np.sqrt(d / (w or 1.0))))
              for name, (d, w) in squares.items()]
    return sorted(errors, key=lambda error: -error.relative)
