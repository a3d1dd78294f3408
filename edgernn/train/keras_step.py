"""A step being put together, layer by layer, from what Keras layers do."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.train.architecture import Layer
from edgernn.train.blocks.dense import ACTIVATIONS
from edgernn.train.blocks.layer_norm import fold
from edgernn.train.blocks.ops import Array
from edgernn.train.keras_graph import refuse


@dataclass
class Step:
    """The layers so far, and what the next one takes up."""

    features: int
    """Width of the input."""
    tokens: bool
    """Whether the input is whole numbers."""
    before: Any
    """The Keras layer whose output this goes on from; at first what it all begins with."""
    branch: bool = False
    """Whether this begins within the model rather than at its input."""
    layers: list[Layer] = field(default_factory=list)
    arrays: list[dict[str, Array]] = field(default_factory=list)
    names: list[Any] = field(default_factory=list)
    """The Keras layer that each of `layers` is from."""
    mask: float | None = None
    """Value all over a masked frame; None if no frame is ever masked."""

    def __post_init__(self) -> None:
        self.width = self.features
        self.first = np.ones(self.width), np.zeros(self.width)
        """Scale and shift of the input, which the frontend takes over."""
        self.rank = 3
        """Of what Keras has at this point: 2 once only the last frame is left."""
        self.pending: tuple[NDArray[Any], NDArray[Any]] | None = None
        """Scale and shift of the output so far, for the next layer to take up."""

    def add(self, layer: Any, new: Layer, arrays: Mapping[str, Any]) -> None:
        """Go on with a layer that has weights, taking up a scaling before it."""
        own = {name: np.asarray(value, np.float32) for name, value in arrays.items()}
        if self.pending and "kernel" not in own:
            self.settle()
        if self.pending:
            scale, shift = self.pending
            own = fold({"gamma": scale.astype(np.float32), "beta": shift.astype(np.float32)}, own)
            self.pending = None
        self.layers.append(new)
        self.arrays.append(own)
        self.names.append(layer)
        self.width = new.units

    def scale(self, scale: NDArray[Any], shift: NDArray[Any]) -> None:
        """Go on with ``y * scale + shift``, both of shape (width,)."""
        last = self.layers[-1] if self.layers else None
        if last is None and not self.branch and not self.pending and (scale > 0).all():
            self.first = self.first[0] * scale, self.first[1] * scale + shift
        elif self.pending:
            self.pending = self.pending[0] * scale, self.pending[1] * scale + shift
        elif last is not None and last.activation == "linear" and not last.residual:
            own = self.arrays[-1]
            self.arrays[-1] = {"kernel": (own["kernel"] * scale).astype(np.float32),
                               "bias": (own["bias"] * scale + shift).astype(np.float32)}
        else:
            self.pending = scale, shift

    def activate(self, layer: Any, name: str) -> None:
        """Go on with an activation: the Dense's before it, or one of its own."""
        if name == "linear":
            return
        last = self.layers[-1] if self.layers else None
        if last is None or self.pending or last.activation != "linear" or last.residual:
            self.identity(layer)
        self.layers[-1] = replace(self.layers[-1], activation=name)
        self.names[-1] = layer

    def settle(self) -> None:
        """End a scaling or a LayerNorm, whose gamma and beta the next matrix takes up, with a
        matrix of their own, where what comes next has none."""
        if self.pending or (self.layers and self.layers[-1].kind == "layer_norm"):
            self.identity(self.before)

    def identity(self, layer: Any) -> None:
        """A Dense that changes nothing."""
        self.add(layer, Layer("dense", self.width, "linear"),
                 {"kernel": np.eye(self.width), "bias": np.zeros(self.width)})

    def finish(self) -> None:
        """Make the last layer what gives the scores.

        Raises
        ------
        QuantizeError
            If it gives none, or a score is given in the middle.
        """
        for layer, own in zip(self.names[:-1], self.layers[:-1], strict=True):
            if own.kind == "dense" and own.activation not in ACTIVATIONS:
                raise refuse(layer, f"has the activation {own.activation} in the middle of the "
                             f"model", f"{', '.join(ACTIVATIONS)} can be there. Train with one of "
                             "those")
        last = self.layers[-1] if self.layers else None
        ends = "a model ends in a Dense with softmax or sigmoid, or with one linear unit"
        if last is None or self.pending or last.kind != "dense" or last.residual:
            raise refuse(self.before, "is the last layer", f"{ends}. Add one, and train it")
        if last.activation == "linear" and last.units == 1:
            self.layers[-1] = replace(last, activation="number")
        elif last.activation == "linear":
            raise refuse(self.names[-1], f"ends the model with {last.units} linear units", f"{ends}"
                         ". If they are logits: Sequential([model, keras.layers.Softmax()])")
        elif last.activation not in ("softmax", "sigmoid"):
            raise refuse(self.names[-1], f"ends the model with {last.activation}", f"{ends}. "
                         "Train with one of those")
