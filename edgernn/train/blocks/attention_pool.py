"""Attention pooling over the last frames (Yang et al. 2016; over past states as a stream).

    e[t] = v . tanh(x[t] W + b)
    a    = softmax(e[t - R + 1 .. t])
    y[t] = sum_i a_i x[i]

The states are rings of the last R - 1 frames and of their energies.  Frames before the first
are zeros of energy 0, in training too: they take their share.  A held or masked frame never was.
"""

import functools
from collections.abc import Mapping
from typing import Any

from edgernn.errors import QuantizeError
from edgernn.train.architecture import Layer
from edgernn.train.blocks.block import State
from edgernn.train.blocks.masked import as_if_never
from edgernn.train.blocks.ops import Ops, Precision, Weights
from edgernn.train.blocks.plain import Plain


class AttentionPool(Plain):
    """See the module's equations; `Layer.units` is the width of W, `Layer.window` is R."""

    kind = "attention_pool"
    elementwise = True

    def arrays(self, layer: Layer) -> tuple[str, ...]:
        """See `Block.arrays`; v has shape (units, 1)."""
        if layer.window < 2:
            raise QuantizeError(f"an attention_pool layer has window {layer.window}; 2 or more "
                                "frames were needed. Give it a window")
        return ("kernel", "bias", "v")

    def outputs(self, layer: Layer, inputs: int) -> int:
        """See `Block.outputs`."""
        return inputs

    def states(self, layer: Layer, inputs: int) -> dict[str, State]:
        """See `Block.states`."""
        return {"past": State((layer.window - 1, inputs), "ring", of_input=True),
                "energies": State((layer.window - 1, 1), "wide")}

    def precision(self, layer: Layer) -> Precision:
        """See `Block.precision`: a softmax over many frames has shares that 8 bits lose."""
        return "wide"

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""
        key = ops.tanh("key", ops.dense("key_pre", x, w["kernel"], w["bias"]))
        energy = ops.dense("energy", key, w["v"])
        frames, past = ops.push("past", states["past"], x)
        column, energies = ops.push("energies", states["energies"], energy)
        share = ops.softmax("share", ops.reshape("row", column, (1, layer.window)))
        units = frames.shape[-1]
        y = ops.reshape("y", ops.matmul("sum", share, frames), (units,))
        return y, {"past": past, "energies": energies}

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """See `Block.keras`."""
        return _pool(keras)(layer.units, layer.window, name=name)


def windows(keras: Any, x: Any, window: int) -> Any:
    """The last `window` frames of each frame, oldest first, zeros before the first.

    From (batch, frames, units) to (batch, frames, window, units).
    """
    ops = keras.ops
    padded = ops.pad(x, ((0, 0), (window - 1, 0), (0, 0)))
    frames = ops.shape(x)[1]
    return ops.stack([padded[:, i:i + frames] for i in range(window)], axis=2)


@functools.cache
def _pool(keras: Any) -> Any:
    @keras.saving.register_keras_serializable("edgernn")
    class AttentionPooling(keras.layers.Layer):
        def __init__(self, units: int, window: int, **options: Any) -> None:
            super().__init__(**options)
            self.units, self.window = units, window
            self.supports_masking = True

        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
            self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")
            self.v = self.add_weight(shape=(self.units, 1), name="v")

        def call(self, inputs: Any, mask: Any = None) -> Any:
            """See the module's equations."""
            return as_if_never(keras, self._pooled, inputs, mask)

        def _pooled(self, x: Any) -> Any:
            ops = keras.ops
            energy = ops.matmul(ops.tanh(ops.matmul(x, self.kernel) + self.bias), self.v)
            share = ops.softmax(windows(keras, energy, self.window)[..., 0], axis=-1)
            return ops.sum(share[..., None] * windows(keras, x, self.window), axis=2)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units, "window": self.window}

    return AttentionPooling


BLOCK = AttentionPool()
