"""Recurrent cells, each described once, in a file of its own.

A cell says its equations in terms of `Ops` (see `edgernn.train.cells.cell`).
Calibration and evaluation run the description on numpy floats, `edgernn.train.emit`
runs the same lines to write the integer graph; nothing else knows a cell's equations.
"""

from edgernn.train.cells.cell import Cell, Ops
from edgernn.train.cells.gru import Gru
from edgernn.train.cells.lstm import Lstm
from edgernn.train.cells.simple_rnn import SimpleRnn

CELLS: dict[str, Cell] = {cell.kind: cell for cell in (Gru(), Lstm(), SimpleRnn())}
"""Every cell, by the name it has in architecture.json."""

__all__ = ["CELLS", "Cell", "Ops"]
