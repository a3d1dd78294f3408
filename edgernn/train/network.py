"""A trained network as one step, in the operations of `edgernn.train.blocks.Ops`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.errors import ModelError, QuantizeError
from edgernn.train.architecture import Architecture, Layer
from edgernn.train.blocks import BLOCKS, CELLS, Block, Context, Ops, State
from edgernn.train.blocks.layer_norm import fold
from edgernn.train.blocks.ops import Array, Weights


def read_arrays(run: Path) -> dict[str, Array]:
    """weights.npz of a run folder: Keras's arrays, named ``layer/array``.

    Raises
    ------
    ModelError
        If it cannot be read.
    """
    path = run / "weights.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError) as problem:
        raise ModelError(f"{path} cannot be read ({problem}). "
                         "Train again: edgernn train DATA --out run/") from problem


@dataclass(frozen=True)
class Network:
    """Layers with their weights, split into the matrices a step uses."""

    architecture: Architecture
    weights: tuple[Weights, ...]
    """One mapping per layer, as `Block.split` names them."""
    stem: str = ""
    """How the names of all its tensors begin, where it is one of several in a graph."""

    @classmethod
    def load(cls, run: Path) -> "Network":
        """Read architecture.json and weights.npz of a run folder.

        Raises
        ------
        ModelError
            If a file or an array is missing or has another shape.
        QuantizeError
            If there is a layer that a step cannot do.
        """
        return cls.build(Architecture.load(run / "architecture.json"), read_arrays(run))

    @classmethod
    def build(cls, architecture: Architecture, arrays: Mapping[str, Array]) -> "Network":
        """From an architecture and Keras's arrays, named ``layer/array``."""
        filled(architecture.layers, architecture.features)
        layers: list[Weights] = []
        norm: Weights = {}
        for index, layer in enumerate(architecture.layers):
            own = {key.split("/")[1]: np.asarray(value, np.float32)
                   for key, value in arrays.items() if key.startswith(f"{index}/")}
            block = _block(index, layer, own)
            if norm:
                own = fold(norm, own)
            norm = own if layer.kind == "layer_norm" else {}
            layers.append({} if norm else block.split(layer, own))
        return cls(architecture, tuple(layers))

    @property
    def states(self) -> dict[str, State]:
        """Each state by its tensor's stem (`gru0_h`), in the order of the layers."""
        return {stem + name: state for stem, layer, width in self._layers()
                for name, state in BLOCKS[layer.kind].states(layer, width).items()}

    @property
    def contexts(self) -> dict[str, Context]:
        """Each context by its tensor's name (`attention2_memory`), in the order of the layers."""
        return {stem + name: context for stem, layer, width in self._layers()
                for name, context in BLOCKS[layer.kind].contexts(layer, width).items()}

    @property
    def first(self) -> tuple[str, ...]:
        """How tensors begin of the layer that is given the input; of several networks each."""
        return (self.stem + prefix(0, self.architecture.layers[0]),)

    def _layers(self) -> Iterator[tuple[str, Layer, int]]:
        """How each layer's tensors begin, the layer, and the width of its input."""
        width = self.architecture.features
        for index, layer in enumerate(self.architecture.layers):
            yield self.stem + prefix(index, layer), layer, width
            width = BLOCKS[layer.kind].outputs(layer, width)

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Scores and new states from one frame.

        `states` has the keys of `self.states` and of `self.contexts`.
        """
        return self.through(ops, x, states, len(self.architecture.layers))

    def through(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], count: int
                ) -> tuple[Any, dict[str, Any]]:
        """What the first `count` layers make of a frame; see `step`."""
        new: dict[str, Any] = {}
        layers = self.architecture.layers
        for index, (layer, w) in enumerate(zip(layers[:count], self.weights, strict=False)):
            stem = self.stem + prefix(index, layer)
            block = BLOCKS[layer.kind]
            precision = block.precision(layer)
            if precision == "matmul" and _feeds_gates(layers, index):
                precision = "wide"
            ops.enter("" if index == len(layers) - 1 else stem, precision)
            own = {name.removeprefix(stem): value for name, value in states.items()
                   if name.startswith(stem)}
            y, after = block.step(ops, x, own, w, layer)
            new |= {stem + name: value for name, value in after.items()}
            if layer.residual:
                # In int8 a sum may have a zero point other than 0, and the next layer may have
                # to widen it.
                ops.enter(stem, "wide")
                y = ops.add("sum", x, y)
            x = y
        return x, new


def filled(layers: tuple[Layer, ...], features: int) -> tuple[Layer, ...]:
    """The layers, each with its width: that of its input where it has none.

    Raises
    ------
    QuantizeError
        If there is a layer that a step cannot have there.
    """
    found: list[Layer] = []
    width, norm = features, False
    for index, layer in enumerate(layers):
        whole = replace(layer, units=layer.units or width)
        block = BLOCKS.get(layer.kind)
        if block is None:
            raise QuantizeError(f"layer {index} is a {layer.kind!r}; an int8 step can be made of "
                                f"{', '.join(BLOCKS)}. Train a network of those layers")
        block.arrays(whole)
        after = block.outputs(whole, width)
        if layer.residual and after != width:
            raise QuantizeError(f"layer {index} ({layer.kind}) has {after} outputs and is residual,"
                                f" but its input is {width} wide; the two are added. Give it "
                                f"{width} units, or put a dense layer of {after} before it")
        if layer.kind == "layer_norm" and layer.residual:
            raise QuantizeError(f"layer {index} (layer_norm) is residual; its gamma is part of the "
                                "layer after it. Leave residual out")
        if norm and (layer.residual or layer.kind not in (*CELLS, "dense")):
            raise QuantizeError(f"layer {index} ({layer.kind}) comes after a layer_norm, whose "
                                "gamma becomes part of the matrix after it: a recurrent or dense "
                                "layer that is not residual was needed. Put one between")
        found.append(whole)
        width, norm = after, layer.kind == "layer_norm"
    return tuple(found)


def prefix(index: int, layer: Layer) -> str:
    """How the tensors of a layer begin: `gru0_`."""
    return f"{layer.kind}{index}_"


def _feeds_gates(layers: tuple[Layer, ...], index: int) -> bool:
    """Whether a layer's output is more than the input of a matmul.

    int8 of a matmul's own may have a zero point other than 0, and then cannot be widened.
    """
    after = layers[index + 1:index + 2]
    return layers[index].residual or any(
        one.residual or BLOCKS[one.kind].elementwise for one in after)


def _block(index: int, layer: Layer, own: Mapping[str, Array]) -> Block:
    """The block of a layer, if the layer and its arrays are as a step needs them."""
    block = BLOCKS[layer.kind]
    missing = sorted(set(block.arrays(layer)) - set(own))
    if missing:
        raise ModelError(f"weights.npz lacks {index}/{missing[0]} of layer {index} "
                         f"({layer.kind}). Train again: edgernn train DATA --out run/")
    bad = [name for name, array in own.items() if not np.isfinite(array).all()]
    if bad:
        raise QuantizeError(f"weights.npz holds NaN or infinity in {index}/{bad[0]}: training "
                            "diverged. Train again with a lower learning rate")
    return block
