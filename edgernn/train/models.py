"""The Keras models that can become a step: masked, recurrent, scores on every frame."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ConfigError, ModelError, QuantizeError
from edgernn.train.architecture import Layer
from edgernn.train.batches import PADDING
from edgernn.train.blocks import BLOCKS, CELLS
from edgernn.train.blocks.embedding import token_dropout
from edgernn.train.carried import Carried, forgetful
from edgernn.train.config import TrainConfig
from edgernn.train.network import filled, prefix

BACKWARD = "backward_"
"""How the arrays of the half that reads from the end begin."""


def import_keras() -> Any:
    """Keras on TensorFlow, quiet and on at most two threads.

    Raises
    ------
    ConfigError
        If TensorFlow or Keras is not installed.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        with _quiet():
            import keras
            import tensorflow as tf
    except ImportError as problem:
        raise ConfigError('Training needs TensorFlow and Keras: pip install "edgernn[train]" '
                          f"({problem})") from problem
    # One update has many small ops: more threads only wait for each other.  It must be
    # said before the first op; a process that has already trained keeps what it has.
    asked = tf.config.threading.get_intra_op_parallelism_threads() or \
        os.environ.get("TF_NUM_INTRAOP_THREADS")
    if not asked:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(2)
            tf.config.threading.set_inter_op_parallelism_threads(2)
        except RuntimeError:
            pass
    return keras


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what TensorFlow's libraries print as they load off stderr.

    They greet before any log level is read.  TF_CPP_MIN_LOG_LEVEL, if set, lets them.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


HEADS = {"regress": "number", "next": "sigmoid"}
"""Activation of the last layer by task; softmax for all others."""


def layers(config: TrainConfig, labels: int, features: int, vocabulary: int = 0
           ) -> tuple[Layer, ...]:
    """The layers with weights that `config` asks for, the task's own last.

    Parameters
    ----------
    config : TrainConfig
    labels : int
        Outputs of the last layer.
    features : int
        Width of a frame.
    vocabulary : int
        Tokens there are, if frames are tokens.
    """
    front = [Layer("embedding", config.embedding, vocabulary=vocabulary)] if vocabulary else []
    head = "softmax" if vocabulary else HEADS.get(config.task, "softmax")
    if config.stack:
        return _stacked(config, (*front, *config.stack, Layer("dense", labels, head)), features)
    if config.front:
        # LayerNorm after a ReLU loses the sign it would center: it gets a linear layer.
        activation = "linear" if config.layer_norm else "relu"
        front.append(Layer("dense", config.front, activation))
    if config.layer_norm:
        front.append(Layer("layer_norm", config.front or (front[-1].units if front else features)))
    reset_after = config.reset_after if config.cell == "gru" else True
    activation = "" if config.activation == "tanh" else config.activation
    recurrent = [Layer(config.cell, config.units, activation, reset_after)] * config.layers
    return (*front, *recurrent, Layer("dense", labels, head))


def _stacked(config: TrainConfig, stack: tuple[Layer, ...], features: int) -> tuple[Layer, ...]:
    """A stack of one's own with its widths filled in.

    Raises
    ------
    ConfigError
        If there is a layer that cannot be there, by its place and name.
    """
    unknown = [layer.kind for layer in config.stack if layer.kind not in STACKABLE]
    if unknown:
        raise ConfigError(f"stack has the layer {unknown[0]!r}; one of {', '.join(STACKABLE)} was "
                          "needed. Choose one of them")
    try:
        return filled(stack, features)
    except QuantizeError as problem:
        raise ConfigError(f"stack: {problem}") from problem


STACKABLE = tuple(kind for kind in BLOCKS if kind not in ("attention", "embedding", "memory"))
"""Blocks that see one frame after another, numbers, and nothing else."""
UNITS = "units"
"""Name of the Keras layer that brings numbers to their own unit; its weights are the head's."""


def warnings(config: TrainConfig) -> list[str]:
    """What whoever trains with these settings should know before."""
    asked = config.stack or layers(config, 1, 1)
    kinds = {(layer.kind, layer.activation): layer for layer in asked}
    return [text for layer in kinds.values() if layer.kind in CELLS
            and (text := CELLS[layer.kind].warning(layer))]


def build(config: TrainConfig, features: int, stack: tuple[Layer, ...],
          units: tuple[float, float] = (0.0, 1.0), carried: bool = False) -> Any:
    """A Keras model, not yet compiled, of the given layers.

    Input: float32 (batch, frames, features), padded with `PADDING`; or int32 tokens,
    padded with 0.  Output: scores (batch, frames, labels).  A frame is masked only where
    all of it is `PADDING`, a value no frontend can give, so a frame of zeros is as real as
    any other.  `units` are mean and standard deviation of the numbers that a head of numbers
    gives: the layers before them work near 0 and 1.

    If `carried`, more inputs are the states to begin with, and more outputs those at the
    end; see `edgernn.train.carried`.

    Raises
    ------
    ConfigError
        If a layer cannot do what `config` or `carried` asks of it.
    """
    keras = import_keras()
    states = Carried(keras) if carried else None
    tokens = stack[0].kind == "embedding"
    given = keras.Input((None, features), dtype="int32" if tokens else "float32")
    x = given
    if not tokens:
        x = keras.layers.Masking(PADDING)(x)
        if config.input_noise:
            x = keras.layers.GaussianNoise(config.input_noise)(x)
    for index, layer in enumerate(stack):
        name = prefix(index, layer).rstrip("_")
        made = BLOCKS[layer.kind].keras(keras, layer, name)
        if config.recurrent_dropout and layer.kind in CELLS:
            made = forgetful(made, layer, config.recurrent_dropout)
        if layer.bidirectional:
            made = keras.layers.Bidirectional(made, name=name)
        y = states.through(made, layer, x) if states else made(x)
        x = keras.layers.Add()([x, y]) if layer.residual else y
        if layer.kind == "embedding" and config.token_dropout:
            x = token_dropout(keras, config.token_dropout, features)(x)
        if layer.kind == "embedding" and config.embedding_dropout:
            x = keras.layers.SpatialDropout1D(config.embedding_dropout)(x)
        if config.dropout and BLOCKS[layer.kind].drops:
            x = keras.layers.Dropout(config.dropout)(x)
    if stack[-1].activation == "number":
        x = keras.layers.Rescaling(units[1], units[0], name=UNITS)(x)
    if states and states.before:
        return keras.Model([given, *states.before], [x, *states.after])
    return keras.Model(given, x)


def load(path: Path) -> Any:
    """The Keras model of a run folder's model.keras, in a process that has built none.

    Raises
    ------
    ModelError
        If there is no such file.
    """
    keras = import_keras()
    if not path.is_file():
        raise ModelError(f"{path} is missing; the model.keras of a run folder was needed. "
                         "Train first: edgernn train DATA --out run/")
    for kind, block in BLOCKS.items():
        # Keras knows a layer of ours once one has been made.  Attention is several of Keras's own.
        with contextlib.suppress(ConfigError):
            block.keras(keras, Layer(kind, 2, kernel=2, window=2, vocabulary=2), kind)
    token_dropout(keras, 0.5, 1)
    return keras.models.load_model(path)


def assign(model: Any, stack: tuple[Layer, ...], kept: Mapping[str, NDArray[np.float32]]) -> None:
    """Give a model that `build` made the weights that `arrays` gave, its head's unit being 1."""
    for index, layer in enumerate(stack):
        own = [kept[f"{index}/{name}"] for name in _names(layer)]
        model.get_layer(prefix(index, layer).rstrip("_")).set_weights(own)


def freeze(model: Any, stack: tuple[Layer, ...]) -> None:
    """Keep these first layers of a model that `build` made as they are."""
    for index, layer in enumerate(stack):
        model.get_layer(prefix(index, layer).rstrip("_")).trainable = False


def _names(layer: Layer) -> tuple[str, ...]:
    """A layer's arrays in Keras's order."""
    names = BLOCKS[layer.kind].arrays(layer)
    return (*names, *(f"{BACKWARD}{name}" for name in names)) if layer.bidirectional else names


def arrays(model: Any, stack: tuple[Layer, ...]) -> dict[str, NDArray[np.float32]]:
    """Weights of a model that `build` made, named as weights.npz holds them."""
    found: dict[str, NDArray[np.float32]] = {}
    for index, layer in enumerate(stack):
        weights = model.get_layer(prefix(index, layer).rstrip("_")).get_weights()
        found |= {f"{index}/{name}": value
                  for name, value in zip(_names(layer), weights, strict=True)}
    if stack[-1].activation == "number":
        last, unit = len(stack) - 1, model.get_layer(UNITS)
        found[f"{last}/kernel"] = found[f"{last}/kernel"] * np.float32(unit.scale)
        found[f"{last}/bias"] = (found[f"{last}/bias"] * np.float32(unit.scale)
                                 + np.float32(unit.offset))
    return found
