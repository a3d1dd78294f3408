"""A learned row of numbers for each token (Bengio et al. 2003); token 0 is padding.

In the step it is a table lookup, GATHER, in int8 rows.  Token 0 never comes to it: a
masked token is held, not stepped (`StepModel.hold`).  A frame may be several tokens, such
as a character and the pairs and triples that end in it; their rows go side by side.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgernn.train.architecture import Layer
from edgernn.train.blocks.ops import Ops, Weights
from edgernn.train.blocks.plain import Plain


class Embedding(Plain):
    """``table[x]``; `Layer.vocabulary` rows of `units` each."""

    kind = "embedding"

    def arrays(self, layer: Layer) -> tuple[str, ...]:
        """See `Block.arrays`."""
        return ("table",)

    def outputs(self, layer: Layer, inputs: int) -> int:
        """See `Block.outputs`: `inputs` tokens a frame."""
        return layer.units * inputs

    def split(self, layer: Layer, weights: Weights) -> Weights:
        """See `Block.split`: row 0 is never looked up, and must not set the scale."""
        table = np.array(weights["table"])
        table[0] = 0
        return {"table": table}

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""
        return ops.gather("rows", x, w["table"]), {}

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """See `Block.keras`: from int32 (batch, frames, tokens), a frame of zeros masked."""
        return _embedding(keras)(layer.vocabulary, layer.units, mask_zero=True, name=name)


@functools.cache
def _embedding(keras: Any) -> Any:
    """Keras's Embedding, its rows side by side where a frame is several tokens."""
    @keras.saving.register_keras_serializable("edgernn")
    class TokenEmbedding(keras.layers.Embedding):
        def call(self, inputs: Any) -> Any:
            """Rows of each frame's tokens, shape (batch, frames, tokens * units)."""
            rows = super().call(inputs)
            shape = keras.ops.shape(rows)
            return keras.ops.reshape(rows, (*shape[:2], inputs.shape[2] * self.output_dim))

        def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
            """A frame is real if its first token is."""
            return keras.ops.not_equal(inputs[..., 0], 0)

        def compute_output_shape(self, input_shape: Any) -> Any:
            """See `call`."""
            return (*input_shape[:2], input_shape[2] * self.output_dim)

    return TokenEmbedding


BLOCK = Embedding()
