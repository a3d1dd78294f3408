"""What a frame costs on its way from samples to detections, stage by stage."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.cost.durations import histogram, microseconds
from edgernn.detect import Detector
from edgernn.frames import Frame
from edgernn.frontend import make_frontend
from edgernn.spec import DetectorSpec, LogMelSpec, PartsSpec, TokenSpec
from edgernn.step import StepModel
from edgernn.stream import Listener, listen, sample_rate_hz

STAGES = ("frontend", "quantize", "invoke", "detector")
"""What a frame passes through, in order."""
WARM_UP = 100
"""Frames before the clock runs."""
TURN = 50
"""Frames that one model hears before it is the next one's turn."""
BLOCK_S = 0.1
"""Length of a block where input does not come a hop at a time, as `edgernn stream` reads files."""


class Path:
    """Frontend, encoder, model and detector of a model, with a clock between them."""

    def __init__(self, model: StepModel) -> None:
        self.model = model.fork()
        self.frontend = make_frontend(model.spec.frontend)
        self.rate_hz = sample_rate_hz(model.spec)
        self.detector = Detector(model.spec.detector or DetectorSpec({}), model.labels,
                                 1000 * self.frontend.hop / self.rate_hz)
        self.took: list[list[float]] = []

    def push(self, hop: NDArray[Any]) -> None:
        """Hear a hop; note what each stage took, if it made a frame."""
        clock = time.perf_counter
        begin = clock()
        rows = self.frontend.push(hop)
        heard = clock()
        codes = self.model.encode(rows)
        encoded = clock()
        for frame in codes:
            scores = self.model.step(frame)
            stepped = clock()
            self.detector.push(scores, 0.0)
            end = clock()
            self.took.append([heard - begin, encoded - heard, stepped - encoded, end - stepped])


def path_costs(models: Mapping[str, StepModel], frames: int) -> dict[str, dict[str, Any]]:
    """Time every stage of every model, hop by hop, in turns.

    In turns, so that a clock frequency that drifts does the same to all of them.

    Parameters
    ----------
    models : mapping of str to StepModel
    frames : int
        How many to time of each.

    Returns
    -------
    dict
        By name: ``stages`` and ``frame`` (their sum) in microseconds, a ``histogram`` of
        frames, ``real_time_factor``: seconds of computing for a second of input.
    """
    paths = {name: Path(model) for name, model in models.items()}
    sounds = {name: hops(path.model, 64) for name, path in paths.items()}
    done = 0
    while any(len(path.took) < WARM_UP + frames for path in paths.values()):
        for name, path in paths.items():
            for i in range(TURN):
                path.push(sounds[name][(done + i) % 64])
        done += TURN
    return {name: _summary(path, np.array(path.took[WARM_UP:WARM_UP + frames]))
            for name, path in paths.items()}


def _summary(path: Path, took: NDArray[np.float64]) -> dict[str, Any]:
    whole = took.sum(axis=1)
    frame_s = path.frontend.hop / path.rate_hz
    return {"stages": {stage: microseconds(took[:, i]) for i, stage in enumerate(STAGES)},
            "frame": microseconds(whole), "histogram": histogram(whole),
            "real_time_factor": float(f"{whole.mean() / frame_s:.3g}"), "frames": len(took)}


def blocks_cost(model: StepModel, seconds: float) -> float:
    """Times real time at which `edgernn stream` hears a file, in blocks of `BLOCK_S`."""
    rate = sample_rate_hz(model.spec)
    samples = generated(model, seconds)
    listener = Listener(model.fork())
    block = max(listener.frontend.hop, int(BLOCK_S * rate))
    begin = time.perf_counter()
    for _ in listen(_blocks(samples, block, rate), listener):
        pass
    return round(len(samples) / rate / (time.perf_counter() - begin), 1)


def hops(model: StepModel, count: int) -> list[NDArray[Any]]:
    """Hops of generated input."""
    hop = make_frontend(model.spec.frontend).hop
    samples = generated(model, (count + 1) * hop / sample_rate_hz(model.spec))
    return [samples[i * hop:(i + 1) * hop] for i in range(count)]


def generated(model: StepModel, seconds: float) -> NDArray[Any]:
    """Input to measure with: noise at -20 dB, rows as spread as the training set, or tokens."""
    rng = np.random.default_rng(0)
    spec = model.spec.frontend
    count = max(1, round(seconds * sample_rate_hz(model.spec)))
    if isinstance(spec, LogMelSpec):
        return np.clip(rng.normal(0, 3277, count), -32768, 32767).astype(np.int16)
    if isinstance(spec, TokenSpec):
        tokens = [*spec.vocabulary, "?"]
        return np.array([tokens[i] for i in rng.integers(len(tokens), size=count)])
    if isinstance(spec, PartsSpec):
        return rng.integers(-128, 128, (count, spec.width)).astype(np.int8)
    return rng.normal(spec.mean, spec.std, (count, len(spec.mean))).astype(np.float32)


def _blocks(samples: NDArray[Any], block: int, rate_hz: float) -> Iterator[Frame]:
    for at in range(0, len(samples), block):
        yield Frame(samples[at : at + block], at / rate_hz)
