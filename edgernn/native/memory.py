"""What streams remember, as arrays."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.graph import Graph
from edgernn.spec import ModelSpec

Codes = NDArray[Any]


@dataclass(frozen=True)
class Memory:
    """Frames, states and scores of a number of streams: row i of every array is stream i's.

    The kernels write into these very arrays.
    """

    inputs: list[Codes]
    """Frame, states and contexts, in the order of the graph; shape (streams, ...)."""
    outputs: list[Codes]
    """In the order of the graph; a state's next value is the state itself."""
    scores: NDArray[np.float32]
    """As reals, shape (streams, labels)."""

    @classmethod
    def empty(cls, graph: Graph, spec: ModelSpec, streams: int) -> "Memory":
        """Room for so many streams, each as before its first step."""
        inputs = {}
        for tensor in (graph.tensors[i] for i in graph.inputs):
            inputs[tensor.name] = np.concatenate([graph.begin(tensor)] * streams)
        output = graph.tensor(spec.output)
        made = {pair.output: inputs[pair.input] for pair in spec.states}
        made[spec.output] = np.zeros((streams, *output.shape[1:]), output.dtype)
        for tensor in (graph.tensors[i] for i in graph.outputs):
            made.setdefault(tensor.name, graph.begin(tensor))  # that nobody asked for
        return cls(list(inputs.values()), [made[graph.tensors[i].name] for i in graph.outputs],
                   np.zeros((streams, prod(output.shape[1:])), np.float32))

    def stream(self, number: int) -> "Memory":
        """That of one stream: the same memory, not a copy."""
        row = slice(number, number + 1)
        return Memory([array[row] for array in self.inputs],
                      [array[row] for array in self.outputs], self.scores[row])
