"""Read a .tflite: numpy and the standard library, and every offset checked.

An interpreter trusts its file: one flipped bit in an offset can end the process.  So a
file is read here first, and what this reader accepts is whole: every offset lies inside,
every index points to something, constants have the size of their shape, ops use only what
was made before, and their operands fit each other (`edgernn.operands`).

The format is FlatBuffers (little endian; tables with vtables) with TensorFlow Lite's
schema, version 3: tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

import contextlib
import struct
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import operands
from edgernn.errors import EdgernnError, ModelError
from edgernn.graph import Graph, Op, Tensor

RESOURCE = 13
"""The schema's type of a handle."""

DTYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16",
          9: "int8", 10: "float64", 16: "uint16", 15: "uint32", 12: "uint64", RESOURCE: "resource"}
"""numpy names of the schema's TensorType, but for `resource`, a variable's handle; types left out
are refused."""

OPS = {0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D",
       6: "DEQUANTIZE", 9: "FULLY_CONNECTED", 14: "LOGISTIC", 17: "MAX_POOL_2D", 18: "MUL",
       19: "RELU", 22: "RESHAPE", 25: "SOFTMAX", 28: "TANH", 34: "PAD", 36: "GATHER", 40: "MEAN",
       41: "SUB", 45: "STRIDED_SLICE", 49: "SPLIT", 53: "CAST", 76: "RSQRT", 83: "PACK",
       102: "SPLIT_V", 114: "QUANTIZE", 126: "BATCH_MATMUL", 129: "CALL_ONCE", 142: "VAR_HANDLE",
       143: "READ_VARIABLE", 144: "ASSIGN_VARIABLE"}
"""Names of the schema's BuiltinOperator, as far as edgernn has met them."""

CUSTOM = 32
"""The code of ops that have a name of their own, such as edgetpu-custom-op."""

ACTIVATIONS = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH"}

TEXT = "text"
"""In place of a struct format: a string."""
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
    "CALL_ONCE": {"subgraph": (4, "i")},
    "VAR_HANDLE": {"variable": (6, TEXT)},
}
"""For each op, the options worth knowing: place in the vtable and struct format, or `TEXT`."""

LARGEST_RANK = 8


def read(data: bytes | memoryview, subgraph: int = 0, *, to_run: bool = True) -> Graph:
    """Read and verify a .tflite: its main subgraph, or another.

    Parameters
    ----------
    data : bytes
    subgraph : int
    to_run : bool
        Refuse ops whose operands do not fit each other, which may end an interpreter's process.
        Not so for a look at a model that will not be run.

    Raises
    ------
    ModelError
        If it is not a FlatBuffer with the identifier TFL3, or is damaged.
    """
    view = memoryview(data)
    if len(view) < 8 or bytes(view[4:8]) != b"TFL3":
        raise ModelError(f"the file begins with {bytes(view[:8])!r}; a TensorFlow Lite model has "
                         "TFL3 at byte 4. Give a .tflite made by edgernn quantize")
    with reading():
        graph = _model(Table(view, u32(view, 0)), subgraph)
        for op in graph.ops if to_run else ():
            operands.check(graph, op)
        return graph


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Whatever reading a model stumbles over within the block is a `ModelError`."""
    try:
        yield
    except EdgernnError:
        raise
    except (struct.error, IndexError, ValueError, OverflowError, RecursionError) as problem:
        raise ModelError(f"the model is damaged ({problem}). "
                         "Copy it again, or make it again: edgernn quantize") from problem


def description(data: bytes | memoryview) -> str:
    """What the maker of a .tflite wrote into it; empty if it cannot be read."""
    view = memoryview(data)
    try:
        return Table(view, u32(view, 0)).text(10)
    except (struct.error, IndexError, ValueError, OverflowError):
        return ""


def signature(data: bytes | memoryview) -> tuple[dict[int, str], dict[int, str]]:
    """Names of inputs and outputs by tensor, as the model's first signature calls them.

    Converters give tensors names of their own; those that somebody chose are here.

    Raises
    ------
    ModelError
        If that part of the file is damaged, which `read` does not look at.
    """
    view = memoryview(data)
    with reading():
        found = Table(view, u32(view, 0)).tables(18)
        inputs, outputs = ({one.number(6, "I"): one.text(4) for one in found[0].tables(slot)}
                           if found else {} for slot in (4, 6))
    return inputs, outputs


class Table:
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

    def table(self, slot: int) -> "Table | None":
        """A field that is a table."""
        at = self.where(slot)
        return Table(self.view, at + u32(self.view, at)) if at else None

    def array(self, slot: int, dtype: str) -> NDArray[Any]:
        """A field that is a vector of numbers: a read-only view."""
        at = self.where(slot)
        if not at:
            return np.zeros(0, dtype)
        at += u32(self.view, at)
        count, size = u32(self.view, at), np.dtype(dtype).itemsize
        if at + 4 + count * size > len(self.view):
            raise ValueError(f"a vector of {count} at byte {at} of {len(self.view)}")
        array = np.frombuffer(self.view, np.dtype(dtype).newbyteorder("<"), count, at + 4)
        array.flags.writeable = False
        return array

    def text(self, slot: int) -> str:
        """A field that is a string."""
        return self.array(slot, "uint8").tobytes().decode("utf-8")

    def tables(self, slot: int) -> list["Table"]:
        """A field that is a vector of tables."""
        at = self.where(slot)
        start = at + u32(self.view, at) + 4 if at else 0
        offsets = self.array(slot, "uint32")
        return [Table(self.view, start + 4 * i + int(offset))
                for i, offset in enumerate(offsets)]


def u32(view: memoryview, at: int) -> int:
    value: int = struct.unpack_from("<I", view, at)[0]
    return value


def _model(model: Table, subgraph: int) -> Graph:
    version = model.number(4, "I")
    if version != 3:
        raise ValueError(f"schema version {version}, not 3")
    subgraphs, buffers = model.tables(8), model.tables(12)
    if not 0 <= subgraph < len(subgraphs):
        raise ValueError(f"no subgraph {subgraph}")
    chosen = subgraphs[subgraph]
    tensors = tuple(_tensor(table, buffers) for table in chosen.tables(4))
    codes = [_opcode(table) for table in model.tables(6)]
    ops = tuple(_op(table, codes) for table in chosen.tables(10))
    graph = Graph(tensors, ops, _indices(chosen, 6), _indices(chosen, 8))
    _check_order(graph)
    return graph


def _tensor(table: Table, buffers: list[Table]) -> Tensor:
    name, kind = table.text(10), table.number(6, "b")
    if kind not in DTYPES:
        raise ValueError(f"tensor {name!r} has type {kind}")
    shape = tuple(int(n) for n in table.array(4, "int32"))
    if len(shape) > LARGEST_RANK or any(n < 0 for n in shape):
        raise ValueError(f"tensor {name!r} has shape {shape}")
    scales, zero_points, axis = _quantization(table.table(12), name, shape)
    data = buffers[table.number(8, "I")].array(4, "uint8")
    constant = None
    if data.size and kind == RESOURCE:
        raise ValueError(f"tensor {name!r} is a variable's handle with values")
    if data.size:
        dtype = np.dtype(DTYPES[kind])
        if data.size != prod(shape) * dtype.itemsize:
            raise ValueError(f"tensor {name!r} of shape {shape} has {data.size} bytes")
        constant = np.frombuffer(data.tobytes(), dtype.newbyteorder("<")).reshape(shape)
    return Tensor(name, shape, DTYPES[kind], scales, zero_points, axis, constant)


def _quantization(
    table: Table | None, name: str, shape: tuple[int, ...]
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


def _opcode(table: Table) -> tuple[str, int]:
    # Old writers fill only the first field, which has one byte; the larger of the two holds.
    code = max(table.number(4, "b"), table.number(10, "i"))
    if code == CUSTOM:
        return table.text(6) or "CUSTOM", table.number(8, "i", 1)
    return OPS.get(code, f"OP_{code}"), table.number(8, "i", 1)


def _op(table: Table, codes: list[tuple[str, int]]) -> Op:
    name, version = codes[table.number(4, "I")]
    known, chosen = OPTIONS.get(name, {}), table.table(12)
    options = {key: _option(chosen, slot, kind) for key, (slot, kind) in known.items()}
    if "activation" in options:
        if options["activation"] not in ACTIVATIONS:
            raise ValueError(f"{name} has activation {options['activation']}")
        options["activation"] = ACTIVATIONS[options["activation"]]
    return Op(name, version, _indices(table, 6), _indices(table, 8), options)


def _option(chosen: Table | None, slot: int, kind: str) -> Any:
    if kind == TEXT:
        return chosen.text(slot) if chosen else ""
    return chosen.number(slot, kind) if chosen else 0


def _indices(table: Table, slot: int) -> tuple[int, ...]:
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
