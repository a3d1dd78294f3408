"""Models of several parts that run at different times: each a step, all in one file.

`edgernn.train.transducer` and `edgernn.train.bidirection` say which parts there are and what
goes from one to another; the first of them is what a file is opened with.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgernn import bundle
from edgernn.spec import ModelSpec
from edgernn.train.architecture import Architecture
from edgernn.train.calibrate import RangeOps, Ranges
from edgernn.train.emit import emit
from edgernn.train.emulated import EmulatedModel
from edgernn.train.network import Network
from edgernn.train.profile import Profile
from edgernn.train.reference import FloatModel
from edgernn.train.stepper import States

Arrays = Mapping[str, NDArray[np.float32]]
Described = dict[str, tuple[Architecture, Arrays]]
"""Parts by name, as `Network.build` takes them, the one that is opened first."""
Files = dict[str, tuple[bytes, ModelSpec]]
"""FlatBuffer and spec of each part, in the same order."""


class Part(Protocol):
    """A step of which many run side by side."""

    def initial(self, streams: int) -> States:
        """States of so many sequences before their first frame."""

    def codes(self, x: NDArray[Any], states: States) -> tuple[NDArray[Any], States]:
        """Output and new states; `states` holds contexts too."""


class FloatPart(FloatModel):
    """A network to be stepped on floats; see `Part`."""

    def codes(self, x: NDArray[Any], states: States) -> tuple[NDArray[Any], States]:
        """See `Part.codes`."""
        return self.step(x, states)


def build(described: Described) -> dict[str, Network]:
    """Networks of the parts described."""
    return {name: Network.build(*each) for name, each in described.items()}


def save(described: Described, folder: Path) -> None:
    """Write each part's architecture.json and weights.npz into a folder of its name."""
    for name, (architecture, arrays) in described.items():
        own = folder / name
        own.mkdir()
        (own / "architecture.json").write_text(architecture.to_json(), encoding="utf-8")
        with (own / "weights.npz").open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # keys are layer/array


def load(folder: Path, names: Sequence[str]) -> dict[str, Network]:
    """Read what `save` wrote, those of the names that are there, in their order."""
    return {name: Network.load(folder / name) for name in names if (folder / name).is_dir()}


def on_floats(networks: Mapping[str, Network]) -> dict[str, FloatPart]:
    """Parts on floats."""
    return {name: FloatPart(network) for name, network in networks.items()}


def watched(networks: Mapping[str, Network]) -> tuple[dict[str, FloatPart], dict[str, RangeOps]]:
    """Parts on floats, and what remembers the ranges of each."""
    ops = {name: RangeOps() for name in networks}
    return {name: FloatPart(network, ops[name]) for name, network in networks.items()}, ops


def emit_parts(networks: Mapping[str, Network], ranges: Mapping[str, Ranges], profile: Profile,
               task: str, per_channel: bool = True) -> tuple[Files, dict[str, EmulatedModel]]:
    """Each part's FlatBuffer with its spec, and the same in the emulator.

    `task` is that of the whole, and so of the first part.
    """
    files: Files = {}
    models: dict[str, EmulatedModel] = {}
    for name, network in networks.items():
        shape = network.architecture
        flatbuffer, pairs = emit(network, ranges[name], profile, per_channel)
        models[name] = EmulatedModel(flatbuffer, pairs, shape.frontend)
        files[name] = flatbuffer, ModelSpec(
            labels=shape.labels, frontend=shape.frontend, states=pairs, model_sha256="",
            profile=profile.name, task=shape.task if files else task, context=roles(network),
            longest=shape.longest, chunk=shape.chunk, ahead=shape.ahead)
    return files, models


def emulated(whole: bundle.Bundle, first: str) -> dict[str, EmulatedModel]:
    """Parts of a model file in the emulator; `first` is what the opened one is called."""
    return {name: EmulatedModel(part.flatbuffer, part.spec.states, part.spec.frontend)
            for name, part in {first: whole, **whole.parts}.items()}


def roles(network: Network) -> dict[str, str]:
    """Names of contexts by what they are: `attention2_memory` is the memory."""
    return {name.rsplit("_", 1)[1]: name for name in network.contexts}


def join(files: Files, **about: Any) -> bytes:
    """One file: the first part, and the others behind it, each a whole model file.

    `about` is what the whole is known for, as `ModelSpec` has it.
    """
    (flatbuffer, spec), *others = files.values()
    behind = {name: bundle.attach(*each) for name, each in zip([*files][1:], others, strict=True)}
    return bundle.attach(flatbuffer, dataclasses.replace(spec, **about), behind)


def over(part: Part, rows: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """A part over whole sequences: outputs (batch, frames, width), 0 as padding; last states."""
    lengths = np.array([len(row) for row in rows])
    order = np.argsort(-lengths, kind="stable")
    states = part.initial(len(rows))
    ends = {name: value.copy() for name, value in states.items()}
    outputs: NDArray[Any] = np.empty(0)
    for t in range(int(lengths.max())):
        on = order[:np.count_nonzero(lengths > t)]
        y, after = part.codes(np.stack([rows[i][t] for i in on]), states)
        if not outputs.size:
            outputs = np.zeros((len(rows), int(lengths.max()), y.shape[1]), y.dtype)
        outputs[on, t] = y
        for name, value in after.items():
            ends[name][on] = value
        states = only(after, np.arange(np.count_nonzero(lengths > t + 1)))
    return outputs, list(ends.values())


def only(states: States, which: NDArray[Any]) -> States:
    """States of some of the sequences."""
    return {name: value[which] for name, value in states.items()}
