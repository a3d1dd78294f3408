"""What a block is: one kind of layer, in Keras and in a step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from edgernn.train.architecture import Layer
from edgernn.train.blocks.ops import Ops, Precision, Weights


@dataclass(frozen=True)
class State:
    """What a block keeps from frame to frame."""

    shape: tuple[int, ...]
    """Without the batch: (units,), or (rows, units) for a ring of past rows."""
    kind: Literal["unit", "wide", "ring"] = "unit"
    """`unit`: in [-1, 1], as the profile has hidden states.  `wide`: int16, its scale a power
    of two from the calibrated range.  `ring`: in the profile's matmul type."""
    of_input: bool = False
    """Whether its rows are the layer's inputs: those of a first layer have the model's type."""


@dataclass(frozen=True)
class Context:
    """An input of a block that another part of the model made, set before the first step."""

    shape: tuple[int, ...]
    """Without the batch."""
    kind: Literal["unit", "export", "mask"] = "unit"
    """`unit`: in [-1, 1], as `Ops.export` gives it.  `export`: as `Ops.dense` exports it.
    `mask`: 0, or so low that a softmax gives nothing."""


class Block(Protocol):
    """One kind of layer.  A network's layers share one block of each kind: it holds nothing."""

    kind: str
    """Its name in architecture.json and in the names of its tensors."""
    cell: bool
    """Whether it is recurrent, and so a choice of `edgernn train --cell`."""

    drops: bool
    """Whether training drops a share of its outputs."""
    elementwise: bool
    """Whether its input is used for more than a matmul."""

    def arrays(self, layer: Layer) -> tuple[str, ...]:
        """Names of the Keras layer's weights, in the order of its `get_weights`.

        Raises
        ------
        QuantizeError
            If `layer` asks for a variant that the block does not have.
        """

    def outputs(self, layer: Layer, inputs: int) -> int:
        """Width of its output, given that of its input."""

    def states(self, layer: Layer, inputs: int) -> dict[str, State]:
        """Its states by name; their tensors are the layer's stem and that name."""

    def contexts(self, layer: Layer, inputs: int) -> dict[str, Context]:
        """What it is given once before the first step, by name; `step` has it among states."""

    def precision(self, layer: Layer) -> Precision:
        """Of its elementwise values."""

    def split(self, layer: Layer, weights: Weights) -> Weights:
        """Keras's arrays as the matrices that `step` uses."""

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """Output and new states from a frame `x` and the states before it, by name.

        The operation that makes state `s` is named ``s_out``.
        """

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """The Keras layer: from (batch, frames, inputs) to (batch, frames, outputs)."""
