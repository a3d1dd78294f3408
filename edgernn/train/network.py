"""A trained network as one step, in the operations of `edgernn.train.cells.Ops`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.errors import ModelError, QuantizeError
from edgernn.train.architecture import Architecture, Layer
from edgernn.train.cells import CELLS, Ops
from edgernn.train.cells.cell import Array, Precision, Weights


@dataclass(frozen=True)
class Network:
    """Layers with their weights, split into the matrices a step uses."""

    architecture: Architecture
    weights: tuple[Weights, ...]
    """One mapping per layer, as `Cell.gates` names them."""

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
        architecture = Architecture.load(run / "architecture.json")
        path = run / "weights.npz"
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {key: file[key] for key in file.files}
        except (OSError, ValueError) as problem:
            raise ModelError(f"{path} cannot be read ({problem}). "
                             "Train again: edgernn train DATA --out run/") from problem
        return cls.build(architecture, arrays)

    @classmethod
    def build(cls, architecture: Architecture, arrays: Mapping[str, Array]) -> "Network":
        """From an architecture and Keras's arrays, named ``layer/array``."""
        layers: list[Weights] = []
        fold = Fold.nothing()
        for index, layer in enumerate(architecture.layers):
            own = {key.split("/")[1]: np.asarray(value, np.float32)
                   for key, value in arrays.items() if key.startswith(f"{index}/")}
            _check(index, layer, own)
            if layer.kind == "layer_norm":
                fold = Fold(own["gamma"], own["beta"])
                layers.append({})
                continue
            own = fold.into(own)
            fold = Fold.nothing()
            cell = CELLS.get(layer.kind)
            layers.append(dict(cell.gates(layer, own)) if cell else own)
        return cls(architecture, tuple(layers))

    @property
    def states(self) -> dict[str, int]:
        """Width of each state, by its tensor's stem (`gru0_h`), in the order of the layers."""
        return {f"{prefix(i, layer)}{state}": layer.units
                for i, layer in enumerate(self.architecture.layers) if layer.kind in CELLS
                for state in CELLS[layer.kind].states}

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Scores and new states from one frame; `states` has the keys of `self.states`."""
        new: dict[str, Any] = {}
        for index, (layer, w) in enumerate(zip(self.architecture.layers, self.weights,
                                               strict=True)):
            stem = prefix(index, layer)
            if layer.kind in CELLS:
                cell = CELLS[layer.kind]
                ops.enter(stem, cell.precision)
                after = cell.step(ops, x, {s: states[stem + s] for s in cell.states}, w)
                new |= {stem + s: after[s] for s in cell.states}
                x = after[cell.states[0]]
            elif layer.kind == "layer_norm":
                ops.enter(stem, "wide")
                x = _normalize(ops, x, layer.epsilon)
            else:
                following = self.architecture.layers[index + 1 : index + 2]
                wide = any(after.kind == "layer_norm" for after in following)
                x = _dense(ops, stem, x, layer, w, "wide" if wide else "matmul")
        return x, new


@dataclass(frozen=True)
class Fold:
    """A LayerNorm's gamma and beta, on their way into the matrix of the next layer.

    (gamma * n + beta) K + b  =  n (gamma K) + (beta K + b): two ops less in the step.
    """

    gamma: Array | None
    beta: Array | None

    @classmethod
    def nothing(cls) -> "Fold":
        """When there is no LayerNorm before."""
        return cls(None, None)

    def into(self, arrays: dict[str, Array]) -> dict[str, Array]:
        """The next layer's arrays with gamma and beta taken up."""
        if self.gamma is None or self.beta is None:
            return arrays
        kernel, bias = arrays["kernel"], arrays["bias"].copy()
        bias[(0,) * (bias.ndim - 1)] += self.beta @ kernel  # row 0 where a GRU has two
        return arrays | {"kernel": self.gamma[:, None] * kernel, "bias": bias}


def prefix(index: int, layer: Layer) -> str:
    """How the tensors of a layer begin: `gru0_`."""
    return f"{layer.kind}{index}_"


def _normalize(ops: Ops[Any], x: Any, epsilon: float) -> Any:
    """LayerNorm (Ba et al. 2016) without gamma and beta, which `Fold` takes along."""
    centered = ops.sub("centered", x, ops.mean("mean", x))
    variance = ops.mean("variance", ops.mul("squared", centered, centered), epsilon)
    return ops.mul("normal", centered, ops.rsqrt("inverse_deviation", variance))


def _dense(
    ops: Ops[Any], stem: str, x: Any, layer: Layer, w: Weights, precision: Precision
) -> Any:
    if layer.activation == "softmax":
        ops.enter("", "gates")
        return ops.softmax("scores", ops.dense("logits", x, w["kernel"], w["bias"]))
    ops.enter(stem, precision)
    y = ops.dense("y", x, w["kernel"], w["bias"], relu=layer.activation == "relu")
    return ops.tanh("tanh", y) if layer.activation == "tanh" else y


def _check(index: int, layer: Layer, own: Mapping[str, Array]) -> None:
    known = {"dense": {"kernel", "bias"}, "layer_norm": {"gamma", "beta"}}
    if layer.kind not in CELLS and layer.kind not in known:
        raise QuantizeError(
            f"layer {index} is a {layer.kind!r}; an int8 step can be made of "
            f"{', '.join([*CELLS, *known])}. Train a network of those layers")
    if layer.kind == "dense" and layer.activation not in ("", "linear", "relu", "tanh", "softmax"):
        raise QuantizeError(f"layer {index} is a Dense with activation {layer.activation!r}; "
                            "linear, relu, tanh and softmax can be quantized. Train with those")
    missing = known.get(layer.kind, {"kernel", "recurrent_kernel", "bias"}) - set(own)
    if missing:
        raise ModelError(f"weights.npz lacks {index}/{min(missing)} of layer {index} "
                         f"({layer.kind}). Train again: edgernn train DATA --out run/")
    bad = [name for name, array in own.items() if not np.isfinite(array).all()]
    if bad:
        raise QuantizeError(f"weights.npz holds NaN or infinity in {index}/{bad[0]}: training "
                            "diverged. Train again with a lower learning rate")
