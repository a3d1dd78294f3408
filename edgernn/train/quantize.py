"""A run folder becomes one .tflite: calibrate, write, measure, bundle.  No TensorFlow."""

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgernn import bundle
from edgernn.errors import QuantizeError
from edgernn.frontend import make_frontend
from edgernn.spec import ModelSpec
from edgernn.train import bidirection
from edgernn.train.assembly import quantize_parts
from edgernn.train.bidirection import FORWARD
from edgernn.train.blocks.ops import Array
from edgernn.train.calibrate import calibrate
from edgernn.train.emit import emit
from edgernn.train.emulated import EmulatedModel
from edgernn.train.measure import METRICS, measure
from edgernn.train.network import Network
from edgernn.train.profile import get_profile
from edgernn.train.reference import FloatModel, FloatOps
from edgernn.train.report import Progress, Report, TensorError, provenance
from edgernn.train.sequences import Sequences
from edgernn.train.transducer import DECODER

CALIBRATION_FRAMES = 100_000
"""Enough for ranges to settle; more only takes longer."""

def quantize_run(
    run: Path, out: Path, profile: str = "int8x16", per_channel: bool = True,
    command: str = "", progress: Progress = lambda title, frames: lambda done: None,
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

    Raises
    ------
    ModelError, QuantizeError, ConfigError
        If the run is incomplete, or holds what a step cannot represent.
    """
    get_profile(profile)
    if (run / FORWARD).is_dir():
        return bidirection.quantize_parts(run, out, profile, per_channel, command, progress)
    if (run / DECODER).is_dir():
        return quantize_parts(run, out, profile, per_channel, command, progress)
    network = Network.load(run)
    return quantize_network(network, load_sequences(run, network), out, profile, per_channel,
                            provenance([run / "weights.npz"], command), progress)


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
        metrics={f"{split}_{kind}_{name}": round(value, 5)
                 for kind, values in (("float", floats), (profile, integers))
                 for name, value in values.items()})
    data = bundle.attach(flatbuffer, spec)
    bundle.write(out, data)
    states = [emulated.graph.tensor(pair.input) for pair in pairs]
    return Report(
        path=out, bytes=len(data), ops=Counter(op.name for op in emulated.graph.ops),
        state_bytes=sum(int(np.prod(t.shape)) * np.dtype(t.dtype).itemsize for t in states),
        split=split, sequences=len(measured), metric=metric, floats=floats, integers=integers,
        worst=tensor_errors(network, emulated, rows[:200], frontend.features)[:5],
        warnings=warnings)


def tensor_errors(
    network: Network, emulated: EmulatedModel, rows: list[NDArray[np.generic]],
    features: Callable[[NDArray[np.generic]], Array],
) -> list[TensorError]:
    """Compare every tensor of the two steps over sequences laid end to end, worst first.

    Each step carries its own state: errors are those a stream would see.
    """
    seen: dict[str, Array] = {}

    class TraceOps(FloatOps):
        def keep(self, name: str, value: Array) -> Array:
            seen[self.prefix + name] = value
            return value

    float_model = FloatModel(network, TraceOps())
    float_states, int_states = float_model.initial(1), emulated.initial(1)
    squares: dict[str, NDArray[np.float64]] = {}
    stream = np.concatenate(rows)[:2000]
    for real, codes in zip(features(stream), emulated.encode(stream), strict=True):
        _, float_states = float_model.step(real[None], float_states)
        traced, int_states = emulated.trace(codes[None], int_states)
        for name in seen.keys() & traced.keys():
            wanted = seen[name].astype(np.float64)
            sums = squares.setdefault(name, np.zeros(2))
            sums += np.mean((traced[name] - wanted) ** 2), np.mean(wanted**2)
    errors = [TensorError(name, float(np.sqrt(d / len(stream))), float(np.sqrt(d / (w or 1.0))))
              for name, (d, w) in squares.items()]
    return sorted(errors, key=lambda error: -error.relative)


def load_sequences(run: Path, network: Network) -> Sequences:
    """The run's frames, but for sequences of none.

    Raises
    ------
    QuantizeError
        If there are none, or of another width than the network's.
    """
    path = run / "sequences.npz"
    try:
        sequences = Sequences.load(path)
    except (OSError, ValueError, KeyError) as problem:
        raise QuantizeError(f"{path} cannot be read ({problem}); the frames to calibrate on were "
                            "needed. Train again: edgernn train DATA --out run/") from problem
    sequences = sequences.where(sequences.lengths > 0)
    width = sequences.rows.shape[1] if sequences.rows.ndim == 2 else 0
    if not len(sequences) or width != network.architecture.features:
        raise QuantizeError(f"{path} holds {len(sequences)} sequences {width} wide; at least one "
                            f"{network.architecture.features} wide was needed. "
                            "Train again: edgernn train DATA --out run/")
    return sequences


def calibration_rows(sequences: Sequences) -> list[NDArray[np.generic]]:
    """Training sequences, up to `CALIBRATION_FRAMES`; all if none is marked so."""
    pool = sequences.of_split("train") if "train" in sequences.split else sequences
    within = np.cumsum(pool.lengths) <= max(CALIBRATION_FRAMES, int(pool.lengths[0]))
    return list(pool.where(within))


def measured_split(sequences: Sequences) -> tuple[str, Sequences]:
    """The most honest split there is, and its name."""
    for split in ("test", "validation", "train", "calibration"):
        chosen = sequences.of_split(split)
        if len(chosen):
            return split, chosen
    raise QuantizeError(f"sequences.npz has the splits {sorted(set(sequences.split))}; test, "
                        "validation or train was needed. Train again: edgernn train")
