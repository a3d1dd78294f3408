"""The simple recurrent network (Elman 1990).

    h' = tanh(x K + h R + b)
"""

from collections.abc import Mapping
from typing import Any

from edgernn.errors import QuantizeError
from edgernn.train.architecture import Layer
from edgernn.train.cells.cell import TANH_LIMIT, Ops, Precision, Weights


class SimpleRnn:
    """The Elman cell; see the module's equation."""

    kind = "simple_rnn"
    states: tuple[str, ...] = ("h",)
    precision: Precision = "gates"

    def gates(self, layer: Layer, weights: Weights) -> Weights:
        """See `Cell.gates`."""
        if layer.activation not in ("", "tanh"):
            raise QuantizeError(
                f"a SimpleRNN layer has activation {layer.activation!r}; only tanh keeps its "
                "state in [-1, 1], which the state's integer needs. Train with activation tanh")
        return {"k": weights["kernel"], "r": weights["recurrent_kernel"], "b": weights["bias"]}

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights) -> dict[str, Any]:
        """See `Cell.step`."""
        pre = ops.add("pre", ops.dense("x_k", x, w["k"], w["b"]),
                      ops.dense("h_r", states["h"], w["r"]), TANH_LIMIT)
        return {"h": ops.tanh("h_out", pre)}
