"""Gated recurrent unit (Cho et al. 2014, arXiv 1406.1078; both of Keras's variants).

    z  = sigmoid(x Kz + h Rz + bz)                how much of the old state stays
    r  = sigmoid(x Kr + h Rr + br)
    h~ = tanh(x Kh + r * (h Rh + bhr) + bh)       reset_after=True (cuDNN, Keras 3 default)
    h~ = tanh(x Kh + (r * h) Rh + bh)             reset_after=False (the paper's v1)
    h' = z * h + (1 - z) * h~
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from edgernn.train.architecture import Layer
from edgernn.train.blocks.cell import RECURRENT, Cell, Shapes, gated
from edgernn.train.blocks.ops import SIGMOID_LIMIT, TANH_LIMIT, Ops, Weights


class Gru(Cell):
    """The GRU cell; see the module's equations."""

    kind = "gru"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "": {}, "reset_before": {"reset_after": False}}

    def shapes(self, layer: Layer, inputs: int) -> Shapes:
        """See `Cell.shapes`; gates are z, r, h."""
        shapes = gated(layer, inputs, 3)
        return shapes | {"bias": (2, 3 * layer.units)} if layer.reset_after else shapes

    def split(self, layer: Layer, weights: Weights) -> Weights:
        """Keras keeps gates side by side in the order z, r, h."""
        kz, kr, kh = np.split(weights["kernel"], 3, axis=1)
        rz, rr, rh = np.split(weights["recurrent_kernel"], 3, axis=1)
        # With reset_after the bias has two rows: for x K and for h R.  z and r only
        # ever see their sum, so one is enough.
        bias = np.atleast_2d(weights["bias"])
        bz, br, _ = np.split(bias.sum(axis=0), 3)
        w = {"kz": kz, "kr": kr, "kh": kh, "rz": rz, "rr": rr, "rh": rh, "bz": bz, "br": br,
             "bh": np.split(bias[0], 3)[2]}
        return w | {"bhr": np.split(bias[1], 3)[2]} if layer.reset_after else w

    def step(self, ops: Ops[Any], x: Any, states: Mapping[str, Any], w: Weights, layer: Layer
             ) -> tuple[Any, dict[str, Any]]:
        """See `Block.step`."""
        h = states["h"]
        z = ops.sigmoid("z", ops.add("z_pre", ops.dense("z_x", x, w["kz"], w["bz"]),
                                     ops.dense("z_h", h, w["rz"]), SIGMOID_LIMIT))
        r = ops.sigmoid("r", ops.add("r_pre", ops.dense("r_x", x, w["kr"], w["br"]),
                                     ops.dense("r_h", h, w["rr"]), SIGMOID_LIMIT))
        if "bhr" in w:
            past = ops.mul("r_past", r, ops.dense("past", h, w["rh"], w["bhr"]))
        else:
            past = ops.dense("past", ops.mul("r_h_kept", r, h), w["rh"])
        pre = ops.add("new_pre", ops.dense("new_x", x, w["kh"], w["bh"]), past, TANH_LIMIT)
        h = ops.blend("h_out", z, h, ops.tanh("new", pre))
        return h, {"h": h}

    def keras(self, keras: Any, layer: Layer, name: str) -> Any:
        """See `Block.keras`."""
        return keras.layers.GRU(layer.units, reset_after=layer.reset_after, name=name, **RECURRENT)


BLOCK = Gru()
