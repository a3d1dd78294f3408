"""What blocks without a memory have in common."""

from edgernn.train.architecture import Layer
from edgernn.train.blocks.block import Context, State
from edgernn.train.blocks.ops import Precision, Weights


class Plain:
    """A layer that sees one frame alone; see `Block`."""

    cell = False
    drops = False
    elementwise = False

    def outputs(self, layer: Layer, inputs: int) -> int:
        """See `Block.outputs`."""
        return layer.units

    def states(self, layer: Layer, inputs: int) -> dict[str, State]:
        """See `Block.states`."""
        return {}

    def contexts(self, layer: Layer, inputs: int) -> dict[str, Context]:
        """See `Block.contexts`."""
        return {}

    def precision(self, layer: Layer) -> Precision:
        """See `Block.precision`."""
        return "matmul"

    def split(self, layer: Layer, weights: Weights) -> Weights:
        """See `Block.split`."""
        return weights
