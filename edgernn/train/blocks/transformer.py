"""A causal Transformer block over the last frames (Vaswani et al. 2017, arXiv 1706.03762).

    n = LayerNorm(x)                             before attention, as in Xiong et al. 2020
    q, k, v = n Wq + bq, n Wk + bk, n Wv + bv    each cut into H heads of d = units / H
    a = softmax(q . k[t - R + 1 .. t] / sqrt(d) + bias[age])
    x = x + (sum_i a_i v[i]) Wo + bo
    y = x + relu(LayerNorm(x) W1 + b1) W2 + b2

Where a frame lies is told by a learned bias for each head and age (as in T5, Raffel et al. 2020):
a stream has no beginning to count from.  The states are rings of the last R - 1 keys and values.
Those before the first frame are zeros, in training too, and take their share.  A held or masked
frame never was.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgernn.errors import QuantizeError
from edgernn.train.architecture import Layer
from edgernn.train.blocks.block import State
from edgernn.train.blocks.layer_norm import normalize
from edgernn.train.blocks.masked import as_if_never
from edgernn.train.blocks.ops import Ops, Precision, Weights
from edgernn.train.blocks.plain import Plain

WIDENING = 2
"""Units of the feed-forward layer to each of the block's; 4 in the paper, which had more data."""


class Transformer(Plain):
    """See the module's equations; `Layer.units` is the width of input and output."""

    kind = "transformer"
    drops = True
    elementwise = True

    def shapes(self, layer: Layer, inputs: int) -> dict[str, tuple[int, ...]]:
        """Shape of each weight of the Keras layer, in the order of its `get_weights`."""
        check(layer, inputs)
        n, wide = layer.units, WIDENING * layer.units
        found: dict[str, tuple[int, ...]] = {"gamma": (n,), "beta": (n,)}
        for name in ("query", "key", "value", "out"):
            found |= {f"{name}_kernel": (n, n), f"{name}_bias": (n,)}
        return found | {"age_bias": (layer.heads, layer.window), "gamma2": (n,), "beta2": (n,),
                        "hidden_kernel": (n, wide), "hidden_bias": (wide,),
                        "back_kernel": (wide, n), "back_bias": (n,)}

    def arrays(self, layer: Layer) -> tuple[str, ...]:
        """See `Block.arrays`."""
        return tuple(self.shapes(layer, layer.units))

    def outputs(self, layer: Layer, inputs: int) -> int:
        """See `Block.outputs`."""
        check(layer, inputs)
        return layer.units

    def states(self, layer: Layer, inputs: int) -> dict[str, State]:
        """See `Block.states`."""
        ring = State((layer.heads, layer.window - 1, layer.units // layer.heads), "ring")
        return {"keys": ring, "values": ring}

    def precision(self, layer: Layer) -> Precision:
        """See `Block.precision`: as a LayerNorm and an attention_pool have it."""
        return "wide"

    def split(self, layer: Layer, weights: Weights) -> Weights:
        """See `Block.split`: what is multiplied or added to a matmul's input goes into it."""
        def folded(name: str, norm: str = "") -> dict[str, Any]:
            kernel, bias = weights[f"{name}_kernel"], weights[f"{name}_bias"]
            return {name: weights[f"gamma{norm}"][:, None] * kernel,
                    f"{name}_bias": weights[f"beta{norm}"] @ kernel + bias}

        size = np.float32((layer.units // layer.heads) ** -0.5)
        query = {name: value * size for name, value in folded("query").items()}
        plain = {name: weights[f"{name}_kernel"] for name in ("out", "back")}
        return {**weights, **query, **folded("key"), **folded("value"), **folded("hidden", "2"),
                **plain}

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""
        def dense(name: str, value: Any, relu: bool = False) -> Any:
            return ops.dense(name, value, w[name], w[f"{name}_bias"], relu=relu)

        apart = (layer.heads, 1, layer.units // layer.heads)
        n = normalize(ops, "", x, layer.epsilon)
        query = ops.reshape("query_heads", dense("query", n), apart)
        keys, past_keys = ops.push("keys", states["keys"], dense("key", n), axis=2)
        values, past_values = ops.push("values", states["values"], dense("value", n), axis=2)
        score = ops.plus("score_aged", ops.matmul("score", query, keys, transpose_b=True),
                         w["age_bias"][:, None])
        context = ops.matmul("context", ops.softmax("share", score), values)
        x = ops.add("attended", x, dense("out", ops.reshape("heads", context, (layer.units,))))
        n = normalize(ops, "second_", x, layer.epsilon)
        y = ops.add("y", x, dense("back", dense("hidden", n, relu=True)))
        return y, {"keys": past_keys, "values": past_values}

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """See `Block.keras`."""
        return _transformer(keras)(layer.units, layer.heads, layer.window, layer.epsilon, name=name)


def check(layer: Layer, inputs: int) -> None:
    """Whether there can be such a block after a layer that is `inputs` wide.

    Raises
    ------
    QuantizeError
    """
    if layer.window < 2 or layer.heads < 1 or layer.units % layer.heads:
        raise QuantizeError(f"a transformer layer has window {layer.window}, {layer.heads} heads "
                            f"and {layer.units} units; 2 frames or more and a multiple of the "
                            "heads were needed. Give it those")
    if inputs != layer.units:
        raise QuantizeError(f"a transformer layer of {layer.units} units comes after {inputs}; it "
                            "adds to its input, so they must be equal. Put a dense layer of "
                            f"{layer.units} units before it")


@functools.cache
def _transformer(keras: Any) -> Any:
    ops = keras.ops

    @keras.saving.register_keras_serializable("edgernn")
    class CausalTransformer(keras.layers.Layer):
        def __init__(self, units: int, heads: int, window: int, epsilon: float,
                     **options: Any) -> None:
            super().__init__(**options)
            self.units, self.heads, self.window = units, heads, window
            self.epsilon = epsilon
            self.supports_masking = True

        def build(self, input_shape: Any) -> None:
            layer = Layer("transformer", self.units, heads=self.heads, window=self.window)
            begin = {"kernel": "glorot_uniform", "gamma": "ones", "gamma2": "ones"}
            self.w = {key: self.add_weight(
                shape=shape, name=key, initializer=begin.get(key.split("_")[-1], "zeros"))
                for key, shape in BLOCK.shapes(layer, input_shape[-1]).items()}

        def call(self, inputs: Any, mask: Any = None) -> Any:
            """See the module's equations."""
            return as_if_never(keras, self._block, inputs, mask)

        def _block(self, x: Any) -> Any:
            w = self.w
            n = self._norm(x, "")
            query, key, value = (self._apart(self._dense(n, name))
                                 for name in ("query", "key", "value"))
            x = x + self._dense(self._attend(query, key, value), "out")
            hidden = ops.relu(self._dense(self._norm(x, "2"), "hidden"))
            return x + ops.matmul(hidden, w["back_kernel"]) + w["back_bias"]

        def _attend(self, query: Any, key: Any, value: Any) -> Any:
            """From (batch, heads, frames, d) to (batch, frames, units)."""
            r, frames = self.window, ops.shape(query)[2]
            before = ((0, 0), (0, 0), (r - 1, 0), (0, 0))
            key, value = ops.pad(key, before), ops.pad(value, before)
            # Place of key j in the window of frame i: 0 the oldest, R - 1 the frame itself.
            place = ops.arange(frames + r - 1)[None] - ops.arange(frames)[:, None]
            within = ops.logical_and(place >= 0, place < r)
            aged = ops.take(self.w["age_bias"], ops.clip(place, 0, r - 1), axis=1)
            score = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))
            score = score * (self.units // self.heads) ** -0.5 + aged
            share = ops.softmax(ops.where(within, score, -1e9), axis=-1)
            context = ops.transpose(ops.matmul(share, value), (0, 2, 1, 3))
            return ops.reshape(context, (-1, frames, self.units))

        def _dense(self, x: Any, name: str) -> Any:
            return ops.matmul(x, self.w[f"{name}_kernel"]) + self.w[f"{name}_bias"]

        def _norm(self, x: Any, which: str) -> Any:
            centered = x - ops.mean(x, axis=-1, keepdims=True)
            variance = ops.mean(ops.square(centered), axis=-1, keepdims=True)
            return (self.w[f"gamma{which}"] * centered * ops.rsqrt(variance + self.epsilon)
                    + self.w[f"beta{which}"])

        def _apart(self, x: Any) -> Any:
            """(batch, frames, units) to (batch, heads, frames, d)."""
            shape = (-1, ops.shape(x)[1], self.heads, self.units // self.heads)
            return ops.transpose(ops.reshape(x, shape), (0, 2, 1, 3))

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units, "heads": self.heads,
                    "window": self.window, "epsilon": self.epsilon}

    return CausalTransformer


BLOCK = Transformer()
