"""What other packages for the same job cost, where they are installed."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.cost.durations import microseconds
from edgernn.spec import LogMelSpec, TokenSpec
from edgernn.step import StepModel

HOP_10_MS = 160


def other_costs(model: StepModel, frames: int) -> dict[str, dict[str, Any]]:
    """By package: ``what`` was timed, ``version``, and ``frame`` in microseconds.

    - onnxruntime: a step of a float GRU of the same width and features, its state fed back; its
      graph is made with the package onnx.
    - pymicro-wakeword: its own wake word model "okay nabu" over the same audio, features
      included, per frame of 10 ms; it steps once in three.

    Packages that are not installed, or that the model cannot be compared with, are left out.
    """
    found = {}
    for name, cost in (("onnxruntime", _onnx), ("pymicro-wakeword", _micro)):
        try:
            measured = cost(model, frames)
        except ImportError:
            continue
        if measured:
            found[name] = measured
    return found


def _onnx(model: StepModel, frames: int) -> dict[str, Any] | None:
    import onnxruntime

    units = max((int(np.prod(model.graph.tensor(pair.input).shape)) for pair in model.spec.states),
                default=0)
    if not units or isinstance(model.spec.frontend, TokenSpec):
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(_gru(model.width, units), options,
                                           providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 1, (64, 1, 1, model.width)).astype(np.float32)
    state = np.zeros((1, 1, units), np.float32)
    took = np.empty(frames)
    for i in range(-50, frames):
        begin = time.perf_counter()
        _, state = session.run(None, {"x": rows[i % 64], "h": state})
        if i >= 0:
            took[i] = time.perf_counter() - begin
    return {"what": f"step of a float GRU of {units}", "version": onnxruntime.__version__,
            "frame": microseconds(took)}


def _gru(width: int, units: int) -> bytes:
    """A float GRU with random weights, as an ONNX file."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> Any:
        return numpy_helper.from_array(rng.normal(0, 0.1, shape).astype(np.float32), name)

    def value(name: str, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    node = helper.make_node("GRU", ["x", "W", "R", "B", "", "h"], ["y", "h_out"],
                            hidden_size=units, linear_before_reset=1)
    graph = helper.make_graph(
        [node], "gru", [value("x", 1, 1, width), value("h", 1, 1, units)],
        [value("y", 1, 1, 1, units), value("h_out", 1, 1, units)],
        [weights("W", 1, 3 * units, width), weights("R", 1, 3 * units, units),
         weights("B", 1, 6 * units)])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    made.ir_version = 8  # of the first runtimes that know opset 14
    data: bytes = made.SerializeToString()
    return data


def _micro(model: StepModel, frames: int) -> dict[str, Any] | None:
    from importlib.metadata import version

    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures
    from pymicro_wakeword import Model as Words

    if not isinstance(model.spec.frontend, LogMelSpec):
        return None
    from edgernn.cost.path import generated

    word, features = MicroWakeWord.from_builtin(Words.OKAY_NABU), MicroWakeWordFeatures()
    sound: NDArray[np.int16] = generated(model, 1.0)
    hops = [sound[i:i + HOP_10_MS].tobytes() for i in range(0, 16000, HOP_10_MS)]
    took = []
    for i in range(-50, frames):
        begin = time.perf_counter()
        for row in features.process_streaming(hops[i % len(hops)]):
            word.process_streaming(row)
        if i >= 0:
            took.append(time.perf_counter() - begin)
    return {"what": '"okay nabu" over the same audio, per 10 ms',
            "version": version("pymicro-wakeword"), "frame": microseconds(np.array(took))}
