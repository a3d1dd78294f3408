"""What a step costs."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.cost.durations import microseconds
from edgernn.spec import TokenSpec
from edgernn.step import StepModel

WARM_UP = 50
"""Steps before the clock runs: caches fill, the interpreter prepares."""


def step_cost(model: StepModel, steps: int) -> dict[str, Any]:
    """Time `step`, features to scores, and the interpreter's own calls, in turns.

    In turns, so that a clock frequency that drifts does the same to both.
    """
    features = frames(model)
    stream = model.fork()
    inputs = [model.graph.begin(model.graph.tensors[i]) for i in model.graph.inputs]
    ours, theirs = np.empty(steps), np.empty(steps)
    clock, invoke = time.perf_counter, model.runtime.invoke
    for i in range(-WARM_UP, steps):
        frame = features[i % 64]
        begin = clock()
        stream.step(frame)
        middle = clock()
        invoke(inputs)
        end = clock()
        if i >= 0:
            ours[i], theirs[i] = middle - begin, end - middle
    return {"step_us": microseconds(ours), "calls_us": microseconds(theirs),
            "ratio": round(float(np.median(ours) / np.median(theirs)), 3), "steps": steps}


def frames(model: StepModel) -> NDArray[Any]:
    """64 frames to step over: noise in real units, or tokens that the model knows."""
    rng = np.random.default_rng(0)
    spec = model.spec.frontend
    if isinstance(spec, TokenSpec):
        return rng.integers(1, spec.numbers, (64, model.width), dtype=np.int32)
    return rng.normal(0, 1, (64, model.width)).astype(np.float32)


def step_times(models: Sequence[StepModel], rounds: int = 20, steps: int = 100) -> list[float]:
    """Median time of `step` of each model, microseconds, features to scores.

    In turns of `steps`, so that a clock frequency that drifts does the same to all of them.
    """
    streams = [(model.fork(), list(frames(model))) for model in models]
    took: list[list[float]] = [[] for _ in models]
    for turn in range(-1, rounds):
        for (stream, rows), own in zip(streams, took, strict=True):
            for i in range(steps):
                begin = time.perf_counter()
                stream.step(rows[i % 64])
                end = time.perf_counter()
                if turn >= 0:  # the first turn warms caches up
                    own.append(1e6 * (end - begin))
    return [float(np.median(own)) for own in took]
