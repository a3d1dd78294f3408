"""What a cell is, and the operations it may be written in."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgernn.train.architecture import Layer

Array = NDArray[np.float32]
Weights = Mapping[str, Array]
V = TypeVar("V")

Precision = Literal["matmul", "gates", "wide"]
"""Of a layer's elementwise values: as matmuls have it, as gates have it, or int16 always."""


class Ops(Protocol[V]):
    """Arithmetic on values of type V: numpy arrays, or tensors of a graph being written.

    Every result is named, since its calibrated range, its tensor and its error
    are looked up by that name.  Values have shape (batch, units).
    """

    def enter(self, prefix: str, precision: Precision) -> None:
        """Begin a layer: prefix the names that follow, and say how exact it must be."""

    def dense(
        self, name: str, x: V, kernel: Array, bias: Array | None = None, relu: bool = False
    ) -> V:
        """``x @ kernel + bias``, negatives to 0 if `relu`; kernel has shape (inputs, outputs)."""

    def add(self, name: str, a: V, b: V, limit: float = np.inf) -> V:
        """``a + b``, of which nobody can tell values beyond ±`limit` apart.

        A sigmoid is within 1/2980 of flat beyond 8, a tanh beyond 4; telling so
        keeps the integer's steps for values that matter.
        """

    def sub(self, name: str, a: V, b: V) -> V:
        """``a - b``; either may be one value wide."""

    def mul(self, name: str, a: V, b: V) -> V:
        """``a * b``, element by element."""

    def sigmoid(self, name: str, x: V) -> V:
        """``1 / (1 + exp(-x))``."""

    def tanh(self, name: str, x: V) -> V:
        """Hyperbolic tangent."""

    def mean(self, name: str, x: V, offset: float = 0.0) -> V:
        """Mean over units, plus `offset`; shape (batch, 1)."""

    def rsqrt(self, name: str, x: V) -> V:
        """``1 / sqrt(x)`` of values above 0."""

    def softmax(self, name: str, x: V) -> V:
        """``exp(x) / sum(exp(x))`` over units."""

    def blend(self, name: str, z: V, a: V, b: V) -> V:
        """``z * a + (1 - z) * b``, where z is in [0, 1] and a, b are in [-1, 1]."""


SIGMOID_LIMIT = 8.0
TANH_LIMIT = 4.0


class Cell(Protocol):
    """One kind of recurrent cell."""

    kind: str
    """Its name in architecture.json."""
    states: tuple[str, ...]
    """Names of its states.  The first is also its output, and lies in [-1, 1]."""
    precision: Precision
    """`gates`, or `wide` if its gates must be int16 even in profile `int8`."""

    def gates(self, layer: Layer, weights: Weights) -> Weights:
        """Split Keras's arrays into one matrix per gate, named for `step`.

        Raises
        ------
        QuantizeError
            If `layer` asks for a variant the cell does not have.
        """

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights) -> dict[str, Any]:
        """New states from a frame `x` and the states before it, by name.

        The operation that makes state `s` is named ``s_out``.
        """
