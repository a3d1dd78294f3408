"""A Keras model made by hand becomes one .tflite: read, prove, calibrate, write."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ConfigError, DataError, QuantizeError
from edgernn.frontend import make_frontend
from edgernn.frontend.standardize import Standardize
from edgernn.frontend.tokens import Tokens
from edgernn.train import keras_file
from edgernn.train.architecture import Architecture
from edgernn.train.dataset import check_label
from edgernn.train.keras_import import Imported, convert
from edgernn.train.network import Network
from edgernn.train.profile import get_profile
from edgernn.train.quantize import quantize_network
from edgernn.train.readers import frames
from edgernn.train.reference import FloatModel
from edgernn.train.report import Progress, Report, provenance
from edgernn.train.sequences import Sequences
from edgernn.train.stepper import drive

PROVEN = 3, 30
"""Sequences, and frames of each, on which the step is compared with Keras."""
TOLERANCE = 1e-3
"""Of a score, or as a share of the largest: far more than float32 rounds, far less than a
wrong activation or mask is off."""


def quantize_keras(
    path: Path, calibration: Path | None, out: Path, profile: str = "int8x16",
    per_channel: bool = True, labels: tuple[str, ...] = (), vocabulary: Path | None = None,
    command: str = "", progress: Progress = lambda title, frames: lambda done: None,
    tell: Callable[[str], None] = lambda message: None,
) -> Report:
    """Quantize a saved Keras model and write the step.

    Parameters
    ----------
    path : Path
        A .keras or .h5 file.
    calibration : Path
        Frames such as the model will meet; see `edgernn.train.readers.frames`.
    out, profile, per_channel, command, progress
        See `edgernn.train.quantize.quantize_run`.
    labels : tuple of str
        Names of the model's outputs, in their order; class_0, class_1, ... if empty.
    vocabulary : Path
        Of a model that begins with an Embedding: its tokens from row 2, one a line.
    tell : callable
        Told why no accuracy is measured, if none is.

    Raises
    ------
    ModelError, QuantizeError, DataError, ConfigError, OutputError
        If the model or the frames cannot be read, or hold what a step cannot do.
    """
    get_profile(profile)
    if calibration is None:
        raise ConfigError(f"{path} is a Keras model, which says nothing of the numbers it will be "
                          "given; frames to calibrate on were needed. Add --calibrate FRAMES.npz, "
                          f"with {frames.LAYOUTS}")
    for label in labels:
        check_label(label, path)
    model = keras_file.load(path)
    found = convert(model, labels, _tokens(vocabulary))
    frontend = make_frontend(found.architecture.frontend)
    assert isinstance(frontend, Standardize | Tokens)
    data = frames.read(calibration, frontend, found.mask)
    sequences = _sequences(found.architecture, data)
    try:
        found, sequences = _answered(found, sequences, data.truths, bool(labels))
        why = ""
    except _UnknownError as problem:
        why = str(problem)
        tell(f"not measured: {why}")
    found = found.with_columns(data.columns, data.rate_hz)
    network = Network.build(found.architecture, found.arrays)
    prove(model, found, network, data.sequences)
    return quantize_network(network, sequences, out, profile, per_channel,
                            provenance([path], command), progress, labelled=not why)


def prove(model: Any, found: Imported, network: Network, sequences: list[NDArray[Any]]) -> None:
    """Compare the float step, frame by frame, with the Keras model that it was made from.

    Frames are masked at the beginning, in the middle and at the end if the model has a mask.

    Raises
    ------
    QuantizeError
        If they differ by more than `TOLERANCE`: the model has something in it that the step
        does not know of.
    """
    count, longest = PROVEN
    frontend = make_frontend(found.architecture.frontend)
    batch, *shape = model.input_shape
    frames_needed = shape[0]
    for rows in [one for one in sequences if len(one)][:count]:
        rows = _of_length(rows, frames_needed) if frames_needed else rows[:longest]
        x, real = _punched(rows, found.mask) if found.mask is not None and not frames_needed \
            else (rows, np.arange(len(rows)))
        given = np.repeat(x.reshape(1, -1, *shape[1:]), batch or 1, axis=0)
        for layer in _leaves(model):
            if hasattr(layer, "reset_state"):  # of a stateful layer, saved with it
                layer.reset_state()
        wanted = np.asarray(model(given, training=False))[0]
        wanted = wanted[real] if wanted.ndim == 2 else wanted[None]
        scores = drive(FloatModel(network), [frontend.features(_whole(frontend, rows))])[0]
        off = float(np.abs(scores[-len(wanted):] - wanted).max())
        if not off <= TOLERANCE * max(1.0, float(np.abs(wanted).max())):
            raise QuantizeError(f"the step's scores are {off:.3g} from those of the Keras model "
                                f"{model.name!r} on the frames given; the same were needed. A "
                                "layer has an option that edgernn does not know: please report it "
                                "with the model")


def _whole(frontend: Any, rows: NDArray[Any]) -> NDArray[Any]:
    """Rows of the frontend; tokens are theirs already."""
    return rows if rows.dtype.kind == "i" else frontend.whole(rows)


def _of_length(rows: NDArray[Any], frames_needed: int) -> NDArray[Any]:
    """So many frames, again from the first one if there are too few."""
    return np.resize(rows, (frames_needed, rows.shape[1]))


def _punched(rows: NDArray[Any], mask: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Frames with masked ones before, among and after them, and where the real ones are."""
    places = np.array([0, 0, len(rows) // 2, len(rows), len(rows)])
    real = np.ones(len(rows), bool)
    return np.insert(rows, places, mask, axis=0), np.flatnonzero(np.insert(real, places, False))


def _leaves(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _leaves(layer)
        else:
            yield layer


def _tokens(vocabulary: Path | None) -> tuple[str, ...]:
    if vocabulary is None:
        return ()
    try:
        return tuple(vocabulary.read_text(encoding="utf-8").removesuffix("\n").split("\n"))
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError(f"{vocabulary} cannot be read ({problem}); tokens in UTF-8, one a line, "
                        "were needed") from problem


def _sequences(architecture: Architecture, data: frames.Frames) -> Sequences:
    frontend = make_frontend(architecture.frontend)
    count = len(data.sequences)
    return Sequences(np.concatenate([_whole(frontend, one) for one in data.sequences]),
                     np.array([len(one) for one in data.sequences], np.int64),
                     np.zeros(count, np.int64), np.array(data.split or ["calibration"] * count))


class _UnknownError(Exception):
    """Why nobody knows what the right scores are."""


def _answered(found: Imported, sequences: Sequences, truths: list[NDArray[Any]], named: bool
              ) -> tuple[Imported, Sequences]:
    """The same with what is right on each sequence, and the task that asks so."""
    if not truths:
        raise _UnknownError("the frames have no labels")
    if len(found.architecture.labels) < 2 and found.architecture.task == "classify":
        raise _UnknownError("the model has one label, and nothing to take for it")
    if found.architecture.task == "regress":
        try:
            numbers = [np.array(truth, np.float32) for truth in truths]
        except ValueError:
            raise _UnknownError("the model gives a number, and the frames have labels") from None
        targets = np.concatenate([_spread(truth, n, np.float32(np.nan)) for truth, n in
                                  zip(numbers, sequences.lengths, strict=True)])
        return found, replace(sequences, targets=targets[:, None])
    codes = _codes(found.architecture.labels, truths, named)
    if all(len(code) == 1 for code in codes):
        return found, replace(sequences, labels=np.concatenate(codes))
    targets = np.concatenate([_spread(code, n, np.int64(-1)) for code, n in
                              zip(codes, sequences.lengths, strict=True)])
    asked = replace(found, architecture=replace(found.architecture, task="label"))
    return asked, replace(sequences, targets=targets)


def _spread(truth: NDArray[Any], frames_there: int, nothing: np.generic) -> NDArray[Any]:
    """What is right on each frame: what is right of the whole is asked on its last one."""
    found = np.full(frames_there, nothing)
    found[-len(truth):] = truth
    return found


def _codes(labels: tuple[str, ...], truths: list[NDArray[Any]], named: bool
           ) -> list[NDArray[np.int64]]:
    """Index of each label among the model's outputs, -1 for none.

    Labels match by name if the outputs were named, or are whole numbers that count outputs.
    """
    found = {str(one) for truth in truths for one in truth} - {""}
    numbers = tuple(str(i) for i in range(len(labels)))
    for names in ((labels,) if named else ()) + (numbers,):
        if found <= set(names):
            index = {name: i for i, name in enumerate(names)} | {"": -1}
            return [np.array([index[str(one)] for one in truth], np.int64) for truth in truths]
    other = sorted(found - set(labels))[0]
    raise _UnknownError(f"the frames have the label {other!r}, and the model's outputs are "
                        f"{', '.join(labels)[:80]}; name them in their order with --labels")
