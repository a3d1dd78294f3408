"""The audio frontend of TensorFlow Lite Micro, which ESPHome's micro_wake_word listens with.

Its noise reduction and gain control make it another ear than `edgernn.frontend.logmel`; a
model for ESPHome must be trained with it.  The package pymicro-features is that very C code.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ConfigError, SourceError
from edgernn.frontend.logmel import CODE_SCALE, CODE_ZERO, check_samples
from edgernn.spec import ROW_MS, MicrofrontendSpec, WakeWordSpec

STEP = 160
"""Samples from row to row: 10 ms."""
WINDOW = 480
"""Samples of a row."""
UNIT = 0.0390625
"""What the package multiplies the frontend's whole numbers by."""
INT8_STEP = 32
"""Codes to one step of the component's int8."""


class Microfrontend:
    """Turn samples into rows of codes, as `edgernn.frontend.logmel.LogMel` does.

    The code of a feature is ``CODE_ZERO + 32 q``, q being the int8 that the component gives its
    models: ``(256 f + 333) // 666 - 128`` of the frontend's whole number f
    (esphome/components/micro_wake_word).  So an int8 model takes q as it is.

    Rows depend on all samples since the last `reset`: the frontend adapts to noise.

    Parameters
    ----------
    spec : MicrofrontendSpec

    Raises
    ------
    SourceError
        If pymicro-features is not installed.
    """

    code_zero = CODE_ZERO
    code_scale = CODE_SCALE

    def __init__(self, spec: MicrofrontendSpec) -> None:
        try:
            from pymicro_features import MicroFrontend
        except ImportError as problem:
            raise SourceError("this model hears with TensorFlow Lite Micro's frontend, which needs "
                              'a package: pip install "edgernn[esphome]"') from problem
        self.spec = spec
        self.width, self.window, self.hop = spec.mels, WINDOW, STEP
        self._frontend = MicroFrontend()
        self.reset()

    def reset(self) -> None:
        """Forget all samples, as if newly made."""
        self._frontend.reset()
        self._pending = np.empty(0, np.int16)
        self._heard = 0

    def push(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Hear more samples; give the rows that they complete, shape (rows, mels).

        Raises
        ------
        SourceError
            If `samples` is not int16 or not one-dimensional.
        """
        return _codes(self._rows(samples), self.width)

    def flush(self) -> NDArray[np.int16]:
        """End the stream: give the row of a clip shorter than a window, if it is one; reset."""
        heard = self._heard + len(self._pending)
        short = STEP <= heard < WINDOW
        rows = self.push(np.zeros(WINDOW - heard, np.int16)) if short else _codes([], self.width)
        self.reset()
        return rows

    def whole(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """All rows of one recording: push + flush on a new one, this one untouched."""
        fresh = type(self)(self.spec)
        return np.concatenate([fresh.push(samples), fresh.flush()])

    def features(self, codes: NDArray[Any]) -> NDArray[np.float32]:
        """Real features in [-4, 4) that codes stand for; any shape."""
        reals: NDArray[np.float32] = (codes.astype(np.float32) - CODE_ZERO) * CODE_SCALE
        return reals

    def _rows(self, samples: NDArray[np.int16]) -> list[list[float]]:
        """The package's rows that the samples complete."""
        check_samples(samples)
        heard = np.concatenate([self._pending, samples])
        steps = len(heard) // STEP
        rows = [row for step in range(steps)
                if (row := self._step(heard[step * STEP:(step + 1) * STEP]))]
        self._pending = heard[steps * STEP:].copy()
        self._heard += steps * STEP
        return rows

    def _step(self, samples: NDArray[np.int16]) -> list[float]:
        found: list[float] = self._frontend.process_samples(samples.tobytes()).features
        return found


class WakeWordRows(Microfrontend):
    """Rows as microWakeWord's models take them: real features, several rows a step.

    What `push` gives is float32 of shape (steps, stride * mels): the package's own numbers.  Rows
    that fill no step wait for those that come next; at the end of a stream they are dropped,
    as pymicro-wakeword drops them.

    Parameters
    ----------
    spec : WakeWordSpec

    Raises
    ------
    SourceError
        If pymicro-features is not installed.
    ConfigError
        If the hop is not a whole number of rows.
    """

    def __init__(self, spec: WakeWordSpec) -> None:
        if spec.hop_ms < ROW_MS or spec.hop_ms % ROW_MS:
            raise ConfigError(f"the frontend's hop_ms is {spec.hop_ms}; a multiple of {ROW_MS} was "
                              "needed: rows come so often. Give the model's own")
        self._waiting: list[list[float]] = []
        super().__init__(spec)
        self.stride = spec.stride
        self.width, self.hop = spec.width, STEP * spec.stride
        self.window = WINDOW + self.hop - STEP

    def reset(self) -> None:
        """Forget all samples, and rows that waited."""
        super().reset()
        self._waiting = []

    def push(self, samples: NDArray[np.int16]) -> NDArray[Any]:
        """Hear more samples; give the steps that they complete, shape (steps, width)."""
        rows = self._waiting + self._rows(samples)
        steps = len(rows) // self.stride
        self._waiting = rows[steps * self.stride:]
        return np.array(rows[:steps * self.stride], np.float32).reshape(steps, self.width)

    def flush(self) -> NDArray[Any]:
        """End the stream; what fills no step is dropped.  Shape (0, width)."""
        self.reset()
        return np.empty((0, self.width), np.float32)

    def features(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """The rows are features."""
        return rows


def _codes(rows: list[list[float]], width: int) -> NDArray[np.int16]:
    whole = np.rint(np.array(rows, np.float64).reshape(-1, width) / UNIT).astype(np.int64)
    int8 = np.clip((256 * whole + 333) // 666 - 128, -128, 127)
    return (CODE_ZERO + INT8_STEP * int8).astype(np.int16)
