"""A run of several parts becomes one file: calibrate, write, measure, bundle.  No TensorFlow."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from edgernn import bundle
from edgernn.frontend.tokens import FIRST
from edgernn.spec import ModelSpec
from edgernn.train import transducer
from edgernn.train.calibrate import RangeOps, Ranges
from edgernn.train.edits import error_rate
from edgernn.train.emit import emit
from edgernn.train.emulated import EmulatedModel
from edgernn.train.measure import METRICS
from edgernn.train.network import Network
from edgernn.train.pairs import Pair, Pairs
from edgernn.train.profile import Profile, get_profile
from edgernn.train.report import Progress, Report, provenance
from edgernn.train.transducer import DECODER, ENCODER, KEYS, FloatPart, Transducer

CALIBRATION_PAIRS = 4000
"""Training pairs to calibrate on."""
BATCH = 500
"""Pairs that are decoded side by side."""


def quantize_parts(run: Path, out: Path, profile: str, per_channel: bool, command: str,
                   progress: Progress) -> Report:
    """Quantize a run of task `transduce`; see `edgernn.train.quantize.quantize_run`."""
    networks = transducer.load(run)
    data = load_pairs(run)
    calibration = data.of_split("train")[:CALIBRATION_PAIRS]
    ranges = calibrate(networks, data, calibration, progress("calibrating", len(calibration)))
    files, models = emit_parts(networks, ranges, get_profile(profile), per_channel)

    test = data.of_split("test")
    floats = measure(Transducer.of_floats(networks), data, test,
                     progress("float token error rate", len(test)))
    integers = measure(Transducer.of_integers(networks, models), data, test,
                       progress("integer token error rate", len(test)))
    metrics = {f"test_{kind}_greedy": round(value, 5)
               for kind, value in (("float", floats), (profile, integers))}
    whole = join(files, {"metrics": metrics, "provenance": provenance(
        [run / name / "weights.npz" for name in networks], command)})
    bundle.write(out, whole)
    graphs = [model.graph for model in models.values()]
    states = [model.graph.tensor(name) for model in models.values() for name in model.initial(1)]
    return Report(
        path=out, bytes=len(whole),
        ops=sum((Counter(op.name for op in graph.ops) for graph in graphs), Counter()),
        state_bytes=sum(int(np.prod(t.shape)) * np.dtype(t.dtype).itemsize for t in states),
        split="test", sequences=len(test), metric=METRICS["transduce"],
        floats={"greedy": floats}, integers={"greedy": integers}, worst=[])


def load_pairs(run: Path) -> Pairs:
    """The pairs of a run folder.

    Raises
    ------
    DataError, ModelError
        If they or the architecture of the encoder cannot be read.
    """
    encoder = Network.load(run / ENCODER).architecture.frontend
    return Pairs.load(run / "pairs.tsv", getattr(encoder, "unit", "character"))


def calibrate(networks: Mapping[str, Network], data: Pairs, pairs: tuple[Pair, ...],
              progress: Callable[[int], None] = lambda done: None) -> dict[str, Ranges]:
    """The range of every value of every part, the decoder given the right tokens."""
    ops: list[RangeOps] = []

    def make(network: Network) -> FloatPart:
        ops.append(RangeOps())
        return FloatPart(network, ops[-1])

    made = Transducer.of_floats(networks, make)
    for start in range(0, len(pairs), BATCH):
        chunk = pairs[start:start + BATCH]
        made.teach(data.sources(chunk), data.targets(chunk))
        progress(len(chunk))
    found = {name: own.clipped() for name, own in zip(networks, ops, strict=True)}
    for context, role in transducer.roles(networks[DECODER]).items():
        if context == "keys":
            # The key's two ends, in two graphs, have one type: that of the range where it is made.
            found[DECODER][role] = found[KEYS]["scores"]
    return found


def emit_parts(
    networks: Mapping[str, Network], ranges: Mapping[str, Ranges], profile: Profile,
    per_channel: bool = True,
) -> tuple[dict[str, tuple[bytes, ModelSpec]], dict[str, EmulatedModel]]:
    """Each part's FlatBuffer with its spec, and the same in the emulator."""
    files, models = {}, {}
    for name, network in networks.items():
        shape = network.architecture
        flatbuffer, pairs = emit(network, ranges[name], profile, per_channel)
        models[name] = EmulatedModel(flatbuffer, pairs, shape.frontend)
        files[name] = flatbuffer, ModelSpec(
            labels=shape.labels, frontend=shape.frontend, states=pairs, model_sha256="",
            profile=profile.name, task="transduce" if name == ENCODER else shape.task,
            context=transducer.roles(network), longest=shape.longest)
    return files, models


def join(files: Mapping[str, tuple[bytes, ModelSpec]], about: Mapping[str, object]) -> bytes:
    """One file: the encoder, and the other parts behind it, each a whole model file."""
    others = {name: bundle.attach(*each) for name, each in files.items() if name != ENCODER}
    flatbuffer, spec = files[ENCODER]
    return bundle.attach(flatbuffer, dataclasses.replace(spec, **about), others)  # type: ignore[arg-type]


def measure(made: Transducer, data: Pairs, pairs: tuple[Pair, ...],
            progress: Callable[[int], None] = lambda done: None) -> float:
    """Token error rate, greedily decoded."""
    return error_rate(decode(made, data, pairs, progress), [pair.target for pair in pairs])


def decode(made: Transducer, data: Pairs, pairs: tuple[Pair, ...],
           progress: Callable[[int], None] = lambda done: None) -> list[list[str]]:
    """What is made of each pair's source."""
    vocabulary = data.target.vocabulary
    found = []
    for start in range(0, len(pairs), BATCH):
        chunk = pairs[start:start + BATCH]
        found += [[vocabulary[number - FIRST] for number in row]
                  for row in made.run(data.sources(chunk))]
        progress(len(chunk))
    return found
