"""Read a .tflite graph: numpy and the standard library, and every offset checked.

An interpreter trusts its file: one flipped bit in an offset can end the process.  So a
file is read here first, and what this reader accepts is whole: every offset lies inside,
every index points to something, constants have the size of their shape, and ops
use only what was made before.  Of the ops that edgernn emits, numbers of operands, types,
shapes and scales are checked too: interpreters abort on some that disagree.

The format is FlatBuffers (little endian; tables with vtables) with TensorFlow Lite's
schema, version 3: tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ModelError
from edgernn.quant import QType

DTYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16",
          9: "int8", 10: "float64", 16: "uint16", 15: "uint32", 12: "uint64"}
"""numpy names of the schema's TensorType; types left out are refused."""

OPS = {0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D",
       6: "DEQUANTIZE", 9: "FULLY_CONNECTED", 14: "LOGISTIC", 17: "MAX_POOL_2D", 18: "MUL",
       19: "RELU", 22: "RESHAPE", 25: "SOFTMAX", 28: "TANH", 34: "PAD", 36: "GATHER", 40: "MEAN",
       41: "SUB", 45: "STRIDED_SLICE", 49: "SPLIT", 53: "CAST", 76: "RSQRT", 83: "PACK",
       102: "SPLIT_V", 114: "QUANTIZE", 126: "BATCH_MATMUL", 129: "CALL_ONCE", 142: "VAR_HANDLE",
       143: "READ_VARIABLE", 144: "ASSIGN_VARIABLE"}
"""Names of the schema's BuiltinOperator, as far as edgernn has met them."""

ACTIVATIONS = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH"}

OPTIONS: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "FULLY_CONNECTED": {"activation": (4, "b")},
    "ADD": {"activation": (4, "b")},
    "SUB": {"activation": (4, "b")},
    "MUL": {"activation": (4, "b")},
    "SOFTMAX": {"beta": (4, "f")},
    "GATHER": {"axis": (4, "i"), "batch_dims": (6, "i")},
    "BATCH_MATMUL": {"adj_x": (4, "?"), "adj_y": (6, "?")},
    "CONCATENATION": {"axis": (4, "i"), "activation": (6, "b")},
    "STRIDED_SLICE": {"begin_mask": (4, "i"), "end_mask": (6, "i"), "ellipsis_mask": (8, "i"),
                      "new_axis_mask": (10, "i"), "shrink_axis_mask": (12, "i"),
                      "offset": (14, "?")},
    "DEPTHWISE_CONV_2D": {"padding": (4, "b"), "stride_w": (6, "i"), "stride_h": (8, "i"),
                          "depth_multiplier": (10, "i"), "activation": (12, "b"),
                          "dilation_w": (14, "i"), "dilation_h": (16, "i")},
}
"""For each op, the options worth knowing: place in the vtable and struct format."""

LARGEST_RANK = 8
BROADCAST_RANK = 4
"""Of what slices, elementwise ops and softmaxes take in every interpreter."""
MOST_JOINED = 10
"""Inputs of a CONCATENATION; TFLM has room for no more."""
LARGEST_TENSOR = 2**28
"""Values; interpreters count bytes in 32 bits."""

OPERANDS = {"FULLY_CONNECTED": (2, 3), "ADD": (2, 2), "SUB": (2, 2), "MUL": (2, 2),
            "LOGISTIC": (1, 1), "TANH": (1, 1), "SOFTMAX": (1, 1), "RSQRT": (1, 1),
            "QUANTIZE": (1, 1), "CAST": (1, 1), "GATHER": (2, 2), "RESHAPE": (2, 2),
            "BATCH_MATMUL": (2, 2), "CONCATENATION": (1, MOST_JOINED), "STRIDED_SLICE": (4, 4),
            "DEPTHWISE_CONV_2D": (3, 3)}
"""Fewest and most inputs of the ops that edgernn emits, which are those checked closely."""

BIASES = {"int8": ("int32",), "int16": ("int64", "int32")}
"""What may be added to a matmul of that type."""


@dataclass(frozen=True)
class Tensor:
    """One tensor."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """numpy name."""
    scales: tuple[float, ...]
    """Empty if it is not quantized, one, or one per index along `axis`."""
    zero_points: tuple[int, ...]
    """As many as scales."""
    axis: int
    """Dimension along which there are several scales."""
    data: NDArray[Any] | None
    """A constant's values, read-only; None if it is computed."""

    @property
    def values(self) -> NDArray[Any]:
        """Values of a constant; `read` has checked where one is needed."""
        assert self.data is not None, f"{self.name} is computed"
        return self.data

    @property
    def qtype(self) -> QType:
        """Its type, where one scale serves the whole tensor.

        Raises
        ------
        ModelError
            If it has none, or several.
        """
        if len(self.scales) != 1:
            raise ModelError(f"tensor {self.name!r} has {len(self.scales)} scales; one was needed. "
                             "Make the model again: edgernn quantize")
        return QType(self.dtype, self.scales[0], self.zero_points[0])


@dataclass(frozen=True)
class Op:
    """One operation."""

    name: str
    """As in the schema: FULLY_CONNECTED."""
    version: int
    inputs: tuple[int, ...]
    """Indices of tensors; -1 for an optional one that is absent."""
    outputs: tuple[int, ...]
    options: Mapping[str, Any]
    """`activation` (a name), `beta`, `axis`, where the op has them."""


@dataclass(frozen=True)
class Graph:
    """The main subgraph of a model."""

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    """In the order in which they run."""
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @cached_property
    def _by_name(self) -> dict[str, Tensor]:
        return {tensor.name: tensor for tensor in self.tensors}

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name.

        Raises
        ------
        ModelError
            If there is none.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise ModelError(f"the model has no tensor {name!r}; it has "
                             f"{', '.join(self._by_name)[:200]}") from None


def read(data: bytes | memoryview) -> Graph:
    """Read and verify a .tflite.

    Raises
    ------
    ModelError
        If it is not a FlatBuffer with the identifier TFL3, or is damaged.
    """
    view = memoryview(data)
    if len(view) < 8 or bytes(view[4:8]) != b"TFL3":
        raise ModelError(f"the file begins with {bytes(view[:8])!r}; a TensorFlow Lite model has "
                         "TFL3 at byte 4. Give a .tflite made by edgernn quantize")
    try:
        return _model(_Table(view, _u32(view, 0)))
    except (struct.error, IndexError, ValueError, OverflowError, RecursionError) as problem:
        raise ModelError(f"the model is damaged ({problem}). "
                         "Copy it again, or make it again: edgernn quantize") from problem


class _Table:
    """A FlatBuffers table: fields found through its vtable."""

    def __init__(self, view: memoryview, at: int) -> None:
        self.view, self.at = view, at
        if not 0 <= at <= len(view) - 4:
            raise ValueError(f"a table at byte {at} of {len(view)}")
        self._vtable = at - struct.unpack_from("<i", view, at)[0]
        if not 0 <= self._vtable <= len(view) - 4:
            raise ValueError(f"a vtable at byte {self._vtable} of {len(view)}")
        self._size = struct.unpack_from("<H", view, self._vtable)[0]

    def where(self, slot: int) -> int:
        """Byte of a field, or 0 if it is absent and has its default."""
        if slot + 2 > self._size:
            return 0
        offset = struct.unpack_from("<H", self.view, self._vtable + slot)[0]
        return self.at + offset if offset else 0

    def number(self, slot: int, kind: str, default: Any = 0) -> Any:
        """A scalar field."""
        at = self.where(slot)
        return struct.unpack_from("<" + kind, self.view, at)[0] if at else default

    def table(self, slot: int) -> "_Table | None":
        """A field that is a table."""
        at = self.where(slot)
        return _Table(self.view, at + _u32(self.view, at)) if at else None

    def array(self, slot: int, dtype: str) -> NDArray[Any]:
        """A field that is a vector of numbers: a read-only view."""
        at = self.where(slot)
        if not at:
            return np.zeros(0, dtype)
        at += _u32(self.view, at)
        count, size = _u32(self.view, at), np.dtype(dtype).itemsize
        if at + 4 + count * size > len(self.view):
            raise ValueError(f"a vector of {count} at byte {at} of {len(self.view)}")
        array = np.frombuffer(self.view, np.dtype(dtype).newbyteorder("<"), count, at + 4)
        array.flags.writeable = False
        return array

    def text(self, slot: int) -> str:
        """A field that is a string."""
        return self.array(slot, "uint8").tobytes().decode("utf-8")

    def tables(self, slot: int) -> list["_Table"]:
        """A field that is a vector of tables."""
        at = self.where(slot)
        start = at + _u32(self.view, at) + 4 if at else 0
        offsets = self.array(slot, "uint32")
        return [_Table(self.view, start + 4 * i + int(offset))
                for i, offset in enumerate(offsets)]


def _u32(view: memoryview, at: int) -> int:
    value: int = struct.unpack_from("<I", view, at)[0]
    return value


def _model(model: _Table) -> Graph:
    version = model.number(4, "I")
    if version != 3:
        raise ValueError(f"schema version {version}, not 3")
    subgraphs, buffers = model.tables(8), model.tables(12)
    if not subgraphs:
        raise ValueError("no subgraph")
    main = subgraphs[0]
    tensors = tuple(_tensor(table, buffers) for table in main.tables(4))
    codes = [_opcode(table) for table in model.tables(6)]
    ops = tuple(_op(table, codes) for table in main.tables(10))
    graph = Graph(tensors, ops, _indices(main, 6), _indices(main, 8))
    _check_order(graph)
    for op in ops:
        if op.name in OPERANDS:
            _check_op(graph, op)
    return graph


def _tensor(table: _Table, buffers: list[_Table]) -> Tensor:
    name, kind = table.text(10), table.number(6, "b")
    if kind not in DTYPES:
        raise ValueError(f"tensor {name!r} has type {kind}")
    shape = tuple(int(n) for n in table.array(4, "int32"))
    if len(shape) > LARGEST_RANK or any(n < 0 for n in shape):
        raise ValueError(f"tensor {name!r} has shape {shape}")
    scales, zero_points, axis = _quantization(table.table(12), name, shape)
    data = buffers[table.number(8, "I")].array(4, "uint8")
    constant = None
    if data.size:
        dtype = np.dtype(DTYPES[kind])
        if data.size != prod(shape) * dtype.itemsize:
            raise ValueError(f"tensor {name!r} of shape {shape} has {data.size} bytes")
        constant = np.frombuffer(data.tobytes(), dtype.newbyteorder("<")).reshape(shape)
    return Tensor(name, shape, DTYPES[kind], scales, zero_points, axis, constant)


def _quantization(
    table: _Table | None, name: str, shape: tuple[int, ...]
) -> tuple[tuple[float, ...], tuple[int, ...], int]:
    if table is None:
        return (), (), 0
    scales, zeros = table.array(8, "float32"), table.array(10, "int64")
    axis = table.number(16, "i")
    if len(scales) != len(zeros) and len(zeros):
        raise ValueError(f"tensor {name!r} has {len(scales)} scales and {len(zeros)} zero points")
    if len(scales) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(scales)):
        raise ValueError(f"tensor {name!r} of shape {shape} has {len(scales)} scales")
    if not np.isfinite(scales).all() or (scales <= 0).any():
        raise ValueError(f"tensor {name!r} has a scale that is not above 0")
    points = zeros if len(zeros) else np.zeros(len(scales), np.int64)
    return (tuple(float(s) for s in scales), tuple(int(z) for z in points), axis)


def _opcode(table: _Table) -> tuple[str, int]:
    # Old writers fill only the first field, which has one byte; the larger of the two holds.
    code = max(table.number(4, "b"), table.number(10, "i"))
    return OPS.get(code, f"OP_{code}"), table.number(8, "i", 1)


def _op(table: _Table, codes: list[tuple[str, int]]) -> Op:
    name, version = codes[table.number(4, "I")]
    known, chosen = OPTIONS.get(name, {}), table.table(12)
    options = {key: chosen.number(slot, kind) if chosen else 0
               for key, (slot, kind) in known.items()}
    if "activation" in options:
        if options["activation"] not in ACTIVATIONS:
            raise ValueError(f"{name} has activation {options['activation']}")
        options["activation"] = ACTIVATIONS[options["activation"]]
    return Op(name, version, _indices(table, 6), _indices(table, 8), options)


def _indices(table: _Table, slot: int) -> tuple[int, ...]:
    return tuple(int(i) for i in table.array(slot, "int32"))


def _check_order(graph: Graph) -> None:
    """Every index points to a tensor that is there by then."""
    count = len(graph.tensors)
    there = {i for i, tensor in enumerate(graph.tensors) if tensor.data is not None}

    def check(indices: tuple[int, ...], what: str) -> None:
        for i in indices:
            if not 0 <= i < count:
                raise ValueError(f"{what} names tensor {i} of {count}")

    check(graph.inputs, "the list of inputs")
    check(graph.outputs, "the list of outputs")
    there.update(graph.inputs)
    for op in graph.ops:
        used = tuple(i for i in op.inputs if i != -1)
        check(used, op.name)
        check(op.outputs, op.name)
        early = [i for i in used if i not in there]
        if early:
            raise ValueError(f"{op.name} uses {graph.tensors[early[0]].name!r} before it is made")
        if any(i in there for i in op.outputs):
            raise ValueError(f"{op.name} writes a tensor that is there already")
        there.update(op.outputs)
    missing = [i for i in graph.outputs if i not in there]
    if missing:
        raise ValueError(f"the output {graph.tensors[missing[0]].name!r} is never made")
    ends = {*graph.inputs, *graph.outputs}
    if len({graph.tensors[i].name for i in ends}) != len(ends):
        raise ValueError("two inputs or outputs have one name")


def _check_op(graph: Graph, op: Op) -> None:
    """An op of `OPERANDS` has operands that fit each other."""
    fewest, most = OPERANDS[op.name]
    if not fewest <= len(op.inputs) <= most or len(op.outputs) != 1 or -1 in op.inputs[:2]:
        raise ValueError(f"{op.name} has inputs {op.inputs} and outputs {op.outputs}")
    tensors = [graph.tensors[i] for i in (*op.inputs, *op.outputs) if i >= 0]
    for tensor in tensors:
        if not 0 < prod(tensor.shape) <= LARGEST_TENSOR:
            raise ValueError(f"{op.name} has {tensor.name!r} of shape {tensor.shape}")
    x, y = tensors[0], tensors[-1]
    if op.name == "GATHER":
        return _check_gather(x, tensors[1], y, op)
    if op.name == "RESHAPE":
        return _check_reshape(x, tensors[1], y)
    if op.name == "STRIDED_SLICE":
        return _check_slice(x, tensors[1:4], y, op)
    if op.name == "CONCATENATION":
        return _check_concatenation(tensors[:-1], y, op)
    if op.name == "DEPTHWISE_CONV_2D":
        for tensor in (x, y):
            _check_scale(tensor, op)
        return _check_depthwise(x, tensors[1], tensors[2], y, op)
    values = [x, y] if op.name == "FULLY_CONNECTED" else tensors
    if op.name not in ("QUANTIZE", "CAST") and len({t.dtype for t in values}) != 1:
        raise ValueError(f"{op.name} mixes {', '.join(t.dtype for t in values)}")
    if op.name != "CAST":
        for tensor in values:
            _check_scale(tensor, op)
    if op.name == "FULLY_CONNECTED":
        _check_matmul(x, tensors[1], tensors[2] if len(tensors) == 4 else None, y)
    elif op.name == "BATCH_MATMUL":
        _check_batch_matmul(x, tensors[1], y, op)
    elif any(len(t.shape) > BROADCAST_RANK for t in tensors):
        raise ValueError(f"{op.name} makes {y.name!r} of shape {y.shape}; at most "
                         f"{BROADCAST_RANK} dimensions are possible")
    elif np.broadcast_shapes(*(t.shape for t in tensors[:-1])) != y.shape:
        raise ValueError(f"{op.name} makes {y.name!r} of shape {y.shape} from "
                         f"{', '.join(str(t.shape) for t in tensors[:-1])}")


def _check_scale(tensor: Tensor, op: Op) -> None:
    """An int8 or int16 has one scale, and a zero point among its values."""
    if tensor.dtype not in BIASES:
        return
    low, high = (-128, 127) if tensor.dtype == "int8" else (0, 0)
    if len(tensor.scales) != 1 or not low <= tensor.zero_points[0] <= high:
        raise ValueError(f"{op.name} has {tensor.name!r} of {tensor.dtype} with scales "
                         f"{tensor.scales[:3]} and zero points {tensor.zero_points[:3]}")


def _check_batch_matmul(a: Tensor, b: Tensor, y: Tensor, op: Op) -> None:
    """Matrices, computed or given: (1, m, k) by (1, k, n), or so many heads of them."""
    right = (*b.shape[:-2], *b.shape[:-3:-1]) if op.options["adj_y"] else b.shape
    if op.options["adj_x"] or len(a.shape) not in (3, 4) or (
            right[:-1] != (*a.shape[:-2], a.shape[-1]) or y.shape != (*a.shape[:-1], right[-1])):
        raise ValueError(f"BATCH_MATMUL makes {y.name!r} of shape {y.shape} from {a.name!r} of "
                         f"shape {a.shape} and {b.name!r} of shape {b.shape}, {dict(op.options)}")


def _one_type(*tensors: Tensor) -> bool:
    """Whether all have one type, so that their integers mean the same."""
    return len({(t.dtype, t.scales, t.zero_points) for t in tensors}) == 1


def _check_concatenation(parts: list[Tensor], y: Tensor, op: Op) -> None:
    """Parts of one type, and of one shape but for the axis on which they are joined."""
    rank = len(y.shape)
    axis = op.options["axis"] + (rank if op.options["axis"] < 0 else 0)
    good = 0 < axis < rank and op.options["activation"] == "NONE" and _one_type(*parts, y) and all(
        len(part.shape) == rank for part in parts)
    if not good or any((*part.shape[:axis], *part.shape[axis + 1:])
                       != (*y.shape[:axis], *y.shape[axis + 1:]) for part in parts) or (
            sum(part.shape[axis] for part in parts) != y.shape[axis]):
        raise ValueError(f"CONCATENATION makes {y.name!r} of shape {y.shape} from "
                         f"{', '.join(str(part.shape) for part in parts)}, {dict(op.options)}")


def _check_slice(x: Tensor, bounds: list[Tensor], y: Tensor, op: Op) -> None:
    """Begin, end and step of every dimension are constants within it; no mask is used."""
    given = [tuple(int(n) for n in b.data) for b in bounds
             if b.data is not None and b.shape == (len(x.shape),) and b.dtype == "int32"]
    good = len(given) == 3 and not any(op.options.values()) and _one_type(x, y) and (
        len(x.shape) <= BROADCAST_RANK) and all(
        0 <= begin < end <= n and step > 0
        for begin, end, step, n in zip(*given, x.shape, strict=True))
    if not good or y.shape != tuple(len(range(*one)) for one in zip(*given, strict=True)):
        raise ValueError(f"STRIDED_SLICE makes {y.name!r} of shape {y.shape} from {x.name!r} of "
                         f"shape {x.shape}: {given}, {dict(op.options)}")


def _check_depthwise(x: Tensor, weights: Tensor, bias: Tensor, y: Tensor, op: Op) -> None:
    """A column of frames under a column of weights, each channel by itself, to one frame."""
    options = dict(op.options)
    plain = {"padding": (1,), "stride_w": (1,), "stride_h": (1,), "depth_multiplier": (1,),
             "activation": ("NONE", "RELU"), "dilation_w": (0, 1), "dilation_h": (0, 1)}
    if len(x.shape) != 4 or x.shape[0] != 1 or x.shape[2] != 1 or weights.shape != x.shape or (
            y.shape != (1, 1, 1, x.shape[3]) or bias.shape != (x.shape[3],)
            or any(options[key] not in allowed for key, allowed in plain.items())):
        raise ValueError(f"DEPTHWISE_CONV_2D makes {y.name!r} of shape {y.shape} from {x.name!r} "
                         f"of shape {x.shape} and weights of shape {weights.shape}, {options}")
    if weights.dtype != "int8" or len(weights.scales) not in (1, x.shape[3]) or (
            weights.axis != 3 and len(weights.scales) > 1) or any(weights.zero_points) or (
            weights.data is None or bias.data is None
            or bias.dtype != {"int8": "int32", "int16": "int64"}.get(x.dtype)):
        raise ValueError(f"{weights.name!r} is {weights.dtype} with {len(weights.scales)} scales "
                         f"and {bias.name!r} is {bias.dtype} beside {x.dtype}")


def _check_gather(table: Tensor, ids: Tensor, y: Tensor, op: Op) -> None:
    """Rows of a constant table; which row is asked for is checked where tokens come in."""
    if table.data is None or len(table.shape) != 2 or ids.dtype != "int32" or any(
            op.options.values()) or y.shape != (*ids.shape, table.shape[1]) or (
            y.dtype, y.scales, y.zero_points) != (table.dtype, table.scales, table.zero_points):
        raise ValueError(f"GATHER makes {y.name!r} of shape {y.shape} from the table "
                         f"{table.name!r} of shape {table.shape} and {ids.dtype} {ids.shape}")


def _check_reshape(x: Tensor, shape: Tensor, y: Tensor) -> None:
    """The shape asked for is the shape made, of as many values, of one type."""
    if shape.data is None or shape.dtype != "int32" or tuple(shape.data) != y.shape or (
            prod(x.shape) != prod(y.shape)) or (
            x.dtype, x.scales, x.zero_points) != (y.dtype, y.scales, y.zero_points):
        raise ValueError(f"RESHAPE makes {y.name!r} of shape {y.shape} from {x.name!r} of shape "
                         f"{x.shape}")


def _check_matmul(x: Tensor, weights: Tensor, bias: Tensor | None, y: Tensor) -> None:
    """Sizes of a FULLY_CONNECTED multiply out, and its bias is as wide as its sums."""
    if len(weights.shape) != 2:
        raise ValueError(f"{weights.name!r} has shape {weights.shape}, not (outputs, inputs)")
    outputs, inputs = weights.shape
    rows, rest = divmod(prod(x.shape), inputs)
    if rest or prod(y.shape) != rows * outputs or (bias and prod(bias.shape) != outputs):
        raise ValueError(f"a matmul with {weights.name!r} of shape {weights.shape} goes from "
                         f"{x.shape} to {y.shape}, bias {bias.shape if bias else 'absent'}")
    if x.dtype not in BIASES:
        return
    if weights.dtype != "int8" or not weights.scales or (weights.axis and len(weights.scales) > 1):
        raise ValueError(f"{weights.name!r} is {weights.dtype} with {len(weights.scales)} scales")
    if bias and bias.dtype not in BIASES[x.dtype]:
        raise ValueError(f"{bias.name!r} is {bias.dtype} beside {x.dtype}")
