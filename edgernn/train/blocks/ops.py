"""The operations that blocks are written in."""

from collections.abc import Mapping
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

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
        self, name: str, x: V, kernel: Array, bias: Array | None = None, relu: bool = False,
        exact: bool = False, export: bool = False,
    ) -> V:
        """``x @ kernel + bias``, negatives to 0 if `relu`; kernel has shape (inputs, outputs).

        If `exact`, from int16 to int16 in every profile.  If `export`, it is an input of
        another part of the model.
        """

    def gather(self, name: str, ids: V, table: Array) -> V:
        """Rows of `table` (rows, units) side by side: (batch, n) ids to (batch, n * units)."""

    def push(self, name: str, ring: V, row: V, axis: int = 1) -> tuple[V, V]:
        """All rows of a `ring`, oldest first, and `row` below them; then the ring of the next step.

        ring has shape (batch, rows, ...), or its rows along another `axis`; row has as many
        values as one of them, shape (batch, units).  The ring's next state is ``<name>_out``.
        """

    def depthwise(self, name: str, window: V, kernel: Array, bias: Array, relu: bool = False
                  ) -> V:
        """Sum over rows of ``window * kernel``, plus bias: (batch, rows, 1, units) to
        (batch, units); kernel has shape (rows, units)."""

    def matmul(self, name: str, a: V, b: V, transpose_b: bool = False) -> V:
        """``a @ b`` of two computed matrices, (batch, m, k) by (batch, k, n).

        If `transpose_b`, b has shape (batch, n, k).  Both may have a dimension of heads after
        the batch.
        """

    def reshape(self, name: str, x: V, shape: tuple[int, ...]) -> V:
        """The same numbers in another shape, given without the batch."""

    def mask(self, name: str, scores: V, bias: V) -> V:
        """``scores + bias``, the bias being 0, or so low that a softmax gives nothing."""

    def export(self, name: str, x: V) -> V:
        """``x``, in [-1, 1], as another part of the model takes it: for a matmul."""

    def add(self, name: str, a: V, b: V, limit: float = np.inf, relu: bool = False) -> V:
        """``a + b``, of which nobody can tell values beyond ±`limit` apart.

        A sigmoid is within 1/2980 of flat beyond 8, a tanh beyond 4; telling so
        keeps the integer's steps for values that matter.  Negatives to 0 if `relu`.
        """

    def plus(self, name: str, x: V, constant: Array, limit: float = np.inf) -> V:
        """``x + constant``, of shape (units,) or (1,); the limit is that of `add`."""

    def sub(self, name: str, a: V, b: V) -> V:
        """``a - b``; either may be one value wide."""

    def mul(self, name: str, a: V, b: V) -> V:
        """``a * b``, element by element."""

    def times(self, name: str, x: V, constant: Array) -> V:
        """``x * constant``, of shape (units,) or (1,)."""

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
