"""GRU with layer-normalized gates (Ba et al. 2016; see `layer_norm_gates` for LN).

    z  = sigmoid(LN(x Kz + h Rz))                 how much of the old state stays
    r  = sigmoid(LN(x Kr + h Rr))
    h~ = tanh(LN(x Kh + (r * h) Rh))              reset gate before the matmul: LN sees one sum
    h' = z * h + (1 - z) * h~
"""

import functools
from collections.abc import Mapping
from typing import Any

from edgernn.train.architecture import Layer
from edgernn.train.blocks import layer_norm_gates as norm
from edgernn.train.blocks.cell import Cell, Shapes, looped
from edgernn.train.blocks.ops import SIGMOID_LIMIT, TANH_LIMIT, Ops, Precision, Weights


class LnGru(Cell):
    """The layer-normalized GRU cell; see the module's equations."""

    kind = "ln_gru"

    def shapes(self, layer: Layer, inputs: int) -> Shapes:
        """See `Cell.shapes`; gates are z, r, h."""
        return norm.shapes(layer, inputs, 3)

    def precision(self, layer: Layer) -> Precision:
        """See `Block.precision`: a variance needs 16 bits."""
        return "wide"

    def split(self, layer: Layer, weights: Weights) -> Weights:
        """See `Block.split`."""
        return norm.split(weights, "zrh")

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""
        h = states["h"]
        z, r = (ops.sigmoid(gate, norm.pre_activation(ops, gate, x, h, w, layer, SIGMOID_LIMIT))
                for gate in "zr")
        kept = ops.mul("r_h_kept", r, h)
        new = ops.tanh("new", norm.pre_activation(ops, "h", x, kept, w, layer, TANH_LIMIT))
        h = ops.blend("h_out", z, h, new)
        return h, {"h": h}

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """See `Block.keras`."""
        return looped(keras, _cell(keras)(layer.units, layer.epsilon), name)


@functools.cache
def _cell(keras: Any) -> Any:
    """The cell in Keras."""
    @keras.saving.register_keras_serializable("edgernn")
    class LnGruCell(norm.normalized_cell(keras)):  # type: ignore[misc]  # made when Keras is there
        gates = 3

        def call(self, x: Any, states: Any, training: bool = False) -> Any:
            """See the module's equations."""
            ops, (h,) = keras.ops, states
            kz, kr, kh = self.parts(ops.matmul(x, self.kernel))
            rz, rr, rh = self.parts(self.recurrent)
            z = ops.sigmoid(self.normalized(0, kz + ops.matmul(h, rz)))
            r = ops.sigmoid(self.normalized(1, kr + ops.matmul(h, rr)))
            new = ops.tanh(self.normalized(2, kh + ops.matmul(r * h, rh)))
            h = z * h + (1 - z) * new
            return h, [h]

    return LnGruCell


BLOCK = LnGru()
