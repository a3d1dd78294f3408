"""The runtimes that can run a step: the only file that knows they differ.

Measured, per op and per model, in docs/runtimes.md: the emulator, our C kernels and TFLM
are equal to the byte; LiteRT and tflite-runtime differ by a step of the integer here and there.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from numpy.typing import NDArray

import edgernn
from edgernn import coral
from edgernn.errors import BackendError, ModelError
from edgernn.graph import Graph
from edgernn.spec import ModelSpec, WakeWordSpec

Codes = NDArray[Any]


class Runtime(Protocol):
    """A loaded step."""

    name: str
    """Which runtime it is, as `--backend` calls it."""

    def invoke(self, inputs: Sequence[Codes]) -> list[Codes]:
        """Outputs, in the order of the graph, from inputs in the order of the graph.

        Outputs are new arrays, the caller's to keep.
        """


class TfliteRuntime:
    """LiteRT, or tflite-runtime, which came before it and has the same interface."""

    def __init__(self, name: str, interpreter_type: Any, flatbuffer: bytes, graph: Graph) -> None:
        self.name = name
        with _quiet():
            interpreter = interpreter_type(model_content=flatbuffer, num_threads=1)
            interpreter.allocate_tensors()
        # Details come in an order of the runtime's own; only names are sure.
        found = {d["name"]: d["index"]
                 for d in interpreter.get_input_details() + interpreter.get_output_details()}
        self._inputs = [found[graph.tensors[i].name] for i in graph.inputs]
        self._outputs = [found[graph.tensors[i].name] for i in graph.outputs]
        self._one_state = len(self._inputs) == len(self._outputs) == 2
        self._set, self._get = interpreter.set_tensor, interpreter.get_tensor
        self._run = interpreter.invoke

    def invoke(self, inputs: Sequence[Codes]) -> list[Codes]:
        """See `Runtime.invoke`."""
        put, get = self._set, self._get
        if self._one_state:  # without the loops, 0.5 us of 8 less
            (first, second), (third, fourth) = self._inputs, self._outputs
            put(first, inputs[0])
            put(second, inputs[1])
            self._run()
            return [get(third), get(fourth)]
        for index, value in zip(self._inputs, inputs):  # noqa: B905 - strict= costs 0.1 us
            put(index, value)
        self._run()
        return [get(index) for index in self._outputs]


class TflmRuntime:
    """TensorFlow Lite Micro, through the package tflite-micro (x86-64 alone)."""

    name = "tflm"

    def __init__(self, interpreter_module: Any, flatbuffer: bytes, graph: Graph) -> None:
        self._interpreter = interpreter_module.Interpreter.from_bytes(flatbuffer)
        self._count = len(graph.outputs)

    def invoke(self, inputs: Sequence[Codes]) -> list[Codes]:
        """See `Runtime.invoke`."""
        for position, value in enumerate(inputs):
            self._interpreter.set_input(value, position)
        self._interpreter.invoke()
        return [self._interpreter.get_output(i) for i in range(self._count)]


class EmulatorRuntime:
    """Our own numpy emulator: slow, exact, everywhere."""

    name = "emulator"

    def __init__(self, graph: Graph) -> None:
        from edgernn.emulator import Emulator

        self._emulator = Emulator(graph)
        self._inputs = [graph.tensors[i].name for i in graph.inputs]
        self._outputs = [graph.tensors[i].name for i in graph.outputs]

    def invoke(self, inputs: Sequence[Codes]) -> list[Codes]:
        """See `Runtime.invoke`."""
        made = self._emulator.run(dict(zip(self._inputs, inputs, strict=True)))
        return [made[name] for name in self._outputs]


def _c(flatbuffer: bytes, graph: Graph, spec: ModelSpec) -> Runtime:
    from edgernn.native import NativeRuntime

    return NativeRuntime(graph, spec)


def _litert(flatbuffer: bytes, graph: Graph, spec: ModelSpec) -> Runtime:
    from ai_edge_litert.interpreter import Interpreter

    return TfliteRuntime("litert", Interpreter, flatbuffer, graph)


def _litert_builtin(flatbuffer: bytes, graph: Graph, spec: ModelSpec) -> Runtime:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = partial(Interpreter, experimental_op_resolver_type=(
        OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES))
    return TfliteRuntime(LITERT_BUILTIN, plain, flatbuffer, graph)


def _tflite_runtime(flatbuffer: bytes, graph: Graph, spec: ModelSpec) -> Runtime:
    from tflite_runtime.interpreter import Interpreter

    return TfliteRuntime("tflite-runtime", Interpreter, flatbuffer, graph)


def _tflm(flatbuffer: bytes, graph: Graph, spec: ModelSpec) -> Runtime:
    from tflite_micro.python.tflite_micro import runtime

    return TflmRuntime(runtime, flatbuffer, graph)


def _edgetpu(flatbuffer: bytes, graph: Graph, spec: ModelSpec) -> Runtime:
    return TfliteRuntime("edgetpu", coral.interpreter_type(graph), flatbuffer, graph)


def _emulator(flatbuffer: bytes, graph: Graph, spec: ModelSpec) -> Runtime:
    return EmulatorRuntime(graph)


LITERT_BUILTIN = "litert-builtin"
"""LiteRT without XNNPACK, whose kernels are those of all TensorFlow Lite before it: slower, and
equal to what other packages compute."""

OPENERS: dict[str, Callable[[bytes, Graph, ModelSpec], Runtime]] = {
    "c": _c, "litert": _litert, LITERT_BUILTIN: _litert_builtin, "tflite-runtime": _tflite_runtime,
    "tflm": _tflm, "emulator": _emulator, "edgetpu": _edgetpu}
"""Fastest first, which is the order `auto` tries; a Coral must be asked for."""

PACKAGES = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime", "tflm": "tflite-micro"}
"""The distribution that each needs beside edgernn."""

BACKENDS = ("auto", *OPENERS)


def available() -> dict[str, str]:
    """Versions of the interpreters installed here, by backend, fastest first."""
    return dict(_installed())


def _installed() -> Iterator[tuple[str, str]]:
    with contextlib.suppress(ImportError):
        from edgernn.native import kernels

        yield "c", f"{edgernn.__version__} ({kernels.best().TARGET})"
    import importlib.metadata  # takes 3 MB, which a device with the backend c need not spend

    for name, package in PACKAGES.items():
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield name, importlib.metadata.version(package)


def open_runtime(backend: str, flatbuffer: bytes, graph: Graph, spec: ModelSpec) -> Runtime:
    """Load a verified step.

    Parameters
    ----------
    backend : str
        One of `BACKENDS`.  `auto` is the fastest that is installed and takes the model; never
        the emulator, which would be a thousand times slower without saying so.
    flatbuffer : bytes
        What `graph` was read from: an interpreter trusts its file, `edgernn.tflite` does not.
    graph : Graph
    spec : ModelSpec
        Which inputs are states, which the frame.

    Raises
    ------
    BackendError
        If the runtime is not installed, or refuses the model.
    """
    if backend != "edgetpu" and any(op.name == coral.OP for op in graph.ops):
        raise BackendError(f"the model was compiled for a Coral, and {backend} is none. Give the "
                           "model that it was compiled from, or --backend edgetpu")
    if backend == "auto":
        return _first(flatbuffer, graph, spec)
    if backend not in OPENERS:
        raise BackendError(f"there is no backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    try:
        return OPENERS[backend](flatbuffer, graph, spec)
    except ImportError as problem:
        package = PACKAGES.get(backend.removesuffix("-builtin"))
        remedy = "Install edgernn again where there is a C compiler: apt install gcc python3-dev"
        if package or backend == "edgetpu":
            remedy = f"Install it: pip install {package or PACKAGES['litert']}"
        raise BackendError(f"the backend {backend} cannot be loaded ({problem}). {remedy}; or "
                           f"choose one that is here: {', '.join(available()) or 'none'}"
                           ) from problem
    except ModelError as problem:  # says what would work
        raise BackendError(f"{backend} refuses the model: {problem}") from problem
    except (RuntimeError, ValueError) as problem:
        raise BackendError(f"{backend} refuses the model: {str(problem).strip()[:400]}. "
                           "Try another: --backend emulator") from problem


def _first(flatbuffer: bytes, graph: Graph, spec: ModelSpec) -> Runtime:
    """The fastest that takes the model: the C kernels lack ops that interpreters have."""
    refusal = BackendError("no interpreter is installed; one of "
                           f"{', '.join(PACKAGES.values())} was needed. "
                           'Install it: pip install "edgernn[device]"')
    for name, _ in _installed():
        if name == "litert" and isinstance(spec.frontend, WakeWordSpec):
            name = LITERT_BUILTIN  # their scores are to be those that their own package gives
        try:
            return open_runtime(name, flatbuffer, graph, spec)
        except BackendError as problem:
            refusal = problem
    raise refusal


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the interpreter's greeting off stderr, which is ours to talk on.

    It is written by C++ to the file descriptor, so that is what is turned away; Python's
    exceptions still tell what went wrong.
    """
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
