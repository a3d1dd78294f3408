"""Networks with one recurrent layer that reads from both ends: trained, as steps, quantized.

A stack [front..., cell, rest...] becomes three steps: front and cell forward, front and cell
backward, and the rest, which sees both outputs side by side (`edgernn.bidirectional`).
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import bundle
from edgernn.errors import ConfigError
from edgernn.frontend import make_frontend
from edgernn.spec import PART, PartsSpec
from edgernn.train import models
from edgernn.train.architecture import Architecture, Layer
from edgernn.train.blocks import BLOCKS, CELLS
from edgernn.train.calibrate import Ranges
from edgernn.train.config import TrainConfig
from edgernn.train.dataset import DataSet, Samples
from edgernn.train.fit import CALIBRATION_SEQUENCES, Progress, learn
from edgernn.train.folder import making, record
from edgernn.train.material import prepare
from edgernn.train.measure import METRICS
from edgernn.train.network import Network
from edgernn.train.parts import (
    Arrays,
    Described,
    Part,
    build,
    emit_parts,
    join,
    load,
    on_floats,
    over,
    save,
    watched,
)
from edgernn.train.profile import get_profile
from edgernn.train.report import Progress as Bars
from edgernn.train.report import Report, metrics, provenance
from edgernn.train.sequences import (
    Sequences,
    calibration_rows,
    joined,
    load_sequences,
    measured_split,
)

FORWARD, BACKWARD, HEAD = PARTS = ("forward", "backward", "head")
CALIBRATION = 500
"""Training sequences to calibrate on."""
UNUSED = ("tbptt", "carry")
"""Settings for a state that is carried from sequence to sequence."""
Rows = Sequence[NDArray[Any]]


class Bidirection:
    """Scores of whole sequences, all of them at a time, on floats or on integers.

    Parameters
    ----------
    parts : dict of Part
    chunk, ahead : int
        See `edgernn.bidirectional.Bidirectional`.
    """

    def __init__(self, parts: Mapping[str, Part], chunk: int = 0, ahead: int = 0) -> None:
        self.parts, self.chunk, self.ahead = parts, chunk, ahead

    def run(self, sequences: Rows) -> list[NDArray[Any]]:
        """Outputs of every frame of each sequence, shape (frames, labels)."""
        before, _ = over(self.parts[FORWARD], sequences)
        lengths = [len(rows) for rows in sequences]
        spans = [(i, start, min(start + (self.chunk or n), n), n)
                 for i, n in enumerate(lengths) for start in range(0, n, self.chunk or n)]
        windows = [sequences[i][start:min(stop + self.ahead, n)][::-1]
                   for i, start, stop, n in spans]
        found, _ = over(self.parts[BACKWARD], windows)
        after = np.zeros_like(before)
        for (i, start, stop, _), rows, window in zip(spans, found, windows, strict=True):
            after[i, start:stop] = rows[:len(window)][::-1][:stop - start]
        both = np.concatenate([np.concatenate([before[i, :n], after[i, :n]], axis=1)
                               for i, n in enumerate(lengths)])
        scores, _ = self.parts[HEAD].codes(both, self.parts[HEAD].initial(len(both)))
        return np.split(scores, np.cumsum(lengths)[:-1])


def stack(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The same layers, the recurrent one bidirectional.

    Raises
    ------
    ConfigError
        If there is not exactly one, or what follows it remembers, or its output is not bounded.
    """
    cells = [i for i, layer in enumerate(layers) if layer.kind in CELLS]
    bad = [layer.kind for layer in layers[cells[0] + 1:] if BLOCKS[layer.kind].states(layer, 1)] \
        if cells else []
    if len(cells) != 1 or bad or layers[cells[0]].activation == "relu" or layers[cells[0]].residual:
        raise ConfigError(f"a bidirectional network of {', '.join(one.kind for one in layers)} was "
                          "asked for; one recurrent layer with outputs in [-1, 1], not residual, "
                          "and no memory after it were needed. Use --layers 1")
    return tuple(dataclasses.replace(layer, bidirectional=i == cells[0])
                 for i, layer in enumerate(layers))


def describe(whole: Architecture, arrays: Arrays) -> Described:
    """The three parts of a trained network, as `Network.build` takes them."""
    layers = whole.layers
    at = next(i for i, layer in enumerate(layers) if layer.bidirectional)
    cell = dataclasses.replace(layers[at], bidirectional=False)
    width = whole.features
    for layer in layers[:at + 1]:
        width = BLOCKS[layer.kind].outputs(layer, width)
    read = dataclasses.replace(
        whole, labels=(), layers=(*layers[:at], cell, Layer("memory", width)), task=PART,
        detector=None)
    found: Described = {}
    for name in (FORWARD, BACKWARD):
        own = {key: value for key, value in arrays.items() if int(key.split("/")[0]) < at}
        for key, value in arrays.items():
            index, array = key.split("/")
            backward = array.startswith(models.BACKWARD)
            if int(index) == at and backward == (name == BACKWARD):
                own[f"{at}/{array.removeprefix(models.BACKWARD)}"] = value
        # How far it sees is said once, by the part that is opened first.
        found[name] = (read if name == FORWARD else _unbounded(read), own)
    rest = {f"{int(key.split('/')[0]) - at - 1}/{key.split('/')[1]}": value
            for key, value in arrays.items() if int(key.split("/")[0]) > at}
    found[HEAD] = (_unbounded(dataclasses.replace(
        whole, features=2 * width, frontend=PartsSpec(2 * width), layers=layers[at + 1:],
        detector=None)), rest)
    return found


def _unbounded(shape: Architecture) -> Architecture:
    return dataclasses.replace(shape, chunk=0, ahead=0)


def fit(config: TrainConfig, data: DataSet, out: Path, progress: Progress = lambda epoch: None,
        overwrite: bool = False, negatives: tuple[Samples, ...] = ()) -> dict[str, float]:
    """Train on whole sequences for all epochs; see `edgernn.train.fit.fit`.

    The run folder has a folder for each part in place of architecture.json and weights.npz.
    metrics.json holds accuracies per frame, 0 to 1, as `test_float_chunked` (chunk and
    look-ahead as configured) and `test_float_whole`.
    """
    if config.task != "label":
        raise ConfigError(f"a bidirectional network of task {config.task} was asked for; label was "
                          "needed, or transduce. Use --task label")
    for name in UNUSED:
        if getattr(config, name):
            raise ConfigError(f"{name} is {getattr(config, name)}, which a network that reads "
                              "from both ends cannot do. Leave it out")
    with making(out, overwrite) as place:
        folder = place.run
        material = prepare(config, data, negatives)
        features = material.frontend.width
        whole = Architecture(
            features, material.labels, material.frontend,
            stack(models.layers(config, len(material.labels), features, material.vocabulary)),
            task=config.task, chunk=config.chunk, ahead=config.ahead)
        loop = learn(config, material, whole, place, progress, overwrite, None)
        model, history = loop.finish(), loop.history
        described = describe(whole, models.arrays(model, whole.layers))
        held_out = material.held_out
        made = on_floats(build(described))
        found = {f"{split}_float_{name}": value for split in ("validation", "test")
                   if len(held_out.of_split(split))
                   for name, value in measure(made, whole, held_out.of_split(split)).items()}
        found |= {"epochs": len(history), "best_epoch": len(history),
                  "parameters": model.count_params()}
        record(folder, config, found, history)
        model.save(folder / "model.keras")
        save(described, folder)
        joined(material.teacher.calibration(CALIBRATION_SEQUENCES),
               held_out).save(folder / "sequences.npz")
    return found


def measure(parts: Mapping[str, Part], shape: Architecture, held: Sequences,
            encode: Callable[[NDArray[Any]], NDArray[Any]] | None = None) -> dict[str, float]:
    """Accuracy per frame with chunk and look-ahead, and with the whole sequence at once."""
    encode = encode or make_frontend(shape.frontend).features
    rows = [encode(row) for row in held]
    targets = held.targets
    assert targets is not None, "task label has a label for every frame"
    asked = targets >= 0
    found = {}
    for name, sizes in (("chunked", (shape.chunk, shape.ahead)), ("whole", (0, 0))):
        scores = np.concatenate(Bidirection(parts, *sizes).run(rows))
        found[name] = float(np.mean(scores[asked].argmax(axis=1) == targets[asked]))
    return found


def calibrate(networks: Mapping[str, Network], rows: Rows, chunk: int, ahead: int
              ) -> dict[str, Ranges]:
    """The range of every value of every part, in chunks and over whole sequences."""
    parts, ops = watched(networks)
    for sizes in ((0, 0), (chunk, ahead)):
        Bidirection(parts, *sizes).run(rows)
    low, high = min(float(r.min()) for r in rows), max(float(r.max()) for r in rows)
    return {name: own.clipped() | {"x": (min(low, 0.0), max(high, 0.0))}
            for name, own in ops.items()}


def quantize_parts(run: Path, out: Path, profile: str, per_channel: bool, command: str,
                   progress: Bars) -> Report:
    """Quantize a bidirectional run; see `edgernn.train.quantize.quantize_run`."""
    networks = load(run, PARTS)
    shape = networks[FORWARD].architecture
    sequences = load_sequences(run, shape.features)
    frontend = make_frontend(shape.frontend)
    tell = progress("calibrating", 1)
    real = [frontend.features(row) for row in calibration_rows(sequences)]
    ranges = calibrate(networks, real[:CALIBRATION], shape.chunk, shape.ahead)
    tell(1)
    files, emulated = emit_parts(networks, ranges, get_profile(profile), "label", per_channel)
    split, held = measured_split(sequences)
    tell = progress("accuracy per frame", 2)
    floats = measure(on_floats(networks), shape, held)
    tell(1)
    integers = measure(emulated, shape, held, emulated[FORWARD].encode)
    tell(1)
    data = join(files, metrics=metrics(split, profile, floats, integers), provenance=provenance(
        [run / name / "weights.npz" for name in PARTS], command))
    bundle.write(out, data)
    return Report.of(emulated.values(), path=out, bytes=len(data), split=split,
                     sequences=len(held), metric=METRICS["label"], floats=floats,
                     integers=integers)
