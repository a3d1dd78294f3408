"""A plan as a program of the compiled module."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ModelError
from edgernn.graph import Graph
from edgernn.native import kernels
from edgernn.native.memory import Memory
from edgernn.plan import Call, Plan, Value, plan
from edgernn.plan.calls import CONSTANT, SCRATCH
from edgernn.plan.layout import LAYOUTS, offsets
from edgernn.spec import ModelSpec, TokenSpec

Codes = NDArray[Any]


class NativeRuntime:
    """A loaded step of the backend `c`.

    Parameters
    ----------
    graph : Graph
    spec : ModelSpec
        Which inputs are states, which the frame.
    module : module, optional
        The compiled module to run it with, in place of the best one here.

    Raises
    ------
    ModelError
        If there is no kernel for one of the model's ops.
    ImportError
        If edgernn was installed without a compiler.
    """

    name = "c"

    def __init__(self, graph: Graph, spec: ModelSpec, module: ModuleType | None = None) -> None:
        self.module = module or kernels.best()
        self.graph, self.spec = graph, spec
        _check_states(graph, spec)
        known = {spec.output, *(pair.output for pair in spec.states)}
        for name in (graph.tensors[i].name for i in graph.outputs):
            if name not in known:
                raise ModelError(f"the model puts out {name!r}, which is no state and not its "
                                 "scores; the C kernels keep nothing else. Make the model again: "
                                 "edgernn quantize")
        self._states, self._program = _program(plan(graph, spec), self.module)
        self._own = self.memory(1)
        self._run = self.streams(self._own).run

    def invoke(self, inputs: Sequence[Codes]) -> list[Codes]:
        """See `edgernn.interpreter.Runtime.invoke`."""
        for own, given in zip(self._own.inputs, inputs, strict=True):
            np.copyto(own, given)
        self._run()
        return [output.copy() for output in self._own.outputs]

    def memory(self, streams: int) -> Memory:
        """Room for so many streams, begun from reset."""
        return Memory.empty(self.graph, self.spec, streams)

    def streams(self, memory: Memory, batched: bool = False) -> Any:
        """What steps the streams of a memory: ``step(frames, held)`` of the compiled module.

        `batched`: frames have an axis for the streams, even if there is but one.
        """
        names = [self.graph.tensors[i].name for i in self.graph.inputs]
        inputs = dict(zip(names, memory.inputs, strict=True))
        outputs = [self.graph.tensors[i].name for i in self.graph.outputs]
        arrays = [inputs[name] for name in (self.spec.input, *self._states)]
        x, scores = (self.graph.tensor(name).qtype for name in (self.spec.input, self.spec.output))
        frontend, tokens, reals = self.spec.frontend, 0, None
        if isinstance(frontend, TokenSpec):
            tokens = frontend.numbers
        else:
            reals = (1 / x.scale, x.low - x.zero_point, x.high - x.zero_point, x.zero_point)
        return self.module.Streams(
            self._program, len(memory.scores), 1 + batched,
            [*arrays, memory.outputs[outputs.index(self.spec.output)]], memory.scores, reals,
            tokens, scores.scale, scores.zero_point)


def _check_states(graph: Graph, spec: ModelSpec) -> None:
    """A state is written where it is read: by one output of its type that is nothing else."""
    written = [spec.output, *(pair.output for pair in spec.states)]
    for pair in spec.states:
        before, after = graph.tensor(pair.input), graph.tensor(pair.output)
        if written.count(pair.output) > 1 or (before.scales, before.zero_points) != (
                after.scales, after.zero_points):
            raise ModelError(f"the state {pair.input!r} is {pair.output!r} moved to another scale, "
                             "or that is another's or the scores too; the C kernels write a state "
                             "where they read it")
    if len(graph.tensor(spec.input).shape) != 2 or len(graph.tensor(spec.output).shape) != 2:
        raise ModelError("the frame or the scores have more than two dimensions, which the C "
                         "kernels do not know")


def _program(made: Plan, module: ModuleType) -> tuple[list[str], Any]:
    """Names of the states in the order of their memories, and the program."""
    states = [value.name for value, _ in made.states]
    places = _Places(made)
    return states, module.Program(
        places.rows(), tuple(_call(call, places, module) for call in made.calls))


def _call(call: Call, places: "_Places", module: ModuleType) -> tuple[Any, ...]:
    """As the compiled module takes it: kernel, params, operands, counts, at once or not."""
    params: dict[str, Any] = {
        name: np.ascontiguousarray(value) if isinstance(value, np.ndarray) else int(value)
        for name, value in call.params.items()}
    if call.kernel.startswith("fc_s8"):
        weights = call.params["weights"]
        params["weights"] = LAYOUTS[module.LAYOUT](weights)
        params["offset"] = offsets(call.params["offset"], weights, module.X_PLUS)
    values = (*call.inputs, call.output)
    return (call.kernel, params, tuple(places.operand(value) for value in values), call.counts,
            all(places.whole(value) for value in values))


class _Places:
    """Where in the memories of a program the values of a plan are, in bytes.

    The memories are: the frame, each state, the scores, and scratch of each type.
    """

    def __init__(self, made: Plan) -> None:
        ends = [made.x, *(value for value, _ in made.states), made.scores]
        self._ends = {(value.place, value.name): i for i, value in enumerate(ends)}
        self._end_rows = [_bytes(value.dtype, value.count) for value in ends]
        self._scratch = {dtype: len(ends) + i for i, dtype in enumerate(made.scratch)}
        self._scratch_rows = [_bytes(dtype, count) for dtype, count in made.scratch.items()]
        # A value may be a part of a tensor; calls make whole ones.
        self._whole = {(value.place, value.name): value for value in ends}
        for made_here in (call.output for call in made.calls):
            key = made_here.place, made_here.name
            if self._whole.setdefault(key, made_here) != made_here:
                raise ModelError(f"two tensors of the model are called {made_here.name!r}; one was "
                                 "needed. Make the model again: edgernn quantize")

    def rows(self) -> tuple[int, ...]:
        """Bytes that one stream needs of each memory."""
        return (*self._end_rows, *self._scratch_rows)

    def operand(self, value: Value) -> Any:
        """A constant's values; otherwise memory, begin of the tensor, of its row, of the value."""
        if value.place == CONSTANT:
            return np.ascontiguousarray(value.data, value.dtype)
        whole = self._tensor(value)
        memory = (self._scratch[value.dtype] if value.place == SCRATCH
                  else self._ends[value.place, value.name])
        return (memory, _bytes(value.dtype, whole.offset), _bytes(value.dtype, whole.count),
                _bytes(value.dtype, value.offset - whole.offset))

    def whole(self, value: Value) -> bool:
        """Whether it is all of a computed tensor, so that streams' values lie side by side."""
        return value.place != CONSTANT and value.count == self._tensor(value).count

    def _tensor(self, value: Value) -> Value:
        return self._whole[value.place, value.name]


def _bytes(dtype: str, count: int) -> int:
    return np.dtype(dtype).itemsize * count
