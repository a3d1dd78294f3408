"""What a model computes: tensors, and the ops between them, as `edgernn.tflite` reads them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ModelError
from edgernn.quant import QType


@dataclass(frozen=True)
class Tensor:
    """One tensor."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """numpy name."""
    scales: tuple[float, ...]
    """Empty if it is not quantized, one, or one per index along `axis`."""
    zero_points: tuple[int, ...]
    """As many as scales."""
    axis: int
    """Dimension along which there are several scales."""
    data: NDArray[Any] | None
    """A constant's values, read-only; None if it is computed."""

    @property
    def values(self) -> NDArray[Any]:
        """Values of a constant; `edgernn.operands` has checked where one is needed."""
        assert self.data is not None, f"{self.name} is computed"
        return self.data

    @property
    def qtype(self) -> QType:
        """Its type, where one scale serves the whole tensor.

        Raises
        ------
        ModelError
            If it has none, or several.
        """
        if len(self.scales) != 1:
            raise ModelError(f"tensor {self.name!r} has {len(self.scales)} scales; one was needed. "
                             "Make the model again: edgernn quantize")
        return QType(self.dtype, self.scales[0], self.zero_points[0])


@dataclass(frozen=True)
class Op:
    """One operation."""

    name: str
    """As in the schema: FULLY_CONNECTED."""
    version: int
    inputs: tuple[int, ...]
    """Indices of tensors; -1 for an optional one that is absent."""
    outputs: tuple[int, ...]
    options: Mapping[str, Any]
    """`activation` (a name), `beta`, `axis`, where the op has them."""


@dataclass(frozen=True)
class Graph:
    """The main subgraph of a model."""

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    """In the order in which they run."""
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    begins: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """First values of states that begin at something else than 0.0, by the input's name: only
    models from elsewhere have such."""

    def begin(self, tensor: Tensor) -> NDArray[Any]:
        """What an input or output holds before the first step: its first value, or 0.0."""
        if tensor.name in self.begins:
            return self.begins[tensor.name].copy()
        zero = tensor.zero_points[0] if tensor.zero_points else 0
        return np.full(tensor.shape, zero, tensor.dtype)

    @cached_property
    def _by_name(self) -> dict[str, Tensor]:
        return {tensor.name: tensor for tensor in self.tensors}

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name.

        Raises
        ------
        ModelError
            If there is none.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise ModelError(f"the model has no tensor {name!r}; it has "
                             f"{', '.join(self._by_name)[:200]}") from None
