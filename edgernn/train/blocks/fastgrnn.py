"""FastGRNN, a gated cell of kilobytes (Kusupati et al. 2018, arXiv 1901.02358).

    p  = x K + h R                                one pair of matrices for gate and update
    z  = sigmoid(p + b)
    h~ = tanh(p + b + shift)                      the paper's b_h is b + shift
    h' = (zeta (1 - z) + nu) * h~ + z * h         zeta and nu are sigmoids of learned numbers

A third of a GRU's weights.  The paper's further shrinking (matrices of low rank, sparse)
is not here.
"""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from edgernn.train.architecture import Layer
from edgernn.train.blocks.block import State
from edgernn.train.blocks.cell import Cell, Shapes, keras_cell, looped
from edgernn.train.blocks.ops import SIGMOID_LIMIT, TANH_LIMIT, Ops, Precision, Weights


class FastGrnn(Cell):
    """The FastGRNN cell; see the module's equations."""

    kind = "fastgrnn"
    # As the paper's code begins: the state mostly stays, the update mostly counts.
    initial: ClassVar[Mapping[str, float]] = {"bias": 1.0, "shift": 0.0, "zeta": 1.0, "nu": -4.0}

    def shapes(self, layer: Layer, inputs: int) -> Shapes:
        """See `Cell.shapes`."""
        n = layer.units
        return {"kernel": (inputs, n), "recurrent_kernel": (n, n), "bias": (n,), "shift": (n,),
                "zeta": (1,), "nu": (1,)}

    def states(self, layer: Layer, inputs: int) -> dict[str, State]:
        """See `Block.states`: with nu above 0, h can leave [-1, 1]."""
        return {"h": State((layer.units,), "wide")}

    def precision(self, layer: Layer) -> Precision:
        """See `Block.precision`: what is multiplied with an int16 state must be int16."""
        return "wide"

    def split(self, layer: Layer, weights: Weights) -> Weights:
        """See `Block.split`: the two learned numbers as the step uses them."""
        zeta, nu = (np.float32(1) / (1 + np.exp(-weights[name])) for name in ("zeta", "nu"))
        return {"k": weights["kernel"], "r": weights["recurrent_kernel"], "b": weights["bias"],
                "shift": weights["shift"], "fall": -zeta, "most": zeta + nu}

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""
        h = states["h"]
        # Both the sigmoid and, a shift away, the tanh must be flat beyond the limit.
        limit = SIGMOID_LIMIT + float(np.abs(w["shift"]).max())
        pre = ops.add("pre", ops.dense("x_k", x, w["k"], w["b"]), ops.dense("h_r", h, w["r"]),
                      limit)
        z = ops.sigmoid("z", pre)
        new = ops.tanh("new", ops.plus("new_pre", pre, w["shift"], TANH_LIMIT))
        share = ops.plus("share", ops.times("fall", z, w["fall"]), w["most"])
        h = ops.add("h_out", ops.mul("written", share, new), ops.mul("kept", z, h))
        return h, {"h": h}

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """See `Block.keras`."""
        return looped(keras, _cell(keras)(layer.units), name)


@functools.cache
def _cell(keras: Any) -> Any:
    """The cell in Keras."""
    @keras.saving.register_keras_serializable("edgernn")
    class FastGrnnCell(keras_cell(keras)):  # type: ignore[misc]  # made when Keras is there
        def build(self, input_shape: Any) -> None:
            n = self.units
            self.kernel = self.add_weight(shape=(input_shape[-1], n))
            self.recurrent = self.add_weight(shape=(n, n), initializer="orthogonal")
            self.bias, self.shift, self.zeta, self.nu = (
                self.add_weight(shape=(size,), initializer=keras.initializers.Constant(start))
                for size, start in zip((n, n, 1, 1), FastGrnn.initial.values(), strict=True))

        def call(self, x: Any, states: Any, training: bool = False) -> Any:
            """See the module's equations."""
            ops, (h,) = keras.ops, states
            pre = ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent) + self.bias
            z, new = ops.sigmoid(pre), ops.tanh(pre + self.shift)
            h = (ops.sigmoid(self.zeta) * (1 - z) + ops.sigmoid(self.nu)) * new + z * h
            return h, [h]

    return FastGrnnCell


BLOCK = FastGrnn()
