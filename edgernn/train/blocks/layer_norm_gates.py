"""What cells with normalized gates have in common: LayerNorm inside the recurrence.

Ba et al. 2016 (arXiv 1607.06450, equation 4) normalize what a unit sums up, the frame's part
and the state's together, before the nonlinearity:

    a = x K + h R        y = gamma * (a - mean(a)) / sqrt(var(a) + epsilon) + beta

each gate over its own units.  (Their LSTM and GRU, in the appendix, normalize the two parts
apart, and the LSTM's cell state too: twice the ops for one more gamma.)  The mean of a sum of
products is a sum of products: it is subtracted from the matrices beforehand (`center`).
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from edgernn.train.architecture import Layer
from edgernn.train.blocks.cell import Shapes, keras_cell
from edgernn.train.blocks.layer_norm import center, scale
from edgernn.train.blocks.ops import Ops, Weights


def shapes(layer: Layer, inputs: int, gates: int) -> Shapes:
    """See `Cell.shapes`; gates lie side by side."""
    n = gates * layer.units
    return {"kernel": (inputs, n), "recurrent_kernel": (layer.units, n), "gamma": (n,),
            "beta": (n,)}


def split(weights: Weights, gates: str) -> Weights:
    """Keras's arrays as ``k``, ``r``, ``b``, ``gamma_`` and ``beta_`` with a gate's letter."""
    count = len(gates)
    # There is a bias only where a LayerNorm before the layer has been folded into it.
    bias = weights.get("bias", np.zeros(weights["kernel"].shape[1], np.float32))
    w = {}
    for stem, array, change in (
            ("k", weights["kernel"], center), ("r", weights["recurrent_kernel"], center),
            ("b", bias, center), ("gamma_", weights["gamma"], _same),
            ("beta_", weights["beta"], _same)):
        for gate, part in zip(gates, np.split(array, count, axis=-1), strict=True):
            w[stem + gate] = change(part)
    return w


def _same(array: Any) -> Any:
    return array


def pre_activation(ops: Ops[Any], gate: str, x: Any, h: Any, w: Weights, layer: Layer,
                   limit: float) -> Any:
    """What a gate's nonlinearity is given, ``y`` of the module's equation."""
    total = ops.add(f"{gate}_sum", ops.dense(f"{gate}_x", x, w[f"k{gate}"], w[f"b{gate}"]),
                    ops.dense(f"{gate}_h", h, w[f"r{gate}"]))
    normal = scale(ops, f"{gate}_", total, layer.epsilon)
    return ops.plus(f"{gate}_pre", ops.times(f"{gate}_gain", normal, w[f"gamma_{gate}"]),
                    w[f"beta_{gate}"], limit)


@functools.cache
def normalized_cell(keras: Any) -> Any:
    """What the Keras cells share: their weights, and a gate's normalization."""
    class NormalizedCell(keras_cell(keras)):  # type: ignore[misc]  # made when Keras is there
        gates = 1

        def __init__(self, units: int, epsilon: float = 1e-3, **options: Any) -> None:
            super().__init__(units, **options)
            self.epsilon = epsilon

        def build(self, input_shape: Any) -> None:
            n = self.gates * self.units
            self.kernel = self.add_weight(shape=(input_shape[-1], n))
            self.recurrent = self.add_weight(shape=(self.units, n), initializer="orthogonal")
            self.gamma = self.add_weight(shape=(n,), initializer="ones")
            self.beta = self.add_weight(shape=(n,), initializer=self.first_beta())

        def first_beta(self) -> Callable[..., Any] | str:
            return "zeros"

        def parts(self, array: Any) -> Any:
            """Each gate's share of an array, over its last axis."""
            return keras.ops.split(array, self.gates, axis=-1)

        def normalized(self, gate: int, total: Any) -> Any:
            """A gate's pre-activation, shape (batch, units)."""
            mean, variance = keras.ops.moments(total, axes=-1, keepdims=True)
            normal = (total - mean) * keras.ops.rsqrt(variance + self.epsilon)
            return self.parts(self.gamma)[gate] * normal + self.parts(self.beta)[gate]

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "epsilon": self.epsilon}

    return NormalizedCell
