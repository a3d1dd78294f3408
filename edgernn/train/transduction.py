"""Encoder and decoder in Keras: from padded source and target tokens to the next target token.

    memory = GRU(embed(source))                    one way, or both side by side
    h_t    = GRU(embed(target_{t-1})), begun from the encoder's last state
    c_t    = attention(h_t over memory)            dot: Luong et al. 2015, arXiv 1508.04025;
                                                   additive: Bahdanau et al. 2015, 1409.0473
    p_t    = softmax(W tanh(K [h_t; c_t] + b))

`edgernn.train.transducer` holds the same as steps.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ConfigError
from edgernn.frontend.tokens import FIRST
from edgernn.train import models, parts, transducer
from edgernn.train.assembly import measure
from edgernn.train.checkpoint import settings
from edgernn.train.config import TrainConfig
from edgernn.train.folder import Unfinished, making, record
from edgernn.train.pair_loop import Epoch, PairLoop
from edgernn.train.pairs import Pairs
from edgernn.train.resume import run
from edgernn.train.transducer import Transducer

ROOM = 4
"""Tokens by which a target may be longer than any in training."""
WATCHED = 800
"""Validation pairs decoded after each epoch."""
UNUSED = ("tbptt", "carry", "recurrent_dropout", "class_weights", "mix")
"""Settings that do nothing here."""

Progress = Callable[[Epoch], None]


def build(config: TrainConfig, letters: int, sounds: int) -> Any:
    """The Keras model.

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


def fit(config: TrainConfig, data: Pairs, out: Path,
        progress: Progress = lambda epoch: None, overwrite: bool = False) -> dict[str, float]:
    """Train and write a run folder.

    Parameters
    ----------
    config : TrainConfig
    data : Pairs
    out : Path
        Run folder to make: config.yaml, history.csv, metrics.json, model.keras, pairs.tsv, and
        a folder for each part (see `edgernn.train.transducer`).  A run that was stopped goes on
        if it is called again, as `edgernn.train.fit.fit` says.
    progress : callable
        Told of each epoch.
    overwrite : bool
        Replace `out` if it is there.

    Returns
    -------
    dict
        metrics.json: `validation_float_greedy` and `test_float_greedy`, token error rates;
        `epochs`, `best_epoch`, `parameters`.

    Raises
    ------
    ConfigError, DataError, OutputError
    """
    if config.cell != "gru" or config.layers != 1:
        raise ConfigError(f"an encoder and a decoder of {config.layers} layers of {config.cell} "
                          "were asked for; task transduce has one GRU each. Use --cell gru "
                          "--layers 1")
    for name in UNUSED:
        if getattr(config, name):
            raise ConfigError(f"{name} was asked for, and task transduce has none. Leave it out")
    with making(out, overwrite) as place:
        folder = place.run
        described, loop = _learn(config, data, place, progress, overwrite)
        made = Transducer.of_floats(parts.build(described))
        metrics = {f"{split}_float_greedy": error(made, data, split)
                   for split in ("validation", "test")}
        metrics |= {"epochs": len(loop.history), "best_epoch": loop.best.epoch,
                    "parameters": loop.model.count_params()}
        record(folder, config, metrics, loop.history)
        data.save(folder / "pairs.tsv")
        parts.save(described, folder)
        loop.model.save(folder / "model.keras")
    return metrics


def error(made: Transducer, data: Pairs, split: str, most: int | None = None) -> float:
    """Token error rate of a split's targets, or of the first so many, greedily decoded."""
    pairs = data.of_split(split)[:most]
    return measure(made, data, pairs)


def _learn(config: TrainConfig, data: Pairs, place: Unfinished, progress: Progress,
           overwrite: bool) -> tuple[dict[str, Any], PairLoop]:
    """Train for all epochs or until patience ends; the parts have the best weights."""
    keras = models.import_keras()
    import tensorflow as tf

    # Kernels that add in a fixed order: same seed, same weights, on the CPU.
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(config.seed)
    longest = (max(len(pair.source) for pair in data.pairs),
               max(map(len, data.targets(data.of_split("train")))) + ROOM)

    def described(model: Any) -> dict[str, Any]:
        return transducer.describe(config, weights(model), data.source, data.target, longest)

    def judge(model: Any) -> float:
        made = Transducer.of_floats(parts.build(described(model)))
        return error(made, data, "validation", WATCHED)

    loop = PairLoop(config, data, build(config, len(data.source.vocabulary) + FIRST,
                                        len(data.target.vocabulary) + FIRST), judge)
    known = settings(config) | {"data": data.digest()}
    run(loop, known, place, progress, overwrite, config.checkpoint_epochs)
    return described(loop.finish()), loop


def weights(model: Any) -> dict[str, list[NDArray[np.float32]]]:
    """Arrays of each layer, by its name."""
    return {layer.name: layer.get_weights() for layer in model.layers}
