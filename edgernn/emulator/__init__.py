"""The oracle: every op that edgernn emits, in numpy integers, exact with TFLM to the byte.

It is what accuracies are measured with and what every runtime is compared to; for
speed there are interpreters.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import operands
from edgernn.emulator import activation, arithmetic, shape
from edgernn.emulator.fixed import Real
from edgernn.errors import ModelError
from edgernn.graph import Graph, Op
from edgernn.quant import QType

Codes = NDArray[Any]

OPS = ("ADD", "BATCH_MATMUL", "CAST", "CONCATENATION", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED",
       "GATHER", "LOGISTIC", "MUL", "QUANTIZE", "RESHAPE", "RSQRT", "SOFTMAX", "STRIDED_SLICE",
       "SUB", "TANH")
"""What it can do."""


FUSING = ("ADD", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
"""Ops after which a RELU may be fused."""


class Emulator:
    """Run a graph on integers; any number of streams at a time.

    Parameters
    ----------
    graph : Graph
        Its tensors have a batch of 1; `run` takes any batch in its place.
    old_scales : bool
        Be TensorFlow Lite Micro as it was until October 2026: its matmuls, SUB and RSQRT computed
        with scales in float32, and are one more or less here and there.

    Raises
    ------
    ModelError
        If the graph has an op, or a type, that is not emulated.
    """

    def __init__(self, graph: Graph, old_scales: bool = False) -> None:
        self._names = [tensor.name for tensor in graph.tensors]
        self._constants = {i: t.data for i, t in enumerate(graph.tensors) if t.data is not None}
        self._inputs, self._outputs = graph.inputs, graph.outputs
        self._calls = [_call(graph, op, np.float32 if old_scales else float) for op in graph.ops]

    def run(self, inputs: Mapping[str, Codes], trace: bool = False) -> dict[str, Codes]:
        """One step.

        Parameters
        ----------
        inputs : dict
            Codes of every graph input by name, shape (streams, width), of its type.
        trace : bool
            Return every computed tensor rather than the graph's outputs.

        Returns
        -------
        dict
            Codes by tensor name, shape (streams, width).
        """
        values: dict[int, Codes] = dict(self._constants)
        values.update((i, inputs[self._names[i]]) for i in self._inputs)
        for function, sources, target in self._calls:
            values[target] = function(*(values[i] for i in sources))
        chosen = values.keys() - self._constants.keys() if trace else self._outputs
        return {self._names[i]: values[i] for i in chosen}


def _call(graph: Graph, op: Op, real: Real) -> tuple[Callable[..., Codes], tuple[int, ...], int]:
    """What computes an op's output, from which tensors, and which tensor that is."""
    if op.name not in OPS:
        raise ModelError(f"the model has the op {op.name}, which the emulator does not know; it "
                         f"knows {', '.join(OPS)}. Use another backend: --backend litert")
    fusible = ("NONE", "RELU") if op.name in FUSING else ("NONE",)
    if op.options.get("activation", "NONE") not in fusible:
        raise ModelError(f"the model has a {op.name} with fused {op.options['activation']}, which "
                         "the emulator does not know. Use another backend: --backend litert")
    if op.name == "GATHER":
        return shape.gather(graph.tensors[op.inputs[0]]), op.inputs[1:], op.outputs[0]
    if op.name == "RESHAPE":
        return shape.reshape(graph.tensors[op.outputs[0]]), op.inputs[:1], op.outputs[0]
    if op.name == "STRIDED_SLICE":
        whole, *bounds = (graph.tensors[i] for i in op.inputs)
        cut = operands.block(whole, bounds, op)
        if not cut:
            raise ModelError("the model has a STRIDED_SLICE that drops or adds dimensions, which "
                             "the emulator does not know. Use another backend: --backend litert")
        return shape.block(cut), op.inputs[:1], op.outputs[0]
    if op.name == "CONCATENATION":
        return (shape.join(graph.tensors[op.outputs[0]], op.options["axis"]), op.inputs,
                op.outputs[0])
    x, y = _qtype(graph, op.inputs[0], op), _qtype(graph, op.outputs[0], op)
    if op.name == "DEPTHWISE_CONV_2D":
        weights, offsets = (graph.tensors[i] for i in op.inputs[1:])
        if not operands.is_column(graph.tensors[op.inputs[0]], weights, op):
            raise ModelError("the model has a DEPTHWISE_CONV_2D of many places; the emulator knows "
                             "one place. Use another backend: --backend litert")
        return (arithmetic.depthwise(x, weights, offsets, y, op.options["activation"]),
                op.inputs[:1], op.outputs[0])
    if op.name == "FULLY_CONNECTED":
        bias = graph.tensors[op.inputs[2]] if len(op.inputs) > 2 and op.inputs[2] >= 0 else None
        return (arithmetic.fully_connected(x, graph.tensors[op.inputs[1]], bias, y,
                                           op.options["activation"], real),
                op.inputs[:1], op.outputs[0])
    if op.name == "BATCH_MATMUL":
        b = _qtype(graph, op.inputs[1], op)
        return (arithmetic.batch_matmul(x, b, y, op.options["adj_y"], real), op.inputs,
                op.outputs[0])
    if op.name in ("ADD", "SUB", "MUL"):
        other = _qtype(graph, op.inputs[1], op)
        if op.name == "ADD":
            return (arithmetic.add(x, other, y, op.options["activation"]), op.inputs,
                    op.outputs[0])
        if op.name == "SUB":
            return arithmetic.sub(x, other, y, real), op.inputs, op.outputs[0]
        return arithmetic.mul(x, other, y), op.inputs, op.outputs[0]
    makers: dict[str, Callable[[], Callable[[Codes], Codes]]] = {
        "LOGISTIC": lambda: activation.logistic(x),
        "TANH": lambda: activation.tanh(x),
        "SOFTMAX": lambda: activation.softmax(x, op.options["beta"]),
        "RSQRT": lambda: activation.rsqrt(x, y, real),
        "QUANTIZE": lambda: arithmetic.quantize(x, y),
        "CAST": lambda: arithmetic.cast(y),
    }
    return makers[op.name](), op.inputs, op.outputs[0]


def _qtype(graph: Graph, index: int, op: Op) -> QType:
    q = graph.tensors[index].qtype
    if q.dtype not in ("int8", "int16"):
        raise ModelError(f"{op.name} has a tensor of {q.dtype}; the emulator knows int8 and int16. "
                         "Use another backend: --backend litert")
    return q
