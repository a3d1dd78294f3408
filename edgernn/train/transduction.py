"""Encoder and decoder in Keras: from padded source and target tokens to the next target token.

    memory = GRU(embed(source))                    one way, or both side by side
    h_t    = GRU(embed(target_{t-1})), begun from the encoder's last state
    c_t    = attention(h_t over memory)            dot: Luong et al. 2015, arXiv 1508.04025;
                                                   additive: Bahdanau et al. 2015, 1409.0473
    p_t    = softmax(W tanh(K [h_t; c_t] + b))

`edgernn.train.transducer` holds the same as steps.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ConfigError
from edgernn.frontend.tokens import FIRST
from edgernn.train import models, parts, transducer
from edgernn.train.assembly import measure
from edgernn.train.config import TrainConfig
from edgernn.train.folder import making, record
from edgernn.train.loop import Average
from edgernn.train.pairs import Pairs
from edgernn.train.transducer import START, Transducer, pad

Numbers = NDArray[np.int32]
ROOM = 4
"""Tokens by which a target may be longer than any in training."""
WATCHED = 800
"""Validation pairs decoded after each epoch."""
UNUSED = ("tbptt", "carry", "recurrent_dropout", "class_weights", "mix")
"""Settings that do nothing here."""
SORTED = 16
"""Batches that are sorted by length together, so that one has little padding."""


@dataclass(frozen=True)
class Epoch:
    """One line of history.csv."""

    epoch: int
    loss: float
    """Mean cross-entropy per token, nats; with smoothed labels it cannot reach 0."""
    error: float
    """Token error rate of the validation split, greedily decoded on floats; may exceed 1."""
    seconds: float
    """Since training began."""


Progress = Callable[[Epoch], None]


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


def fit(config: TrainConfig, data: Pairs, out: Path,
        progress: Progress = lambda epoch: None, overwrite: bool = False) -> dict[str, float]:
    """Train and write a run folder.

    Parameters
    ----------
    config : TrainConfig
    data : Pairs
    out : Path
        Run folder to make: config.yaml, history.csv, metrics.json, model.keras, pairs.tsv, and
        a folder for each part (see `edgernn.train.transducer`).
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
        described, history, best, model = _learn(config, data, progress)
        made = Transducer.of_floats(parts.build(described))
        metrics = {f"{split}_float_greedy": error(made, data, split)
                   for split in ("validation", "test")}
        metrics |= {"epochs": len(history), "best_epoch": best,
                    "parameters": model.count_params()}
        record(folder, config, metrics, history)
        data.save(folder / "pairs.tsv")
        parts.save(described, folder)
        model.save(folder / "model.keras")
    return metrics


def error(made: Transducer, data: Pairs, split: str, most: int | None = None) -> float:
    """Token error rate of a split's targets, or of the first so many, greedily decoded."""
    pairs = data.of_split(split)[:most]
    return measure(made, data, pairs)


def _learn(config: TrainConfig, data: Pairs, progress: Progress) -> tuple[
        dict[str, Any], list[Epoch], int, Any]:
    """Train for all epochs or until patience ends; the model has the best weights."""
    keras = models.import_keras()
    keras.utils.set_random_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    pairs = data.of_split("train")
    sources, targets = data.sources(pairs), data.targets(pairs)
    longest = (max(len(pair.source) for pair in data.pairs),
               max(map(len, targets)) + ROOM)
    model = build(config, len(data.source.vocabulary) + FIRST, len(data.target.vocabulary) + FIRST)
    updates = config.epochs * -(-len(pairs) // config.batch)
    rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, updates, alpha=0.02)
    model.compile(
        keras.optimizers.Adam(rate, clipnorm=config.clipnorm),
        keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing,
                                             reduction="sum"))
    average = Average(config.average, model.get_weights())
    history: list[Epoch] = []
    best, best_weights = None, model.get_weights()
    began = time.monotonic()
    for number in range(1, config.epochs + 1):
        loss = _epoch(config, model, sources, targets, rng, average)
        latest = model.get_weights()
        model.set_weights(average.weights)
        described = transducer.describe(config, weights(model), data.source, data.target, longest)
        found = error(Transducer.of_floats(parts.build(described)), data, "validation",
                      WATCHED)
        history.append(Epoch(number, loss, found, time.monotonic() - began))
        progress(history[-1])
        if best is None or found < best.error:
            best, best_weights = history[-1], model.get_weights()
        model.set_weights(latest)
        if number - best.epoch >= config.patience:
            break
    assert best is not None
    model.set_weights(best_weights)
    return (transducer.describe(config, weights(model), data.source, data.target, longest),
            history, best.epoch, model)


def _epoch(config: TrainConfig, model: Any, sources: Sequence[Numbers], targets: Sequence[Numbers],
           rng: np.random.Generator, average: Average) -> float:
    """One pass over the pairs, those of like length together; mean loss per token."""
    order = rng.permutation(len(sources))
    big = config.batch * SORTED
    chunks = []
    for start in range(0, len(order), big):
        near = sorted(order[start:start + big], key=lambda i: (len(sources[i]), len(targets[i])))
        chunks += [near[i:i + config.batch] for i in range(0, len(near), config.batch)]
    labels = model.output_shape[-1]
    total, count = 0.0, 0.0
    for at in rng.permutation(len(chunks)):
        source, given, wanted, weights = _batch([sources[i] for i in chunks[at]],
                                                [targets[i] for i in chunks[at]],
                                                config.token_noise, labels, rng)
        tokens = float(weights.sum())
        model.reset_metrics()
        loss = float(model.train_on_batch([source, given], np.eye(labels, dtype=np.float32)[wanted],
                                          sample_weight=weights / np.float32(tokens)))
        average.update(model.get_weights())
        total, count = total + loss * tokens, count + tokens
    return total / count


def _batch(sources: list[Numbers], targets: list[Numbers], share: float, labels: int,
           rng: np.random.Generator) -> tuple[Numbers, Numbers, Numbers, NDArray[np.float32]]:
    """Padded sources, tokens given to the decoder, labels wanted of it, and their weights."""
    # Few different lengths, since TensorFlow traces each anew.
    source, given = pad(sources, 4), pad([np.append(START, row) for row in targets], 4)
    wanted = pad([row - 1 for row in targets], 4) if max(map(len, targets)) else given * 0
    wanted = np.pad(wanted, ((0, 0), (0, given.shape[1] - wanted.shape[1])))
    weights = (given > 0).astype(np.float32)
    noise = (rng.random(given.shape) < share) & (given > START)
    given[noise] = rng.integers(FIRST, labels + 1, int(noise.sum()))
    return source, given, wanted, weights


def weights(model: Any) -> dict[str, list[NDArray[np.float32]]]:
    """Arrays of each layer, by its name."""
    return {layer.name: layer.get_weights() for layer in model.layers}
