"""Encoder and decoder in Keras: from padded source and target tokens to the next target token.

    memory = GRU(embed(source))                    one way, or both side by side
    h_t    = GRU(embed(target_{t-1})), begun from the encoder's last state
    c_t    = attention(h_t over memory)            dot: Luong et al. 2015, arXiv 1508.04025;
                                                   additive: Bahdanau et al. 2015, 1409.0473
    p_t    = softmax(W tanh(K [h_t; c_t] + b))

`edgernn.train.transducer` holds the same as steps.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.train import models
from edgernn.train.config import TrainConfig

Arrays = dict[str, NDArray[np.float32]]


def build(config: TrainConfig, letters: int, sounds: int) -> Any:
    """The Keras model, not yet compiled.

    Parameters
    ----------
    config : TrainConfig
    letters, sounds : int
        Numbers of source and target tokens, padding (0) included.

    Inputs: int32 (batch, source) and (batch, target), padded with 0; the second begins with
    `edgernn.train.transducer.START`.  Output: (batch, target, sounds - 1), the probability
    of each label, which is the token that comes next less 1.
    """
    keras = models.import_keras()
    wide = config.units * (2 if config.bidirectional else 1)
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    drop = keras.layers.Dropout

    x = keras.layers.Embedding(letters, config.embedding, mask_zero=True, name="letters")(source)
    x = drop(config.dropout)(x)
    cell = keras.layers.GRU(config.units, return_sequences=True, return_state=True,
                            recurrent_initializer="orthogonal", name="encoder")
    if config.bidirectional:
        memory, *ends = keras.layers.Bidirectional(cell, name="encoder")(x)
        end = keras.layers.Concatenate()(ends)
    else:
        memory, end = cell(x)

    x = keras.layers.Embedding(sounds, config.embedding, mask_zero=True, name="sounds")(target)
    x = drop(config.dropout)(x)
    h = keras.layers.GRU(wide, return_sequences=True, recurrent_initializer="orthogonal",
                         name="decoder")(x, initial_state=end)
    y = drop(config.dropout)(h)
    if config.attention != "none":
        y = _attend(keras, config, h, memory, wide)
        y = drop(config.dropout)(y)
    return keras.Model([source, target], keras.layers.Dense(
        sounds - 1, activation="softmax", name="scores")(y))


def _attend(keras: Any, config: TrainConfig, h: Any, memory: Any, wide: int) -> Any:
    """Luong's attentional vector, tanh(K [h; c] + b)."""
    if config.attention == "dot":
        context = keras.layers.Attention(name="attention")([h, memory])
    else:
        query = keras.layers.Dense(config.units, use_bias=False, name="query")(h)
        keys = keras.layers.Dense(config.units, name="keys")(memory)
        context = keras.layers.AdditiveAttention(name="attention")([query, memory, keys])
    joined = keras.layers.Concatenate()([h, context])
    joined = keras.layers.Dropout(config.dropout)(joined)
    return keras.layers.Dense(wide, activation="tanh", name="mix")(joined)
