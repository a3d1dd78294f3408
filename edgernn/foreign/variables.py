"""Variables inside a graph, turned into inputs and outputs.

A model whose memory is in variables (VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE, and a CALL_ONCE
that gives them their first values) keeps it in the interpreter, where it can be neither saved nor
held, and LiteRT cannot even reset it.  So the graph is changed before it is run: what is read is
an input, what is assigned is an output, and the ops that moved values are gone.  All other ops
stay as they are, and so do their bytes.

The FlatBuffer is changed in place, which needs nothing but its layout: a vector of ops gets
shorter, and the new lists of inputs and outputs are put behind everything else, where the
subgraph's offsets are made to point.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import tflite
from edgernn.errors import ModelError
from edgernn.graph import Graph
from edgernn.spec import StatePair
from edgernn.tflite import Table, u32

MOVERS = ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")
"""Ops that go."""
REMEDY = "Make it with its states as inputs and outputs"

# Slots of the schema's Model, SubGraph, Operator and Tensor.
SUBGRAPHS, TENSORS, INPUTS, OUTPUTS, OPERATORS, OPERANDS, IS_VARIABLE = 8, 4, 6, 8, 10, 6, 14


@dataclass(frozen=True)
class Lifted:
    """A model without variables."""

    flatbuffer: bytes
    states: tuple[StatePair, ...]
    begins: Mapping[str, NDArray[Any]]
    """First value of every state, by the name of its input."""


def lift(data: bytes) -> Lifted:
    """Turn the variables of a model into states; one without any comes back as it is.

    Raises
    ------
    ModelError
        If a variable has no constant first value, or is not both read and written at every
        step, or is written with what came in: such a model cannot be changed so.  Or if there is
        a memory that is no variable of the main graph: an interpreter would keep it unseen.
    """
    with tflite.reading():
        return _lift(data, tflite.read(data))


def _lift(data: bytes, graph: Graph) -> Lifted:
    _check_hidden(data, graph)
    if not any(op.name in MOVERS for op in graph.ops):
        return Lifted(data, (), {})
    firsts = _first_values(data, graph)
    walk = _walk(graph)
    pairs, begins = [], {}
    for variable, before in walk.read.items():
        tensor, after = graph.tensors[before], walk.written.get(variable)
        if variable not in firsts:
            raise ModelError(f"the variable {variable!r} has no first value that is a constant: "
                             f"what it holds at the start cannot be known. {REMEDY}")
        if after is None or after in (*graph.inputs, *walk.read.values()):
            what = "never written" if after is None else (
                f"set to {graph.tensors[after].name!r}, which is not computed")
            raise ModelError(f"the variable {variable!r} is {what}; a state that every step "
                             f"computes was needed. {REMEDY}")
        first = firsts[variable]
        if (first.shape, first.dtype) != (tensor.shape, np.dtype(tensor.dtype)):
            raise ModelError(f"the variable {variable!r} begins as {first.dtype}"
                             f"{list(first.shape)}, but is read as {tensor.dtype}"
                             f"{list(tensor.shape)}. {REMEDY}")
        pairs.append(StatePair(tensor.name, graph.tensors[after].name))
        begins[tensor.name] = first
    outputs = [walk.same.get(i, i) for i in graph.outputs]
    outputs += [i for v in walk.read if (i := walk.written[v]) not in outputs]
    flatbuffer = _changed(data, graph, walk.same, [*graph.inputs, *walk.read.values()],
                          list(dict.fromkeys(outputs)))
    return Lifted(flatbuffer, tuple(pairs), begins)


def _check_hidden(data: bytes, graph: Graph) -> None:
    """No memory within ops (an SVDF, a fused LSTM), nor in bodies of loops and branches."""
    view = memoryview(data)
    subgraphs = Table(view, u32(view, 0)).tables(SUBGRAPHS)
    for i, table in enumerate(subgraphs[0].tables(TENSORS)):
        if table.number(IS_VARIABLE, "?", False):
            used = next((op.name for op in graph.ops if i in op.inputs), "no op")
            raise ModelError(f"the tensor {graph.tensors[i].name!r}, which {used} uses, is a "
                             f"memory within the interpreter. {REMEDY}")
    called = {op.options["subgraph"] for op in graph.ops if op.name == "CALL_ONCE"}
    for number in set(range(1, len(subgraphs))) - called:
        if any(op.name in MOVERS for op in tflite.read(data, number).ops):
            raise ModelError(f"subgraph {number} of the model, a loop's or a branch's body, has "
                             f"variables. {REMEDY}")


@dataclass
class _Walk:
    """What happens to variables in one step."""

    read: dict[str, int] = field(default_factory=dict)
    """Tensor that a variable's value of the step before is read into, by variable."""
    written: dict[str, int] = field(default_factory=dict)
    """Tensor that was assigned last."""
    same: dict[int, int] = field(default_factory=dict)
    """Tensors that were read, and the tensor that holds the same values already."""


def _walk(graph: Graph) -> _Walk:
    walk, handles = _Walk(), _handles(graph)
    for op in graph.ops:
        if op.name == "READ_VARIABLE":
            variable, made = handles[op.inputs[0]], op.outputs[0]
            now = walk.written.get(variable, walk.read.get(variable))
            if now is None:
                walk.read[variable] = made
            else:
                walk.same[made] = now
        elif op.name == "ASSIGN_VARIABLE":
            value = op.inputs[1]
            walk.written[handles[op.inputs[0]]] = walk.same.get(value, value)
    return walk


def _handles(graph: Graph) -> dict[int, str]:
    """The variable behind every handle, by the handle's tensor."""
    found = {op.outputs[0]: op.options["variable"] for op in graph.ops
             if op.name == "VAR_HANDLE"}
    for op in graph.ops:
        if op.name in MOVERS[2:] and op.inputs[0] not in found:
            raise ModelError(f"{op.name} has a handle that no VAR_HANDLE made. {REMEDY}")
    return found


def _first_values(data: bytes, graph: Graph) -> dict[str, NDArray[Any]]:
    """The constants that the subgraphs called once assign, by variable."""
    found = {}
    for call in graph.ops:
        if call.name == "CALL_ONCE":
            once = tflite.read(data, call.options["subgraph"])
            handles = _handles(once)
            for op in once.ops:
                assigns = op.name == "ASSIGN_VARIABLE"
                value = once.tensors[op.inputs[1]].data if assigns else None
                if value is not None:
                    found[handles[op.inputs[0]]] = value
    return found


def _changed(data: bytes, graph: Graph, same: Mapping[int, int], inputs: list[int],
             outputs: list[int]) -> bytes:
    """The FlatBuffer without the ops of `MOVERS`, with other inputs and outputs.

    `graph` is what was read of it, so its offsets are known to be good.
    """
    buffer = bytearray(data)
    model = Table(memoryview(data), u32(memoryview(data), 0))
    subgraphs = model.tables(SUBGRAPHS)
    main = subgraphs[0]
    tables = main.tables(OPERATORS)
    kept = [table for table, op in zip(tables, graph.ops, strict=True) if op.name not in MOVERS]
    at = _vector(main, OPERATORS)
    _put(buffer, at, len(kept))
    for i, table in enumerate(kept):
        place = at + 4 * (i + 1)
        _put(buffer, place, table.at - place)
        # What was read again is what was read or assigned before.
        first = _vector(table, OPERANDS) + 4
        for j, tensor in enumerate(table.array(OPERANDS, "int32")):
            _put(buffer, first + 4 * j, same.get(int(tensor), int(tensor)) & 0xFFFFFFFF)
    calls = {op.options["subgraph"] for op in graph.ops if op.name == "CALL_ONCE"}
    if calls == set(range(1, len(subgraphs))):  # else something more than first values is there
        _put(buffer, _vector(model, SUBGRAPHS), 1)
    for slot, tensors in ((INPUTS, inputs), (OUTPUTS, outputs)):
        buffer += bytes(-len(buffer) % 4)
        field_at = main.where(slot)
        if not field_at:
            raise ModelError("the model has no inputs or no outputs. Give one that takes a frame "
                             "and gives scores")
        _put(buffer, field_at, len(buffer) - field_at)
        buffer += struct.pack(f"<I{len(tensors)}i", len(tensors), *tensors)
    return bytes(buffer)


def _vector(table: Table, slot: int) -> int:
    """Byte of the length of a vector."""
    at = table.where(slot)
    return at + u32(table.view, at)


def _put(buffer: bytearray, at: int, value: int) -> None:
    struct.pack_into("<I", buffer, at, value)
