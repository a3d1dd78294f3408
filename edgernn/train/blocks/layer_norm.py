"""Layer normalization (Ba et al. 2016, arXiv 1607.06450).

    y = gamma * (x - mean(x)) / sqrt(var(x) + epsilon) + beta

Gamma and beta go into the matrix of the next layer: (gamma * n + beta) K + b is
n (gamma K) + (beta K + b), two ops less in the step.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgernn.train.architecture import Layer
from edgernn.train.blocks.ops import Array, Ops, Precision, Weights
from edgernn.train.blocks.plain import Plain


class LayerNorm(Plain):
    """See the module's equation; `step` leaves gamma and beta out (see `fold`)."""

    kind = "layer_norm"
    elementwise = True

    def arrays(self, layer: Layer) -> tuple[str, ...]:
        """See `Block.arrays`."""
        return ("gamma", "beta")

    def outputs(self, layer: Layer, inputs: int) -> int:
        """See `Block.outputs`."""
        return inputs

    def precision(self, layer: Layer) -> Precision:
        """See `Block.precision`."""
        return "wide"

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""
        return normalize(ops, "", x, layer.epsilon), {}

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """See `Block.keras`."""
        return keras.layers.LayerNormalization(epsilon=layer.epsilon, name=name)


def normalize(ops: Ops[Any], stem: str, x: Any, epsilon: float) -> Any:
    """``(x - mean) / sqrt(variance + epsilon)`` over units; names begin with `stem`."""
    return scale(ops, stem, ops.sub(f"{stem}centered", x, ops.mean(f"{stem}mean", x)), epsilon)


def scale(ops: Ops[Any], stem: str, centered: Any, epsilon: float) -> Any:
    """`normalize` of what has a mean of 0 already."""
    variance = ops.mean(f"{stem}variance", ops.mul(f"{stem}squared", centered, centered), epsilon)
    return ops.mul(f"{stem}normal", centered, ops.rsqrt(f"{stem}inverse_deviation", variance))


def center(array: Array) -> Array:
    """A matrix or bias whose outputs have a mean of 0: two ops less than to subtract it."""
    centered: Array = array - array.mean(axis=-1, keepdims=True)
    return centered


def fold(norm: Weights, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The next layer's arrays with a LayerNorm's gamma and beta taken up.

    A layer without a bias gets one.
    """
    kernel = arrays["kernel"]
    bias = np.array(arrays.get("bias", np.zeros(kernel.shape[1], np.float32)))
    bias[(0,) * (bias.ndim - 1)] += norm["beta"] @ kernel  # row 0 where a GRU has two
    return dict(arrays) | {"kernel": norm["gamma"][:, None] * kernel, "bias": bias}


BLOCK = LayerNorm()
