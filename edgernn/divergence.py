"""How far a runtime is from the emulator, step by step and left to itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.emulator import Emulator
from edgernn.graph import Graph
from edgernn.interpreter import Runtime
from edgernn.spec import StatePair


@dataclass(frozen=True)
class Divergence:
    """Differences of one runtime over so many steps without reset."""

    codes: int
    """Scores and states compared."""
    differing: int
    """Of them not equal, each step begun from the emulator's state."""
    largest: int
    """Largest difference of those, in steps of the integer."""
    drift: float
    """Largest difference of a score, 0 to 1, when each carries its own state."""


def compare(graph: Graph, pairs: tuple[StatePair, ...], runtime: Runtime,
            x: NDArray[Any]) -> Divergence:
    """Drive emulator and runtime over the same frames.

    Parameters
    ----------
    graph : Graph
    pairs : tuple of StatePair
    runtime : Runtime
        Loaded with the same model.
    x : integer array, shape (steps, width)
        Codes of the model's input.
    """
    emulator = Emulator(graph)
    outputs = [graph.tensors[i].name for i in graph.outputs]
    inputs = [graph.tensors[i].name for i in graph.inputs]
    state = {p.input: np.full(graph.tensor(p.input).shape, graph.tensor(p.input).qtype.zero_point,
                              graph.tensor(p.input).dtype) for p in pairs}
    own = dict(state)
    scale = graph.tensor(outputs[0]).qtype.scale
    codes = differing = largest = 0
    drift = 0.0
    for row in x:
        exact = emulator.run({"x": row[None], **state})
        found = dict(zip(outputs, runtime.invoke([{"x": row[None], **state}[n] for n in inputs]),
                         strict=True))
        for name in outputs:
            gap = np.abs(found[name].astype(np.int64) - exact[name])
            codes, differing = codes + gap.size, differing + int(np.count_nonzero(gap))
            largest = max(largest, int(gap.max()))
        alone = dict(zip(outputs, runtime.invoke([{"x": row[None], **own}[n] for n in inputs]),
                         strict=True))
        apart = np.abs(alone[outputs[0]].astype(np.int64) - exact[outputs[0]])
        drift = max(drift, float(apart.max()) * scale)
        state = {p.input: exact[p.output] for p in pairs}
        own = {p.input: alone[p.output] for p in pairs}
    return Divergence(codes, differing, largest, drift)
