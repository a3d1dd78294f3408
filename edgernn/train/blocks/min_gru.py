"""minGRU, a gated cell without a recurrent matrix (Feng et al. 2024, arXiv 2410.01201).

    z  = sigmoid(x Kz + bz)                       how much of the update is taken
    h~ = x Kh + bh
    h' = (1 - z) * h + z * h~

Neither gate nor update looks at the state, so a unit can only average what it is given, and
what one layer cannot tell from it a second can.  A step has two matmuls, both of the frame.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgernn.train.architecture import Layer
from edgernn.train.blocks.block import State
from edgernn.train.blocks.cell import Cell, Shapes, keras_cell, looped
from edgernn.train.blocks.ops import Ops, Precision, Weights


class MinGru(Cell):
    """The minGRU cell; see the module's equations."""

    kind = "min_gru"

    def shapes(self, layer: Layer, inputs: int) -> Shapes:
        """See `Cell.shapes`; z and h~ are side by side."""
        return {"kernel": (inputs, 2 * layer.units), "bias": (2 * layer.units,)}

    def states(self, layer: Layer, inputs: int) -> dict[str, State]:
        """See `Block.states`: h goes wherever h~ does, and no further."""
        return {"h": State((layer.units,), "wide")}

    def precision(self, layer: Layer) -> Precision:
        """See `Block.precision`: what is added to an int16 state must be int16."""
        return "wide"

    def split(self, layer: Layer, weights: Weights) -> Weights:
        """See `Block.split`."""
        kz, kh = np.split(weights["kernel"], 2, axis=1)
        bz, bh = np.split(weights["bias"], 2)
        return {"kz": kz, "kh": kh, "bz": bz, "bh": bh}

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""
        h = states["h"]
        z = ops.sigmoid("z", ops.dense("z_pre", x, w["kz"], w["bz"]))
        gap = ops.sub("gap", ops.dense("new", x, w["kh"], w["bh"]), h)
        h = ops.add("h_out", h, ops.mul("part", z, gap))
        return h, {"h": h}

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """See `Block.keras`."""
        return looped(keras, _cell(keras)(layer.units), name)


@functools.cache
def _cell(keras: Any) -> Any:
    """The cell in Keras."""
    @keras.saving.register_keras_serializable("edgernn")
    class MinGruCell(keras_cell(keras)):  # type: ignore[misc]  # made when Keras is there
        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight(shape=(input_shape[-1], 2 * self.units))
            self.bias = self.add_weight(shape=(2 * self.units,), initializer="zeros")

        def call(self, x: Any, states: Any, training: bool = False) -> Any:
            """See the module's equations."""
            z, new = keras.ops.split(keras.ops.matmul(x, self.kernel) + self.bias, 2, axis=-1)
            z = keras.ops.sigmoid(z)
            h = (1 - z) * states[0] + z * new
            return h, [h]

    return MinGruCell


BLOCK = MinGru()
