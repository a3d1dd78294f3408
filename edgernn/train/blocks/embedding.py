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
        table = weights["table"]
        return {"table": np.concatenate([np.zeros((1, table.shape[1]), np.float32), table[1:]])}

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""
        return ops.gather("rows", x, w["table"]), {}

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """See `Block.keras`: from int32 (batch, frames, tokens), a frame of zeros masked."""
        return _embedding(keras)(layer.vocabulary, layer.units, mask_zero=True, name=name)


@functools.cache
def _dropout(keras: Any) -> Any:
    @keras.saving.register_keras_serializable("edgernn")
    class TokenDropout(keras.layers.Dropout):
        def __init__(self, rate: float, tokens: int, **more: Any) -> None:
            super().__init__(rate, noise_shape=(None, None, tokens, 1), **more)
            self.tokens = tokens

        def call(self, inputs: Any, training: bool = False) -> Any:
            """`inputs` of shape (batch, frames, tokens * units)."""
            batch, frames = keras.ops.shape(inputs)[:2]
            apart = keras.ops.reshape(inputs, (batch, frames, self.tokens,
                                               inputs.shape[2] // self.tokens))
            return keras.ops.reshape(super().call(apart, training=training),
                                     (batch, frames, inputs.shape[2]))

        def get_config(self) -> Any:
            """For Keras to save it."""
            config = super().get_config()
            del config["noise_shape"]
            return config | {"tokens": self.tokens}

    return TokenDropout


def token_dropout(keras: Any, share: float, tokens: int) -> Any:
    """A Keras layer that forgets whole tokens, each row of an embedding at once."""
    return _dropout(keras)(share, tokens)


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
