"""What most recurrent cells have in common."""

from edgernn.train.architecture import Layer
from edgernn.train.blocks.block import Context, State
from edgernn.train.blocks.ops import Precision

RECURRENT = {"return_sequences": True, "recurrent_initializer": "orthogonal"}
"""How every Keras recurrent layer is made here."""


class Cell:
    """A cell whose only state is its output, in [-1, 1]; see `Block`."""

    cell = True
    elementwise = False

    def arrays(self, layer: Layer) -> tuple[str, ...]:
        """See `Block.arrays`."""
        return ("kernel", "recurrent_kernel", "bias")

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
