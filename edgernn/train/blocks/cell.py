"""What recurrent cells have in common."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from edgernn.train.architecture import Layer
from edgernn.train.blocks.block import Context, State
from edgernn.train.blocks.ops import Ops, Precision, Weights

RECURRENT = {"return_sequences": True, "recurrent_initializer": "orthogonal"}
"""How every Keras recurrent layer is made here."""

Shapes = dict[str, tuple[int, ...]]


class Cell(ABC):
    """A cell whose only state is its output, in [-1, 1]; see `Block`.

    Where the frame enters as ``x @ kernel + bias``, of those names (or without a bias), a
    LayerNorm may come before the cell: its gamma and beta are folded into them.
    """

    kind: ClassVar[str]
    cell = True
    drops = True
    elementwise = False
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"": {}}
    """Its forms: what is added to its name, and the fields of `Layer` that make it so.
    All of them are tested and measured."""
    initial: ClassVar[Mapping[str, float]] = {}
    """About which number a weight lies, if not 0, by its name: where a cell of our own begins
    to train, and what tests draw around."""

    @abstractmethod
    def shapes(self, layer: Layer, inputs: int) -> Shapes:
        """Shape of each weight of the Keras layer, in the order of its `get_weights`.

        Raises
        ------
        QuantizeError
            If `layer` asks for a variant that the cell does not have.
        """

    def arrays(self, layer: Layer) -> tuple[str, ...]:
        """See `Block.arrays`."""
        return tuple(self.shapes(layer, 1))

    def outputs(self, layer: Layer, inputs: int) -> int:
        """See `Block.outputs`."""
        return layer.units

    def states(self, layer: Layer, inputs: int) -> dict[str, State]:
        """See `Block.states`."""
        return {"h": State((layer.units,))}

    def contexts(self, layer: Layer, inputs: int) -> dict[str, Context]:
        """See `Block.contexts`."""
        return {}

    def precision(self, layer: Layer) -> Precision:
        """See `Block.precision`."""
        return "gates"

    def warning(self, layer: Layer) -> str:
        """What whoever trains such a layer should know of it; empty for nothing."""
        return ""

    @abstractmethod
    def split(self, layer: Layer, weights: Weights) -> Weights:
        """See `Block.split`."""

    @abstractmethod
    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""

    @abstractmethod
    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """See `Block.keras`."""


def gated(layer: Layer, inputs: int, gates: int) -> Shapes:
    """Shapes of a cell whose gates lie side by side, as in Keras's own."""
    n = gates * layer.units
    return {"kernel": (inputs, n), "recurrent_kernel": (layer.units, n), "bias": (n,)}


def looped(keras: Any, cell: Any, name: str) -> Any:
    """A Keras layer that drives a cell of our own; RNN sees to masks."""
    return keras.layers.RNN(cell, return_sequences=True, name=name)


@functools.cache
def keras_cell(keras: Any) -> Any:
    """What Keras cells of our own have in common, where the only state is the output."""
    class OwnCell(keras.layers.Layer):
        def __init__(self, units: int, **options: Any) -> None:
            super().__init__(**options)
            self.units = units
            self.state_size: Any = units

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    return OwnCell
