"""From what a frontend gives to the integers that a model takes.

A log-mel frontend gives integers already, and a device without floats must get the
same model input from them as this machine does: so those are shifted, never scaled.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ModelError
from edgernn.frontend.logmel import CODE_HIGH, CODE_SCALE, CODE_ZERO
from edgernn.quant import QType, quantize, quantize_features, shift_codes
from edgernn.spec import FrontendSpec, LogMelSpec, PartsSpec, TokenSpec, WakeWordSpec

Encoder = Callable[[NDArray[Any]], NDArray[Any]]


def encoder(frontend: FrontendSpec, q: QType | None) -> Encoder:
    """What turns frontend rows, shape (n, width), into codes of a model input of type `q`.

    `q` is None where the model, one from elsewhere, takes float32: those are the codes.

    Raises
    ------
    ModelError
        If the model listens to log-mel codes at a scale that no shift reaches.
    """
    if q is None:
        return lambda rows: rows.astype(np.float32)
    if isinstance(frontend, TokenSpec):
        return lambda rows: rows.astype(np.int32)
    if isinstance(frontend, PartsSpec):
        return lambda rows: rows.astype(q.dtype, casting="no")
    if isinstance(frontend, WakeWordSpec):
        return lambda rows: quantize(rows, q)  # in float64, as pymicro-wakeword does
    if not isinstance(frontend, LogMelSpec):
        return lambda rows: quantize_features(rows, q)
    shift = round(float(np.log2(q.scale / CODE_SCALE)))
    if shift < 0 or q.scale != CODE_SCALE * 2.0**shift:
        raise ModelError(f"the model's input scale is {q.scale:.9g}; a log-mel frontend needs "
                         f"{CODE_SCALE:.9g} times a power of two. Make the model again: "
                         "edgernn quantize")
    # Of every code the frontend gives: a look-up takes a tenth of the time.
    every = np.arange(CODE_HIGH + 1, dtype=np.int16)
    return shift_codes(every, CODE_ZERO, shift, q.zero_point, q.dtype).take
