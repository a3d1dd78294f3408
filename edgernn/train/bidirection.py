"""Networks with one recurrent layer that reads from both ends: trained, as steps, quantized.

A stack [front..., cell, rest...] becomes three steps: front and cell forward, front and cell
backward, and the rest, which sees both outputs side by side (`edgernn.bidirectional`).
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import bundle
from edgernn.errors import ConfigError
from edgernn.frontend import make_frontend
from edgernn.spec import PART, ModelSpec, PartsSpec
from edgernn.train import models, transducer
from edgernn.train.architecture import Architecture, Layer
from edgernn.train.blocks import BLOCKS, CELLS
from edgernn.train.calibrate import RangeOps, Ranges
from edgernn.train.config import TrainConfig
from edgernn.train.dataset import DataSet, Samples
from edgernn.train.emit import emit
from edgernn.train.emulated import EmulatedModel
from edgernn.train.fit import CALIBRATION_SEQUENCES, Progress, write_history
from edgernn.train.folder import making
from edgernn.train.loop import Loop
from edgernn.train.material import prepare
from edgernn.train.measure import METRICS
from edgernn.train.network import Network
from edgernn.train.profile import Profile, get_profile
from edgernn.train.report import Progress as Bars
from edgernn.train.report import Report, provenance
from edgernn.train.sequences import Sequences, joined
from edgernn.train.transducer import Arrays, FloatPart, Part, over

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


def describe(whole: Architecture, arrays: Arrays) -> dict[str, tuple[Architecture, Arrays]]:
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
    found: dict[str, tuple[Architecture, Arrays]] = {}
    for name in (FORWARD, BACKWARD):
        own = {key: value for key, value in arrays.items() if int(key.split("/")[0]) < at}
        for key, value in arrays.items():
            index, array = key.split("/")
            backward = array.startswith(models.BACKWARD)
            if int(index) == at and backward == (name == BACKWARD):
                own[f"{at}/{array.removeprefix(models.BACKWARD)}"] = value
        found[name] = (read, own)
    rest = {f"{int(key.split('/')[0]) - at - 1}/{key.split('/')[1]}": value
            for key, value in arrays.items() if int(key.split("/")[0]) > at}
    found[HEAD] = (dataclasses.replace(whole, features=2 * width, frontend=PartsSpec(2 * width),
                                       layers=layers[at + 1:], detector=None), rest)
    return found


def of_floats(networks: Mapping[str, Network],
              make: Callable[[Network], FloatPart] = FloatPart) -> dict[str, Part]:
    """Parts on floats."""
    return {name: make(network) for name, network in networks.items()}


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
        # No judge: it trains for all epochs.
        loop = Loop(config, whole, material, None)
        while not loop.done:
            progress(loop.epoch())
        model, history = loop.finish(), loop.history
        described = describe(whole, models.arrays(model, whole.layers))
        held_out = material.held_out
        parts = of_floats(transducer.build(described))
        metrics = {f"{split}_float_{name}": value for split in ("validation", "test")
                   if len(held_out.of_split(split))
                   for name, value in measure(parts, whole, held_out.of_split(split)).items()}
        metrics |= {"epochs": len(history), "best_epoch": len(history),
                    "parameters": model.count_params()}
        (folder / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
        (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
        write_history(folder / "history.csv", history)
        model.save(folder / "model.keras")
        transducer.save(described, folder)
        joined(material.teacher.calibration(CALIBRATION_SEQUENCES),
               held_out).save(folder / "sequences.npz")
    return metrics


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
    ops: list[RangeOps] = []

    def make(network: Network) -> FloatPart:
        ops.append(RangeOps())
        return FloatPart(network, ops[-1])

    parts = of_floats(networks, make)
    for sizes in ((0, 0), (chunk, ahead)):
        Bidirection(parts, *sizes).run(rows)
    low, high = min(float(r.min()) for r in rows), max(float(r.max()) for r in rows)
    return {name: own.clipped() | {"x": (min(low, 0.0), max(high, 0.0))}
            for name, own in zip(networks, ops, strict=True)}


def emit_parts(
    networks: Mapping[str, Network], ranges: Mapping[str, Ranges], profile: Profile,
    per_channel: bool = True,
) -> tuple[dict[str, tuple[bytes, ModelSpec]], dict[str, EmulatedModel]]:
    """Each part's FlatBuffer with its spec, and the same in the emulator."""
    files, emulated = {}, {}
    for name, network in networks.items():
        shape = network.architecture
        flatbuffer, pairs = emit(network, ranges[name], profile, per_channel)
        emulated[name] = EmulatedModel(flatbuffer, pairs, shape.frontend)
        main = name == FORWARD
        files[name] = flatbuffer, ModelSpec(
            labels=shape.labels, frontend=shape.frontend, states=pairs, model_sha256="",
            profile=profile.name, task="label" if main else shape.task,
            chunk=shape.chunk if main else 0, ahead=shape.ahead if main else 0)
    return files, emulated


def join(files: Mapping[str, tuple[bytes, ModelSpec]], **about: Any) -> bytes:
    """One file: the part that reads forward, and the others behind it."""
    others = {name: bundle.attach(*each) for name, each in files.items() if name != FORWARD}
    flatbuffer, spec = files[FORWARD]
    return bundle.attach(flatbuffer, dataclasses.replace(spec, **about), others)


def quantize_parts(run: Path, out: Path, profile: str, per_channel: bool, command: str,
                   progress: Bars) -> Report:
    """Quantize a bidirectional run; see `edgernn.train.quantize.quantize_run`."""
    networks = {name: Network.load(run / name) for name in PARTS}
    shape = networks[FORWARD].architecture
    sequences = Sequences.load(run / "sequences.npz")
    sequences = sequences.where(sequences.lengths > 0)
    frontend = make_frontend(shape.frontend)
    train = sequences.of_split("train") if "train" in sequences.split else sequences
    tell = progress("calibrating", 1)
    ranges = calibrate(networks, [frontend.features(row) for row in train][:CALIBRATION],
                       shape.chunk, shape.ahead)
    tell(1)
    files, emulated = emit_parts(networks, ranges, get_profile(profile), per_channel)
    split = next(name for name in ("test", "validation", "train") if name in sequences.split)
    held = sequences.of_split(split)
    tell = progress("accuracy per frame", 2)
    floats = measure(of_floats(networks), shape, held)
    tell(1)
    integers = measure(emulated, shape, held, emulated[FORWARD].encode)
    tell(1)
    data = join(files, metrics={
        f"{split}_{kind}_{name}": round(value, 5)
        for kind, values in (("float", floats), (profile, integers))
        for name, value in values.items()},
        provenance=provenance([run / name / "weights.npz" for name in PARTS], command))
    bundle.write(out, data)
    graphs = {name: model.graph for name, model in emulated.items()}
    states = [graphs[name].tensor(state) for name, model in emulated.items()
              for state in model.initial(1)]
    return Report(
        path=out, bytes=len(data),
        ops=sum((Counter(op.name for op in graph.ops) for graph in graphs.values()), Counter()),
        state_bytes=sum(int(np.prod(t.shape)) * np.dtype(t.dtype).itemsize for t in states),
        split=split, sequences=len(held), metric=METRICS["label"], floats=floats,
        integers=integers, worst=[])

