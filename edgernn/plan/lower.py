"""Each op as a call of a kernel, with the whole numbers that it computes with.

The numbers are those of `edgernn.emulator`, whose docstrings name the kernels of TensorFlow
Lite that they follow.  What a function of one int8 does is known for all its 256 values, so
such functions, and chains of them, become one table.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import operands
from edgernn.emulator import activation, arithmetic
from edgernn.emulator.fixed import Multiplier
from edgernn.errors import ModelError
from edgernn.graph import Graph, Op, Tensor
from edgernn.quant import QType

SUFFIX = {"int8": "s8", "int16": "s16", "int32": "s32"}
"""How the kernels name a type."""
ELEMENTWISE = ("ADD", "SUB", "MUL")


@dataclass(frozen=True)
class Draft:
    """A call whose memory is not yet chosen: it speaks of tensors by number."""

    kernel: str
    params: Mapping[str, Any]
    inputs: tuple[int, ...]
    output: int
    counts: tuple[int, ...]
    constants: Mapping[int, NDArray[Any]] = dataclasses.field(default_factory=dict)
    """Values of inputs that are constants, as the kernel wants them."""


def lower(graph: Graph) -> list[Draft]:
    """The calls of a step, in order; `with_equal_operands` has seen the graph.

    Raises
    ------
    ModelError
        If there is no kernel for an op; it names the op, its layer and what would work.
    """
    drafts = [draft for op in graph.ops for draft in _lower(graph, op)]
    wanted = set(graph.outputs)
    return _without_the_unused(_widened_matmuls(_tables_of_tables(drafts), wanted), wanted)


def with_equal_operands(graph: Graph) -> Graph:
    """The graph with an op FILL before each elementwise op that repeats a computed value."""
    tensors, ops = list(graph.tensors), []
    for op in graph.ops:
        inputs = list(op.inputs)
        for at, i in enumerate(inputs) if op.name in ELEMENTWISE else ():
            made = tensors[op.outputs[0]]
            shape = made.shape
            if tensors[i].data is not None or tensors[i].shape == shape:
                continue
            if not _whole_rows(tensors[i].shape, shape):
                raise ModelError(f"the model has a {op.name} (it makes {made.name!r}) that repeats "
                                 f"{tensors[i].name!r} of shape {tensors[i].shape}; the C kernels "
                                 "repeat single values and whole rows. Export it for TensorFlow "
                                 "Lite Micro: --target tflm")
            tensors.append(dataclasses.replace(
                tensors[i], name=f"{tensors[i].name}_for_{made.name}", shape=shape))
            ops.append(Op("FILL", 1, (i,), (len(tensors) - 1,), {}))
            inputs[at] = len(tensors) - 1
        ops.append(dataclasses.replace(op, inputs=tuple(inputs)))
    return dataclasses.replace(graph, tensors=tuple(tensors), ops=tuple(ops))


def _whole_rows(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether repeating all values of `shape`, again and again, broadcasts it to `target`."""
    row = [n for i, n in enumerate(shape) if prod(shape[:i + 1]) != 1]
    return prod(shape) == 1 or tuple(row) == target[len(target) - len(row):]


def _fill(graph: Graph, op: Op) -> list[Draft]:
    x, y = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    row = prod(x.shape)
    if row != 1:
        return [_copy(graph, op.inputs[0], op.outputs[0], runs=prod(y.shape) // row, length=row,
                      x_begin=0, x_step=0, y_begin=0, y_step=row)]
    return [Draft(f"fill_{SUFFIX[y.dtype]}", {}, op.inputs, op.outputs[0], (prod(y.shape),))]


def _lower(graph: Graph, op: Op) -> list[Draft]:
    name = graph.tensors[op.outputs[0]].name
    if op.name not in LOWERED:
        raise ModelError(f"the model has the op {op.name} (it makes {name!r}), for which there is "
                         f"no C kernel; there are {', '.join(sorted(LOWERED))}. Export it for "
                         "TensorFlow Lite Micro: --target tflm")
    fusible = ("NONE", "RELU") if op.name in ("ADD", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED") else (
        "NONE",)
    if op.options.get("activation", "NONE") not in fusible:
        raise ModelError(f"the model has a {op.name} (it makes {name!r}) with fused "
                         f"{op.options['activation']}, for which there is no C kernel. Make it "
                         "with a relu or a linear activation")
    return LOWERED[op.name](graph, op)


def _q(graph: Graph, index: int) -> QType:
    tensor = graph.tensors[index]
    if tensor.dtype not in ("int8", "int16"):
        raise ModelError(f"the tensor {tensor.name!r} is {tensor.dtype}; the C kernels know int8 "
                         "and int16. Quantize the model: edgernn quantize")
    return tensor.qtype


def _low(y: QType, op: Op) -> int:
    """The smallest code that comes out."""
    return max(y.low, y.zero_point) if op.options.get("activation") == "RELU" else y.low


def _each(multiplier: Multiplier, count: int, y: Tensor) -> dict[str, NDArray[Any]]:
    """One multiplier and shift to the right per output, also where all share them."""
    right = -np.resize(np.asarray(multiplier.shift, np.int64), count)
    _check_right(right, y)
    return {"multiplier": np.resize(np.asarray(multiplier.m, np.int64), count).astype(np.int32),
            "right": right.astype(np.int8)}


def _check_right(right: NDArray[np.int64], y: Tensor) -> None:
    """Sums are finer than what is made of them by half or more: fewer instructions round them."""
    if right.min() < 1 or right.max() > 30:
        raise ModelError(f"{y.name!r} has a scale 2**{int(-right.min())} times that of the sums "
                         "it is made of; 2**-1 to 2**-30 was needed. Quantize the model again, "
                         "calibrated on frames like those it will see: edgernn quantize")


def _reduced(multiplier: Multiplier, count: int,
             y: Tensor | None = None) -> dict[str, NDArray[Any]]:
    """The same for sums of 64 bits: 15 bits of multiplier, and the shift to the right."""
    m = np.resize(np.asarray(multiplier.m, np.int64), count)
    m = np.where(m < 0x7FFF0000, (m + (1 << 15)) >> 16, 0x7FFF)
    shift = 15 - np.resize(np.asarray(multiplier.shift, np.int64), count)
    return {"multiplier": m.astype(np.int16), "shift": shift.astype(np.int8)}


def _matmul(graph: Graph, op: Op) -> list[Draft]:
    x, y = _q(graph, op.inputs[0]), _q(graph, op.outputs[0])
    weights = graph.tensors[op.inputs[1]]
    outputs, inputs = weights.shape
    offset = np.zeros(outputs, np.int64)
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        offset = offset + graph.tensors[op.inputs[2]].values.reshape(-1)
    offset = offset - x.zero_point * weights.values.astype(np.int64).sum(axis=1)
    multiplier = arithmetic.matmul_multiplier(x, weights, y)
    wide = x.dtype == "int16"
    params = {"weights": weights.values, "offset": offset if wide else _int32(offset, weights),
              **(_reduced if wide else _each)(multiplier, outputs, graph.tensors[op.outputs[0]]),
              "inputs": inputs, "outputs": outputs, "y_zero": y.zero_point, "y_low": _low(y, op)}
    rows = prod(graph.tensors[op.inputs[0]].shape) // inputs
    return [Draft(f"fc_{SUFFIX[x.dtype]}", params, op.inputs[:1], op.outputs[0], (rows,))]


def _int32(offset: NDArray[np.int64], weights: Tensor) -> NDArray[np.int32]:
    """Sums start there and stay within 2**30, which the kernels double; a product is 127 * 128.

    Weights of -128, which edgernn never makes, would leave the 16 bits that two share.
    """
    if weights.values.min(initial=0) < -127:
        raise ModelError(f"{weights.name!r} has a weight of -128; -127 to 127 was needed. Quantize "
                         "the model with edgernn quantize")
    room = 2**30 - 1 - 127 * 128 * prod(weights.shape[1:])
    if np.abs(offset).max(initial=0) > room:
        raise ModelError(f"sums of {weights.name!r} can reach {np.abs(offset).max()} and more; "
                         "2**30 was needed. Quantize the model again: edgernn quantize")
    return offset.astype(np.int32)


def _depthwise(graph: Graph, op: Op) -> list[Draft]:
    x, y = _q(graph, op.inputs[0]), _q(graph, op.outputs[0])
    weights, bias = (graph.tensors[i] for i in op.inputs[1:])
    if not operands.is_column(graph.tensors[op.inputs[0]], weights, op):
        raise ModelError(f"the model has a DEPTHWISE_CONV_2D of many places (it makes "
                         f"{graph.tensors[op.outputs[0]].name!r}); the C kernel knows one place. "
                         "Export it for TensorFlow Lite Micro: --target tflm")
    taps, channels = weights.shape[1], weights.shape[3]
    kernel = weights.values.reshape(taps, channels)
    offset = bias.values.astype(np.int64) - x.zero_point * kernel.astype(np.int64).sum(axis=0)
    multiplier = Multiplier.each(x.scale * np.resize(np.array(weights.scales, np.float64),
                                                     channels) / y.scale)
    wide = x.dtype == "int16"
    params = {"weights": kernel, "offset": offset if wide else _int32(offset, weights),
              **(_reduced if wide else _each)(multiplier, channels, graph.tensors[op.outputs[0]]),
              "taps": taps, "channels": channels, "y_zero": y.zero_point, "y_low": _low(y, op)}
    return [Draft(f"depthwise_{SUFFIX[x.dtype]}", params, op.inputs[:1], op.outputs[0], ())]


def _batch_matmul(graph: Graph, op: Op) -> list[Draft]:
    a, b, y = _q(graph, op.inputs[0]), _q(graph, op.inputs[1]), _q(graph, op.outputs[0])
    shape, other = graph.tensors[op.inputs[0]].shape, graph.tensors[op.inputs[1]].shape
    transposed = bool(op.options["adj_y"])
    multiplier = Multiplier.of(a.scale * b.scale / y.scale)
    wide = a.dtype == "int16"
    params = {**_one(multiplier, wide), "heads": prod(shape[:-2]), "rows": shape[-2],
              "inner": shape[-1], "columns": other[-2] if transposed else other[-1],
              "transposed": int(transposed), "a_zero": a.zero_point, "b_zero": b.zero_point,
              "y_zero": y.zero_point}
    return [Draft(f"matmul_{SUFFIX[a.dtype]}", params, op.inputs[:2], op.outputs[0], (),
                  _constants(graph, op.inputs[:2]))]


def _constants(graph: Graph, inputs: tuple[int, ...]) -> dict[int, NDArray[Any]]:
    return {i: graph.tensors[i].values.reshape(-1) for i in inputs
            if graph.tensors[i].data is not None}


def _elementwise(graph: Graph, op: Op) -> list[Draft]:
    """ADD, SUB and MUL, which take as many values of each side as they make."""
    a, b, y = _q(graph, op.inputs[0]), _q(graph, op.inputs[1]), _q(graph, op.outputs[0])
    target = graph.tensors[op.outputs[0]]
    count = prod(target.shape)
    constants = {i: np.broadcast_to(graph.tensors[i].values, target.shape).reshape(-1)
                 for i in op.inputs if graph.tensors[i].data is not None}
    uniform = {i for i, values in constants.items() if (values == values[0]).all()}
    if y.dtype == "int8" and len(uniform) == 1 and len(constants) == 1:
        return [_table_beside_a_constant(graph, op, constants)]
    if op.name == "MUL":
        m = Multiplier.of(a.scale * b.scale / y.scale)
        params = {"multiplier": m.m, "right": -m.shift}
        rights = [-m.shift]
    else:
        twice = 2 * max(a.scale, b.scale)
        bits = 15 if y.dtype == "int16" else 20
        of_a, of_b = Multiplier.of(a.scale / twice), Multiplier.of(b.scale / twice)
        of_y = Multiplier.of(twice / (2.0**bits * y.scale))
        params = {"a_multiplier": of_a.m, "a_right": -of_a.shift, "b_multiplier": of_b.m,
                  "b_right": -of_b.shift, "y_multiplier": of_y.m, "y_right": -of_y.shift,
                  "y_low": _low(y, op)}
        # The side with the larger scale is halved; the other's multiplier is below one half.
        rights = [right for right in (-of_a.shift, -of_b.shift) if right] + [-of_y.shift]
    _check_right(np.array(rights), target)
    zeros = {"a_zero": a.zero_point, "b_zero": b.zero_point, "y_zero": y.zero_point}
    return [Draft(f"{op.name.lower()}_{SUFFIX[y.dtype]}", params | zeros, op.inputs[:2],
                  op.outputs[0], (count,), constants)]


def _one(multiplier: Multiplier, wide: bool) -> dict[str, int]:
    """One multiplier for all, for sums of 32 or of 64 bits."""
    if not wide:
        return {"multiplier": multiplier.m, "shift": multiplier.shift}
    return {name: int(value[0]) for name, value in _reduced(multiplier, 1).items()}


def _table_beside_a_constant(graph: Graph, op: Op, constants: Mapping[int, NDArray[Any]]) -> Draft:
    """An int8 op of a constant and a value is a function of that value."""
    types = [_q(graph, i) for i in (*op.inputs[:2], *op.outputs)]
    makers: Mapping[str, Callable[..., Callable[..., NDArray[Any]]]] = {
        "ADD": arithmetic.add, "SUB": arithmetic.sub, "MUL": arithmetic.mul}
    more = {"activation": op.options["activation"]} if op.name == "ADD" else {}
    varying = next(i for i in op.inputs if i not in constants)
    codes = activation.all_codes(_q(graph, varying))
    sides = [codes if i == varying else np.full_like(codes, constants[i][0])
             for i in op.inputs[:2]]
    return _table(makers[op.name](*types, **more)(*sides), varying, op.outputs[0], graph)


def _table(values: NDArray[Any], x: int, y: int, graph: Graph) -> Draft:
    """A function of one int8, given for all of them, the lowest first."""
    return Draft("lut_s8", {"table": values.astype(np.int8)}, (x,), y,
                 (prod(graph.tensors[y].shape),))


def _function(graph: Graph, op: Op) -> list[Draft]:
    """LOGISTIC and TANH."""
    x = _q(graph, op.inputs[0])
    name = op.name.lower()
    if x.dtype == "int8":
        values = getattr(activation, name)(x)(activation.all_codes(x))
        return [_table(values, op.inputs[0], op.outputs[0], graph)]
    exact = activation.TANH_EXACT if op.name == "TANH" else activation.LOGISTIC_EXACT
    multiplier, shift = activation.table_multiplier(x, exact)
    return [Draft(f"{name}_s16", {"multiplier": multiplier, "shift": shift}, op.inputs[:1],
                  op.outputs[0], (prod(graph.tensors[op.outputs[0]].shape),))]


def _requantize(graph: Graph, op: Op) -> list[Draft]:
    x, y = _q(graph, op.inputs[0]), _q(graph, op.outputs[0])
    if x.dtype == y.dtype == "int8":
        values = arithmetic.quantize(x, y)(activation.all_codes(x))
        return [_table(values, op.inputs[0], op.outputs[0], graph)]
    m = Multiplier.of(x.scale / y.scale)
    params = {"multiplier": m.m, "shift": m.shift, "x_zero": x.zero_point,
              "y_zero": y.zero_point}
    return [Draft(f"quantize_{SUFFIX[x.dtype]}_{SUFFIX[y.dtype]}", params, op.inputs[:1],
                  op.outputs[0], (prod(graph.tensors[op.outputs[0]].shape),))]


def _cast(graph: Graph, op: Op) -> list[Draft]:
    x, y = _q(graph, op.inputs[0]), _q(graph, op.outputs[0])
    if (x.dtype, y.dtype) != ("int8", "int16"):
        raise ModelError(f"the model has a CAST from {x.dtype} to {y.dtype} (it makes "
                         f"{graph.tensors[op.outputs[0]].name!r}); the C kernels widen int8 to "
                         "int16 alone. Export it for TensorFlow Lite Micro: --target tflm")
    return [Draft("cast_s8_s16", {}, op.inputs[:1], op.outputs[0],
                  (prod(graph.tensors[op.outputs[0]].shape),))]


def _softmax(graph: Graph, op: Op) -> list[Draft]:
    x, tensor = _q(graph, op.inputs[0]), graph.tensors[op.inputs[0]]
    beta = op.options["beta"]
    if x.dtype == "int8":
        m = Multiplier.of(min(beta * x.scale * 2.0**26, 2.0**31 - 1.0))
        params = {"multiplier": m.m, "shift": m.shift,
                  "lowest": max(-256, -math.floor(31 * 2.0**26 / 2.0**m.shift))}
    else:
        m = Multiplier.of(float(x.scale) * float(beta) / (10.0 / 65535.0))
        params = {"multiplier": m.m, "shift": m.shift}
    width = tensor.shape[-1]
    return [Draft(f"softmax_{SUFFIX[x.dtype]}", params, op.inputs[:1], op.outputs[0],
                  (width, prod(tensor.shape) // width))]


def _rsqrt(graph: Graph, op: Op) -> list[Draft]:
    x, y = _q(graph, op.inputs[0]), _q(graph, op.outputs[0])
    m = Multiplier.of(1.0 / (math.sqrt(x.scale) * y.scale))
    return [Draft("rsqrt_s16", {"multiplier": m.m, "shift": m.shift}, op.inputs[:1],
                  op.outputs[0], (prod(graph.tensors[op.outputs[0]].shape),))]


def _gather(graph: Graph, op: Op) -> list[Draft]:
    table = graph.tensors[op.inputs[0]]
    params = {"table": table.values, "width": table.shape[1]}
    return [Draft(f"gather_{SUFFIX[table.dtype]}", params, op.inputs[1:], op.outputs[0],
                  (prod(graph.tensors[op.inputs[1]].shape),))]


def _reshape(graph: Graph, op: Op) -> list[Draft]:
    """Nothing to do: `edgernn.plan.memory` gives both the same memory."""
    return [Draft("reshape", {}, op.inputs[:1], op.outputs[0], ())]


def _copy(graph: Graph, x: int, y: int, **params: int) -> Draft:
    return Draft(f"copy_{SUFFIX[graph.tensors[y].dtype]}", params, (x,), y, (),
                 _constants(graph, (x,)))


def _join(graph: Graph, op: Op) -> list[Draft]:
    """CONCATENATION: each part is copied, run by run, to where it belongs."""
    target = graph.tensors[op.outputs[0]]
    axis = op.options["axis"] % len(target.shape)
    outer, whole = prod(target.shape[:axis]), prod(target.shape[axis:])
    drafts, at = [], 0
    for i in op.inputs:
        run = prod(graph.tensors[i].shape[axis:])
        drafts.append(_copy(graph, i, op.outputs[0], runs=outer, length=run, x_begin=0,
                            x_step=run, y_begin=at, y_step=whole))
        at += run
    return drafts


def _block(graph: Graph, op: Op) -> list[Draft]:
    """STRIDED_SLICE of one axis, the others whole and every step 1."""
    tensor = graph.tensors[op.inputs[0]]
    bounds = operands.block(tensor, [graph.tensors[i] for i in op.inputs[1:]], op)
    begin, end, step = zip(*bounds, strict=True) if bounds else ((), (), ())
    cut = [axis for axis, n in enumerate(tensor.shape) if bounds and bounds[axis][:2] != (0, n)]
    if len(cut) > 1 or set(step) != {1}:
        raise ModelError(f"the model has a STRIDED_SLICE (it makes "
                         f"{graph.tensors[op.outputs[0]].name!r}) of several axes, or with steps; "
                         "the C kernels cut one axis. Export it for TensorFlow Lite Micro: "
                         "--target tflm")
    axis = cut[0] if cut else 0
    inner = prod(tensor.shape[axis + 1:])
    length = (end[axis] - begin[axis]) * inner
    return [_copy(graph, op.inputs[0], op.outputs[0], runs=prod(tensor.shape[:axis]),
                  length=length, x_begin=begin[axis] * inner,
                  x_step=tensor.shape[axis] * inner, y_begin=0, y_step=length)]


def _tables_of_tables(drafts: list[Draft]) -> list[Draft]:
    """A table looked up with the result of a table is one table."""
    made: dict[int, Draft] = {}
    done = []
    for draft in drafts:
        first = made.get(draft.inputs[0])
        if draft.kernel == "lut_s8" and first is not None:
            table = draft.params["table"][first.params["table"].astype(np.int64) + 128]
            draft = dataclasses.replace(draft, params={"table": table}, inputs=first.inputs)
        if draft.kernel == "lut_s8":
            made[draft.output] = draft
        done.append(draft)
    return done


def _widened_matmuls(drafts: list[Draft], kept: set[int]) -> list[Draft]:
    """A matmul that only a CAST reads gives int16 at once."""
    readers: dict[int, list[Draft]] = {}
    for draft in drafts:
        for i in draft.inputs:
            readers.setdefault(i, []).append(draft)
    done, widened = [], set()
    for draft in drafts:
        after = readers.get(draft.output, [])
        if draft.kernel == "fc_s8" and draft.output not in kept and len(after) == 1 and (
                after[0].kernel == "cast_s8_s16"):
            draft = dataclasses.replace(draft, kernel="fc_s8_s16", output=after[0].output)
            widened.add(draft.output)
        elif draft.kernel == "cast_s8_s16" and draft.output in widened:
            continue
        done.append(draft)
    return done


def _without_the_unused(drafts: list[Draft], wanted: set[int]) -> list[Draft]:
    kept: list[Draft] = []
    for draft in reversed(drafts):
        if draft.output in wanted:
            kept.append(draft)
            wanted.update(draft.inputs)
    return kept[::-1]


LOWERED: dict[str, Callable[[Graph, Op], list[Draft]]] = {
    "FULLY_CONNECTED": _matmul, **dict.fromkeys(ELEMENTWISE, _elementwise), "FILL": _fill,
    "LOGISTIC": _function, "TANH": _function, "QUANTIZE": _requantize, "CAST": _cast,
    "SOFTMAX": _softmax, "RSQRT": _rsqrt, "GATHER": _gather, "RESHAPE": _reshape,
    "CONCATENATION": _join, "STRIDED_SLICE": _block, "DEPTHWISE_CONV_2D": _depthwise,
    "BATCH_MATMUL": _batch_matmul}
"""What makes calls of an op."""
