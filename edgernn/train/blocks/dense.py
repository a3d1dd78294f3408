"""A fully connected layer, in the middle of a network or at its end.

At the end its activation is the kind of answer: softmax for one label of many, sigmoid for
any number of them at once, linear for a number.
"""

from collections.abc import Mapping
from typing import Any

from edgernn.errors import QuantizeError
from edgernn.train.architecture import Layer
from edgernn.train.blocks.ops import Ops, Precision, Weights
from edgernn.train.blocks.plain import Plain

ACTIVATIONS = ("linear", "relu", "tanh")
HEADS = ("softmax", "sigmoid", "number", "export")
"""Activations of a last layer alone; `number` is linear, and exact to 16 bits;
`export` is linear, and a context of another part."""


class Dense(Plain):
    """``activation(x K + b)``."""

    kind = "dense"

    def arrays(self, layer: Layer) -> tuple[str, ...]:
        """See `Block.arrays`."""
        if layer.activation not in ("", *ACTIVATIONS, *HEADS):
            raise QuantizeError(f"a Dense layer has activation {layer.activation!r}; "
                                f"{', '.join(ACTIVATIONS)} can be quantized, and at the end "
                                f"{', '.join(HEADS)}. Train with one of those")
        return ("kernel", "bias")

    def precision(self, layer: Layer) -> Precision:
        """See `Block.precision`."""
        if layer.activation == "sigmoid":
            return "wide"  # its logits are exact
        return "gates" if layer.activation in HEADS else "matmul"

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""
        if layer.activation == "softmax":
            return ops.softmax("scores", ops.dense("logits", x, w["kernel"], w["bias"])), {}
        if layer.activation == "sigmoid":
            logits = ops.dense("logits", x, w["kernel"], w["bias"], exact=True)
            return ops.sigmoid("scores", logits), {}
        if layer.activation == "number":
            return ops.dense("scores", x, w["kernel"], w["bias"], exact=True), {}
        if layer.activation == "export":
            return ops.dense("scores", x, w["kernel"], w["bias"], export=True), {}
        y = ops.dense("y", x, w["kernel"], w["bias"], relu=layer.activation == "relu")
        return ops.tanh("tanh", y) if layer.activation == "tanh" else y, {}

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """See `Block.keras`."""
        activation = layer.activation if layer.activation in ("relu", "tanh", "softmax",
                                                             "sigmoid") else "linear"
        return keras.layers.Dense(layer.units, activation=activation, name=name)


BLOCK = Dense()
