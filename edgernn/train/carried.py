"""States as inputs and outputs of a Keras model, so that training can carry them.

Keras's own `stateful=True` keeps one state per row of the batch inside the layer: it can
neither begin a lesson with what another one left, nor be told where a batch's rows went.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ConfigError
from edgernn.train.architecture import Layer
from edgernn.train.batches import Batch, Lesson
from edgernn.train.blocks import BLOCKS, CELLS

States = list[NDArray[np.float32]]
"""One array per state of a model, in the order of its layers, shape (batch, units)."""


class Carried:
    """The states of a model that is being built."""

    def __init__(self, keras: Any) -> None:
        self.keras = keras
        self.before: list[Any] = []
        """Inputs of the model: the state with which each row begins."""
        self.after: list[Any] = []
        """Outputs: the state after each row's last frame that is not masked."""

    def through(self, made: Any, layer: Layer, x: Any) -> Any:
        """Apply the Keras layer `made` to `x`, its states from and to the outside.

        Raises
        ------
        ConfigError
            If it remembers something that Keras does not hand out.
        """
        if not isinstance(made, self.keras.layers.RNN):
            if BLOCKS[layer.kind].states(layer, x.shape[-1]):
                raise ConfigError(f"a layer {layer.kind} keeps past rows, which training cannot "
                                  "carry from lesson to lesson; tbptt and carry were asked for. "
                                  f"Set both to 0, or use only the cells {', '.join(CELLS)}")
            return made(x)
        made = remade(made, return_state=True)
        before = [self.keras.Input((size,)) for size in made.state_size]
        y, *after = made(x, initial_state=before)
        self.before += before
        self.after += after
        return y


def remade(made: Any, **options: Any) -> Any:
    """A Keras layer again, before its first use, with other options."""
    return type(made).from_config(made.get_config() | options)


def forgetful(made: Any, layer: Layer, share: float) -> Any:
    """A Keras cell that drops `share` of its state on the way to the gates.

    One mask holds for all frames of a lesson (Gal and Ghahramani 2016, arXiv 1512.05287).

    Raises
    ------
    ConfigError
        If Keras has no such thing for it.
    """
    if "recurrent_dropout" not in made.get_config():
        raise ConfigError(f"recurrent_dropout is {share:g}, and the cell {layer.kind} has none; "
                          "gru, lstm and simple_rnn have. Choose one of them, or use dropout")
    return remade(made, recurrent_dropout=share)


def pieces(batch: Batch, frames: int) -> Iterator[Batch]:
    """A batch cut in time every `frames` frames; whole if that is 0."""
    longest = batch.weights.shape[1]
    for start in range(0, longest, frames or longest):
        cut = slice(start, start + (frames or longest))
        yield replace(batch, features=batch.features[:, cut], targets=batch.targets[:, cut],
                      weights=batch.weights[:, cut],
                      lengths=np.clip(batch.lengths - start, 0, frames or longest))


def updates(lessons: list[Lesson], size: int, frames: int) -> int:
    """About how many updates one epoch has: pieces of batches on which something counts."""
    if not frames:
        return -(-len(lessons) // size)
    ordered = sorted(lessons, key=lambda lesson: len(lesson.weights))
    return sum(len({int(piece) for lesson in ordered[start:start + size]
                    for piece in np.flatnonzero(lesson.weights) // frames})
               for start in range(0, len(ordered), size))


def begun(
    widths: list[int], size: int, left: States, share: float, rng: np.random.Generator
) -> States:
    """States for a batch to begin with.

    Parameters
    ----------
    widths : list of int
        Of each state.
    size : int
        Rows of the batch.
    left : States
        What another batch ended with; none if empty.
    share : float
        Chance of a row to begin with one of those, all its states from the same row.
        Others begin with zeros.
    """
    states = [np.zeros((size, width), np.float32) for width in widths]
    if share and left:
        taken = rng.random(size) < share
        rows = rng.integers(len(left[0]), size=size)
        for state, other in zip(states, left, strict=True):
            state[taken] = other[rows[taken]]
    return states
