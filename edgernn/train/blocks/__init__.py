"""Every kind of layer a network can have, each described once, in a file of its own.

A block says its equations in terms of `Ops` (see `edgernn.train.blocks.ops`), and what it is
in Keras.  Training builds the Keras layer; calibration and evaluation run the equations on
numpy floats, `edgernn.train.emit` runs the same lines to write the integer graph.  Nothing
else knows a block: a file in this package with a `BLOCK` in it is a new one.
"""

import importlib
import pkgutil

from edgernn.train.blocks.block import Block, Context, State
from edgernn.train.blocks.cell import Cell
from edgernn.train.blocks.ops import Ops

_MODULES = (importlib.import_module(f"{__name__}.{found.name}")
            for found in pkgutil.iter_modules(__path__))
BLOCKS: dict[str, Block] = {module.BLOCK.kind: module.BLOCK for module in _MODULES
                            if hasattr(module, "BLOCK")}
"""Every block, by the name it has in architecture.json."""

CELLS: dict[str, Cell] = {kind: block for kind, block in BLOCKS.items()
                         if isinstance(block, Cell)}
"""The recurrent ones."""

__all__ = ["BLOCKS", "CELLS", "Block", "Cell", "Context", "Ops", "State"]
