"""Frames, and what the emulator makes of them: the proof that an export carries with it."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.emulator import Emulator
from edgernn.errors import ModelError
from edgernn.graph import Graph, Tensor
from edgernn.plan import Plan
from edgernn.plan.layout import LAYOUTS
from edgernn.spec import ModelSpec, TokenSpec

STEPS = 8
"""More than three: what goes wrong in a state needs a step or two to be seen."""
MOST_TRIES = 100
"""Frames that are drawn for one of them."""


@dataclass(frozen=True)
class Golden:
    """Steps from reset."""

    features: NDArray[Any]
    """Shape (steps, width)."""
    scores: NDArray[Any]
    """Codes, shape (steps, labels)."""
    states: dict[str, NDArray[Any]]
    """What each state is after the last step, flat, by the name of its input."""


def golden(graph: Graph, spec: ModelSpec, steps: int = STEPS) -> Golden:
    """Steps of the emulator on random frames, the same for every export of a model.

    The frames wander over all codes: the proof is of the arithmetic, not of the accuracy.
    TensorFlow Lite Micro changed some multipliers in October 2026 (`Emulator`); they are such
    that the answers are those of both, so that firmware with an older one can be proven too.

    Raises
    ------
    ModelError
        If there are no such frames.
    """
    emulators = [Emulator(graph), Emulator(graph, old_scales=True)]
    rng = np.random.default_rng(0)
    state = {pair.input: _zeros(graph.tensor(pair.input)) for pair in spec.states}
    features, scores = [], []
    for step in range(steps):
        frame, made = _agreed(emulators, spec, state, (_frame(rng, graph, spec, step)
                                                       for _ in range(MOST_TRIES)))
        features.append(frame)
        scores.append(made[spec.output][0])
        state = {pair.input: made[pair.output] for pair in spec.states}
    return Golden(np.array(features), np.array(scores),
                  {name: value.reshape(-1) for name, value in state.items()})


def _agreed(emulators: list[Emulator], spec: ModelSpec, state: dict[str, NDArray[Any]],
            frames: Iterator[NDArray[Any]]) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """The first frame of which all emulators make the same, and what they make of it."""
    for frame in frames:
        made = [emulator.run({spec.input: frame[None], **state}) for emulator in emulators]
        if all(np.array_equal(made[0][name], made[-1][name]) for name in made[0]):
            return frame, made[0]
    raise ModelError(f"of {MOST_TRIES} frames there is none of which releases of TensorFlow Lite "
                     "Micro make the same; one was needed, to prove firmware with. Choose narrower "
                     "layers: --units")


def _zeros(tensor: Tensor) -> NDArray[Any]:
    """What a state begins with: 0.0 of its type."""
    return np.full(tensor.shape, tensor.qtype.zero_point, tensor.dtype)


def _frame(rng: np.random.Generator, graph: Graph, spec: ModelSpec, step: int) -> NDArray[Any]:
    x = graph.tensor(spec.input)
    if isinstance(spec.frontend, TokenSpec):
        return rng.integers(1, spec.frontend.numbers, x.shape[-1]).astype(x.dtype)
    # Half of them within the middle half of the range, where gates are not saturated.
    frame = rng.integers(x.qtype.low, x.qtype.high + 1, x.shape[-1])
    return (frame if step % 2 else frame // 2).astype(x.dtype)


def checksum(plan: Plan, layout: str) -> int:
    """Adler-32 over all int8 arrays of a plan, its matrices in that layout."""
    sum_ = 1
    for name, array in byte_arrays(plan):
        laid = LAYOUTS[layout](array) if name.endswith(LAID_OUT) else array
        sum_ = zlib.adler32(laid.tobytes(), sum_)
    return sum_


LAID_OUT = ":fc_s8:weights"
"""The end of the names of matrices that lie in a layout."""


def byte_arrays(plan: Plan) -> Iterator[tuple[str, NDArray[np.int8]]]:
    """Every int8 array of a plan in the order of its calls, and ``tensor:kernel:field``."""
    for call in plan.calls:
        kernel = call.kernel.removesuffix("_s16") if call.kernel == "fc_s8_s16" else call.kernel
        for field, value in call.params.items():
            if is_bytes(field, value):
                yield f"{call.makes}:{kernel}:{field}", value


def is_bytes(field: str, value: Any) -> bool:
    """Whether a parameter is an array of weights, or of a table."""
    return isinstance(value, np.ndarray) and value.dtype == np.int8 and field != "shift"
