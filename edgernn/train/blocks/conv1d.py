"""Convolution over the present and past frames (causal; Waibel et al. 1989's time delays).

    y[t] = activation(sum_k x[t - k] W[K - 1 - k] + b),   frames before the first are zeros

The state is a ring of the last K - 1 frames.  A held or masked frame is one that never was: the
frames around it become neighbours.
"""

import functools
from collections.abc import Mapping
from typing import Any

from edgernn.errors import QuantizeError
from edgernn.train.architecture import Layer
from edgernn.train.blocks.block import State
from edgernn.train.blocks.masked import as_if_never
from edgernn.train.blocks.ops import Ops, Weights
from edgernn.train.blocks.plain import Plain

ACTIVATIONS = ("linear", "relu", "tanh")


def check(layer: Layer) -> None:
    """Whether a step can do such a convolution.

    Raises
    ------
    QuantizeError
    """
    if layer.kernel < 2 or layer.activation not in ("", *ACTIVATIONS):
        raise QuantizeError(f"a {layer.kind} layer has kernel {layer.kernel} and activation "
                            f"{layer.activation or 'linear'!r}; a kernel of 2 or more frames and "
                            f"{', '.join(ACTIVATIONS)} were needed. Use a dense layer for kernel 1")


class Conv1d(Plain):
    """See the module's equation."""

    kind = "conv1d"
    elementwise = True

    def arrays(self, layer: Layer) -> tuple[str, ...]:
        """See `Block.arrays`; the kernel has shape (K, inputs, units)."""
        check(layer)
        return ("kernel", "bias")

    def states(self, layer: Layer, inputs: int) -> dict[str, State]:
        """See `Block.states`."""
        return {"past": State((layer.kernel - 1, inputs), "ring", of_input=True)}

    def split(self, layer: Layer, weights: Weights) -> Weights:
        """See `Block.split`: one matrix for all frames, the oldest first."""
        kernel = weights["kernel"]
        return {"kernel": kernel.reshape(-1, kernel.shape[2]), "bias": weights["bias"]}

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""
        window, past = ops.push("past", states["past"], x)
        frames = ops.reshape("frames", window, (len(w["kernel"]),))
        y = ops.dense("y", frames, w["kernel"], w["bias"], relu=layer.activation == "relu")
        return ops.tanh("tanh", y) if layer.activation == "tanh" else y, {"past": past}

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """See `Block.keras`."""
        return _causal(keras)(layer.units, layer.kernel, padding="causal",
                              activation=layer.activation or "linear", name=name)


@functools.cache
def _causal(keras: Any) -> Any:
    @keras.saving.register_keras_serializable("edgernn")
    class CausalConv1D(keras.layers.Conv1D):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.supports_masking = True

        def call(self, inputs: Any, mask: Any = None) -> Any:
            return as_if_never(keras, super().call, inputs, mask)

    return CausalConv1D


BLOCK = Conv1d()
