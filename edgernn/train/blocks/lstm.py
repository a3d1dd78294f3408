"""Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate by Gers et al. 2000).

    i = sigmoid(x Ki + h Ri + bi)         f = sigmoid(x Kf + h Rf + bf)
    g = tanh(x Kc + h Rc + bc)            o = sigmoid(x Ko + h Ro + bo)
    c' = f * c + i * g
    h' = o * tanh(c')
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgernn.train.architecture import Layer
from edgernn.train.blocks.block import State
from edgernn.train.blocks.cell import RECURRENT, Cell, Shapes, gated
from edgernn.train.blocks.ops import SIGMOID_LIMIT, TANH_LIMIT, Ops, Precision, Weights


class Lstm(Cell):
    """The LSTM cell; see the module's equations."""

    kind = "lstm"

    def shapes(self, layer: Layer, inputs: int) -> Shapes:
        """See `Cell.shapes`; gates are i, f, c, o."""
        return gated(layer, inputs, 4)

    def states(self, layer: Layer, inputs: int) -> dict[str, State]:
        """See `Block.states`."""
        return {"h": State((layer.units,)), "c": State((layer.units,), "wide")}

    def precision(self, layer: Layer) -> Precision:
        """See `Block.precision`."""
        # An int8 cell state has a dead zone: it cost 6 points on JapaneseVowels.  With c in
        # int16, every factor of c must be int16 too, since no kernel multiplies mixed types.
        return "wide"

    def split(self, layer: Layer, weights: Weights) -> Weights:
        """Keras keeps gates side by side in the order i, f, c, o."""
        w = {}
        for prefix, name in (("k", "kernel"), ("r", "recurrent_kernel"), ("b", "bias")):
            for gate, part in zip("ifco", np.split(weights[name], 4, axis=-1), strict=True):
                w[prefix + gate] = part
        return w

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""
        def gate(name: str, limit: float) -> Any:
            return ops.add(f"{name}_pre", ops.dense(f"{name}_x", x, w[f"k{name}"], w[f"b{name}"]),
                           ops.dense(f"{name}_h", states["h"], w[f"r{name}"]), limit)

        i, f, o = (ops.sigmoid(name, gate(name, SIGMOID_LIMIT)) for name in "ifo")
        g = ops.tanh("g", gate("c", TANH_LIMIT))
        c = ops.add("c_out", ops.mul("kept", f, states["c"]), ops.mul("written", i, g))
        h = ops.mul("h_out", o, ops.tanh("c_tanh", c))
        return h, {"h": h, "c": c}

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """See `Block.keras`."""
        return keras.layers.LSTM(layer.units, unit_forget_bias=True, name=name, **RECURRENT)


BLOCK = Lstm()
