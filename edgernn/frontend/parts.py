"""No frontend: what comes in is what other parts of the model gave."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.spec import PartsSpec


class Parts:
    """Passes rows of codes on as they are."""

    hop = 1
    window = 1

    def __init__(self, spec: PartsSpec) -> None:
        self.spec = spec
        self.width = spec.width

    def reset(self) -> None:
        """Nothing is remembered."""

    def push(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The same rows."""
        return rows

    def flush(self) -> NDArray[Any]:
        """Nothing was kept back.  Shape (0, width)."""
        return np.empty((0, self.width), np.float32)

    def whole(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The same rows."""
        return rows

    def features(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The same rows."""
        return rows
