"""The simple recurrent network (Elman 1990).

    h' = activation(x K + h R + b)                tanh, or relu with R the identity at first

With relu it is the IRNN of Le et al. 2015 (arXiv 1504.00941): gradients pass the identity
unchanged, and nothing bounds the state.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from edgernn.errors import QuantizeError
from edgernn.train.architecture import Layer
from edgernn.train.blocks.block import State
from edgernn.train.blocks.cell import RECURRENT, Cell, Shapes, gated
from edgernn.train.blocks.ops import TANH_LIMIT, Ops, Precision, Weights


class SimpleRnn(Cell):
    """The Elman cell; see the module's equation."""

    kind = "simple_rnn"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"": {}, "relu": {"activation": "relu"}}

    def shapes(self, layer: Layer, inputs: int) -> Shapes:
        """See `Cell.shapes`."""
        if layer.activation not in ("", "tanh", "relu"):
            raise QuantizeError(
                f"a SimpleRNN layer has activation {layer.activation!r}; tanh keeps its state in "
                "[-1, 1], and relu can be quantized too. Train with activation tanh")
        return gated(layer, inputs, 1)

    def states(self, layer: Layer, inputs: int) -> dict[str, State]:
        """See `Block.states`."""
        return {"h": State((layer.units,), "wide" if layer.activation == "relu" else "unit")}

    def precision(self, layer: Layer) -> Precision:
        """See `Block.precision`."""
        return "wide" if layer.activation == "relu" else "gates"

    def warning(self, layer: Layer) -> str:
        """See `Cell.warning`."""
        if layer.activation != "relu":
            return ""
        return ("a relu state has no bound: it can grow for as long as it is carried, and integers "
                "stop at the range they were calibrated for. The nearest cells with a bounded "
                "state are simple_rnn with tanh, and gru")

    def split(self, layer: Layer, weights: Weights) -> Weights:
        """See `Block.split`."""
        return {"k": weights["kernel"], "r": weights["recurrent_kernel"], "b": weights["bias"]}

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""
        a, b = ops.dense("x_k", x, w["k"], w["b"]), ops.dense("h_r", states["h"], w["r"])
        if layer.activation == "relu":
            h = ops.add("h_out", a, b, relu=True)
        else:
            h = ops.tanh("h_out", ops.add("pre", a, b, TANH_LIMIT))
        return h, {"h": h}

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """See `Block.keras`."""
        start = {"recurrent_initializer": "identity"} if layer.activation == "relu" else {}
        return keras.layers.SimpleRNN(layer.units, activation=layer.activation or "tanh",
                                      name=name, **(RECURRENT | start))


BLOCK = SimpleRnn()
