"""What Keras layers that look at neighbouring frames do with masks: a masked frame never was.

Keras's RNN holds its state on a masked frame; its convolutions and attention know no masks.
So real frames are brought together first, and results taken back to where frames were: then
a masked frame is what `StepModel.hold` does with it, wherever it is.
"""

from collections.abc import Callable
from typing import Any


def as_if_never(keras: Any, function: Callable[[Any], Any], x: Any, mask: Any) -> Any:
    """``function(x)`` of the frames that `mask` has, as if no others lay between them.

    Parameters
    ----------
    keras : module
    function : callable
        From (batch, frames, inputs) to (batch, frames, units), and causal.
    x : tensor, shape (batch, frames, inputs)
    mask : bool tensor, shape (batch, frames), or None
        None: every frame is real.  What comes out on masked frames says nothing.
    """
    if mask is None:
        return function(x)
    ops = keras.ops
    place = ops.arange(ops.shape(x)[1])[None]
    order = ops.argsort(ops.where(mask, place, place + ops.shape(x)[1]), axis=1)
    # Padding is a huge number, which must not reach a sum even where it is multiplied by 0.
    real = ops.where(mask[..., None], x, 0.0)
    found = function(ops.take_along_axis(real, order[..., None], axis=1))
    return ops.take_along_axis(found, ops.argsort(order, axis=1)[..., None], axis=1)
