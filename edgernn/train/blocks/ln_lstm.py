"""LSTM with layer-normalized gates (Ba et al. 2016; see `layer_norm_gates` for LN).

    i = sigmoid(LN(x Ki + h Ri))          f = sigmoid(LN(x Kf + h Rf))
    g = tanh(LN(x Kc + h Rc))             o = sigmoid(LN(x Ko + h Ro))
    c' = f * c + i * g
    h' = o * tanh(c')
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgernn.train.architecture import Layer
from edgernn.train.blocks import layer_norm_gates as norm
from edgernn.train.blocks.block import State
from edgernn.train.blocks.cell import Cell, Shapes, looped
from edgernn.train.blocks.ops import SIGMOID_LIMIT, TANH_LIMIT, Ops, Precision, Weights


class LnLstm(Cell):
    """The layer-normalized LSTM cell; see the module's equations."""

    kind = "ln_lstm"

    def shapes(self, layer: Layer, inputs: int) -> Shapes:
        """See `Cell.shapes`; gates are i, f, c, o."""
        return norm.shapes(layer, inputs, 4)

    def states(self, layer: Layer, inputs: int) -> dict[str, State]:
        """See `Block.states`."""
        return {"h": State((layer.units,)), "c": State((layer.units,), "wide")}

    def precision(self, layer: Layer) -> Precision:
        """See `Block.precision`: a variance needs 16 bits, and so does c."""
        return "wide"

    def split(self, layer: Layer, weights: Weights) -> Weights:
        """See `Block.split`."""
        return norm.split(weights, "ifco")

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""
        def pre(gate: str, limit: float) -> Any:
            return norm.pre_activation(ops, gate, x, states["h"], w, layer, limit)

        i, f, o = (ops.sigmoid(gate, pre(gate, SIGMOID_LIMIT)) for gate in "ifo")
        g = ops.tanh("g", pre("c", TANH_LIMIT))
        c = ops.add("c_out", ops.mul("kept", f, states["c"]), ops.mul("written", i, g))
        h = ops.mul("h_out", o, ops.tanh("c_tanh", c))
        return h, {"h": h, "c": c}

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """See `Block.keras`."""
        return looped(keras, _cell(keras)(layer.units, layer.epsilon), name)


@functools.cache
def _cell(keras: Any) -> Any:
    """The cell in Keras."""
    @keras.saving.register_keras_serializable("edgernn")
    class LnLstmCell(norm.normalized_cell(keras)):  # type: ignore[misc]  # made when Keras is there
        gates = 4

        def __init__(self, units: int, epsilon: float = 1e-3, **options: Any) -> None:
            super().__init__(units, epsilon, **options)
            self.state_size = [units, units]

        def first_beta(self) -> Any:
            """Forget gates begin open, as in Keras's LSTM."""
            n = self.units
            return lambda shape, dtype=None: keras.ops.convert_to_tensor(
                np.repeat((0, 1, 0, 0), n), dtype)

        def call(self, x: Any, states: Any, training: bool = False) -> Any:
            """See the module's equations."""
            ops, (h, c) = keras.ops, states
            total = ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent)
            i, f, g, o = (self.normalized(n, part) for n, part in enumerate(self.parts(total)))
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            h = ops.sigmoid(o) * ops.tanh(c)
            return h, [h, c]

    return LnLstmCell


BLOCK = LnLstm()
