"""The end of a part whose output is another part's input: its values in [-1, 1], unchanged."""

from collections.abc import Mapping
from typing import Any

from edgernn.train.architecture import Layer
from edgernn.train.blocks.ops import Ops, Weights
from edgernn.train.blocks.plain import Plain


class Memory(Plain):
    """``x``, in the type in which every part takes such values."""

    kind = "memory"

    def arrays(self, layer: Layer) -> tuple[str, ...]:
        """See `Block.arrays`."""
        return ()

    def outputs(self, layer: Layer, inputs: int) -> int:
        """See `Block.outputs`."""
        return inputs

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""
        return ops.export("scores", x), {}

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """See `Block.keras`."""
        return keras.layers.Identity(name=name)


BLOCK = Memory()
