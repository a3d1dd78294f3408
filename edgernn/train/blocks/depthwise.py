"""Convolution over time, each feature by itself (Sifre 2014; for keywords, Zhang et al. 2017).

    y[t] = activation(sum_k x[t - k] * W[K - 1 - k] + b),   frames before the first are zeros

A depthwise layer and a dense one after it do nearly what a conv1d does, for a small part of
its weights.  State and masks are those of `edgernn.train.blocks.conv1d`.
"""

import functools
from collections.abc import Mapping
from typing import Any

from edgernn.train.architecture import Layer
from edgernn.train.blocks.block import State
from edgernn.train.blocks.conv1d import check
from edgernn.train.blocks.masked import as_if_never
from edgernn.train.blocks.ops import Ops, Weights
from edgernn.train.blocks.plain import Plain


class Depthwise(Plain):
    """See the module's equation; `Layer.units` is not asked, the width stays."""

    kind = "depthwise"
    elementwise = True

    def arrays(self, layer: Layer) -> tuple[str, ...]:
        """See `Block.arrays`; the kernel has shape (K, inputs, 1)."""
        check(layer)
        return ("kernel", "bias")

    def outputs(self, layer: Layer, inputs: int) -> int:
        """See `Block.outputs`."""
        return inputs

    def states(self, layer: Layer, inputs: int) -> dict[str, State]:
        """See `Block.states`: rows as DEPTHWISE_CONV_2D wants them."""
        return {"past": State((layer.kernel - 1, 1, inputs), "ring", of_input=True)}

    def split(self, layer: Layer, weights: Weights) -> Weights:
        """See `Block.split`."""
        return {"kernel": weights["kernel"][:, :, 0], "bias": weights["bias"]}

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""
        window, past = ops.push("past", states["past"], x)
        y = ops.depthwise("y", window, w["kernel"], w["bias"], relu=layer.activation == "relu")
        return ops.tanh("tanh", y) if layer.activation == "tanh" else y, {"past": past}

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """See `Block.keras`."""
        return _causal(keras)(layer.kernel, activation=layer.activation or "linear", name=name)


@functools.cache
def _causal(keras: Any) -> Any:
    @keras.saving.register_keras_serializable("edgernn")
    class CausalDepthwiseConv1D(keras.layers.DepthwiseConv1D):
        """Keras's, which has no padding `causal`, with zeros before the first frame."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.supports_masking = True

        def call(self, inputs: Any, mask: Any = None) -> Any:
            before = ((0, 0), (self.kernel_size[0] - 1, 0), (0, 0))
            convolve = super().call
            return as_if_never(keras, lambda x: convolve(keras.ops.pad(x, before)), inputs, mask)

        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape

    return CausalDepthwiseConv1D


BLOCK = Depthwise()
