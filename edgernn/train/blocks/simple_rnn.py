"""The simple recurrent network (Elman 1990).

    h' = tanh(x K + h R + b)
"""

from collections.abc import Mapping
from typing import Any

from edgernn.errors import QuantizeError
from edgernn.train.architecture import Layer
from edgernn.train.blocks.cell import RECURRENT, Cell
from edgernn.train.blocks.ops import TANH_LIMIT, Ops, Weights


class SimpleRnn(Cell):
    """The Elman cell; see the module's equation."""

    kind = "simple_rnn"

    def arrays(self, layer: Layer) -> tuple[str, ...]:
        """See `Block.arrays`."""
        if layer.activation not in ("", "tanh"):
            raise QuantizeError(
                f"a SimpleRNN layer has activation {layer.activation!r}; only tanh keeps its "
                "state in [-1, 1], which the state's integer needs. Train with activation tanh")
        return super().arrays(layer)

    def split(self, layer: Layer, weights: Weights) -> Weights:
        """See `Block.split`."""
        return {"k": weights["kernel"], "r": weights["recurrent_kernel"], "b": weights["bias"]}

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""
        pre = ops.add("pre", ops.dense("x_k", x, w["k"], w["b"]),
                      ops.dense("h_r", states["h"], w["r"]), TANH_LIMIT)
        h = ops.tanh("h_out", pre)
        return h, {"h": h}

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """See `Block.keras`."""
        return keras.layers.SimpleRNN(layer.units, name=name, **RECURRENT)


BLOCK = SimpleRnn()
