"""The integer step in the emulator, many streams at a time: what a device will compute."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import tflite
from edgernn.emulator import Emulator
from edgernn.encode import encoder
from edgernn.quant import dequantize
from edgernn.spec import FrontendSpec, StatePair
from edgernn.train.calibrate import Ranges
from edgernn.train.emit import emit
from edgernn.train.network import Network
from edgernn.train.profile import Profile
from edgernn.train.stepper import States


class EmulatedModel:
    """A quantized step as a `Stepper`; exact with TensorFlow Lite Micro.

    Parameters
    ----------
    flatbuffer : bytes
        From `edgernn.train.emit.emit`.
    pairs : tuple of StatePair
    frontend : FrontendSpec
        Whose rows `encode` takes.
    """

    def __init__(self, flatbuffer: bytes, pairs: tuple[StatePair, ...],
                 frontend: FrontendSpec) -> None:
        self.graph = tflite.read(flatbuffer)
        self.encode = encoder(frontend, self.graph.tensor("x").qtype)
        self._emulator = Emulator(self.graph)
        self._pairs = pairs
        self._scores = self.graph.tensor("scores").qtype

    @classmethod
    def of(cls, network: Network, ranges: Ranges, profile: Profile) -> "EmulatedModel":
        """A network quantized to a profile, by the ranges that its tensors have."""
        return cls(*emit(network, ranges, profile), network.architecture.frontend)

    def initial(self, streams: int) -> States:
        """Every state's zero: see `Stepper.initial`."""
        states = {}
        for pair in self._pairs:
            tensor = self.graph.tensor(pair.input)
            states[pair.input] = np.full((streams, *tensor.shape[1:]),
                                         tensor.qtype.zero_point, tensor.dtype)
        return states

    def codes(self, x: NDArray[Any], states: States) -> tuple[NDArray[Any], States]:
        """`step`, with the output as the model gives it; `states` may hold contexts too."""
        codes = self._emulator.run({"x": x, **states})
        return codes["scores"], {pair.input: codes[pair.output] for pair in self._pairs}

    def step(self, x: NDArray[Any], states: States) -> tuple[NDArray[np.float32], States]:
        """See `Stepper.step`; x holds codes from `encode`."""
        return self._finish(self._emulator.run({"x": x, **states}))

    def trace(self, x: NDArray[Any], states: States) -> tuple[dict[str, Any], States]:
        """One step with every computed tensor in real numbers, by name."""
        codes = self._emulator.run({"x": x, **states}, trace=True)
        real = {t.name: dequantize(codes[t.name], t.qtype)
                for t in self.graph.tensors if t.name in codes and t.data is None}
        return real, self._finish(codes)[1]

    def _finish(self, codes: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.float32], States]:
        states = {pair.input: codes[pair.output] for pair in self._pairs}
        return dequantize(codes["scores"], self._scores), states
