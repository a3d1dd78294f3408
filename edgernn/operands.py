"""Whether an op's operands fit each other: numbers, types, shapes and scales.

Of the ops that edgernn emits; interpreters abort the process on some that disagree.
"""

from math import prod
from typing import Any

import numpy as np

from edgernn.graph import Graph, Op, Tensor

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

SAME, VALID = 0, 1
"""Paddings of the schema."""

VARIABLES = {"VAR_HANDLE": (0, 1), "READ_VARIABLE": (1, 1), "ASSIGN_VARIABLE": (2, 0)}
"""Inputs and outputs of the ops of variables, which only models from elsewhere have."""

BIASES = {"int8": ("int32",), "int16": ("int64", "int32")}
"""What may be added to a matmul of that type."""


def check(graph: Graph, op: Op) -> None:
    """An op of `OPERANDS` has operands that fit each other, and one of `VARIABLES` as many as it
    takes; others are not looked at.

    Raises
    ------
    ValueError
        With what does not fit.
    """
    if op.name in VARIABLES and (
            (len(op.inputs), len(op.outputs)) != VARIABLES[op.name] or -1 in op.inputs):
        raise ValueError(f"{op.name} has inputs {op.inputs} and outputs {op.outputs}")
    if op.name not in OPERANDS:
        return
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
    """Begins, ends and steps are constants, and leave something of every dimension."""
    good = _one_type(x, y) and len(x.shape) <= BROADCAST_RANK and all(
        b.data is not None and b.shape == bounds[0].shape and len(b.shape) == 1
        and b.dtype == "int32" for b in bounds)
    if not good or _sliced(x, _index(bounds, op)) != y.shape:
        raise ValueError(f"STRIDED_SLICE makes {y.name!r} of shape {y.shape} from {x.name!r} of "
                         f"shape {x.shape}: {[b.data for b in bounds]}, {dict(op.options)}")


def _index(bounds: list[Tensor], op: Op) -> tuple[Any, ...]:
    """A STRIDED_SLICE as numpy's index; empty if it is none."""
    def bit(mask: str, at: int) -> bool:
        return bool(op.options[mask] >> at & 1)

    found: list[Any] = []
    for at, (begin, end, step) in enumerate(zip(*(b.values.tolist() for b in bounds),
                                                strict=True)):
        if step < 1:
            return ()
        # In this order, as tensorflow/lite/kernels/strided_slice.cc has it.
        found.append(
            ... if bit("ellipsis_mask", at) else None if bit("new_axis_mask", at) else
            begin if bit("shrink_axis_mask", at) else
            slice(None if bit("begin_mask", at) else begin,
                  None if bit("end_mask", at) else end, step))
    return () if op.options["offset"] else tuple(found)


def _sliced(x: Tensor, index: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape of what an index takes; empty if it takes nothing."""
    try:
        shape: tuple[int, ...] = np.broadcast_to(np.int8(0), x.shape)[index].shape
    except IndexError:
        return ()
    return shape if index and 0 not in shape else ()


def block(x: Tensor, bounds: list[Tensor], op: Op) -> list[tuple[int, int, int]]:
    """Begin, end and step of a STRIDED_SLICE, that was checked, in every dimension.

    Empty if it drops or adds dimensions.
    """
    index = _index(bounds, op)
    plain = len(index) == len(x.shape) and all(isinstance(one, slice) for one in index)
    return [one.indices(n) for one, n in zip(index, x.shape, strict=True)] if plain else []


def _check_depthwise(x: Tensor, weights: Tensor, bias: Tensor, y: Tensor, op: Op) -> None:
    """Channel by channel, a window under weights of its size at every place of it."""
    options, fits = dict(op.options), False
    if len(x.shape) == len(weights.shape) == len(y.shape) == 4:
        channels = x.shape[3] * options["depth_multiplier"]
        places = [_places(x.shape[axis], weights.shape[axis], options["padding"] == SAME,
                          options[f"stride_{side}"], max(options[f"dilation_{side}"], 1))
                  for axis, side in ((1, "h"), (2, "w"))]
        fits = (weights.shape[0], weights.shape[3]) == (1, channels) and (
            y.shape == (x.shape[0], *places, channels) and bias.shape == (channels,))
    if not fits:
        raise ValueError(f"DEPTHWISE_CONV_2D makes {y.name!r} of shape {y.shape} from {x.name!r} "
                         f"of shape {x.shape} and weights of shape {weights.shape}, {options}")
    if weights.dtype != "int8" or len(weights.scales) not in (1, weights.shape[3]) or (
            weights.axis != 3 and len(weights.scales) > 1) or any(weights.zero_points) or (
            weights.data is None or bias.data is None
            or bias.dtype != {"int8": "int32", "int16": "int64"}.get(x.dtype)):
        raise ValueError(f"{weights.name!r} is {weights.dtype} with {len(weights.scales)} scales "
                         f"and {bias.name!r} is {bias.dtype} beside {x.dtype}")


def _places(n: int, window: int, same: bool, stride: int, dilation: int) -> int:
    """How many places a window has along a side; -1 if it does not fit."""
    if stride < 1:
        return -1
    reach = 1 if same else (window - 1) * dilation + 1
    return -1 if reach > n else (n - reach) // stride + 1


def is_column(x: Tensor, weights: Tensor, op: Op) -> bool:
    """Whether a DEPTHWISE_CONV_2D is as edgernn emits it: a column of frames under a column of
    weights, to one frame."""
    kinds = {"padding": (VALID,), "stride_w": (1,), "stride_h": (1,), "depth_multiplier": (1,),
             "activation": ("NONE", "RELU"), "dilation_w": (0, 1), "dilation_h": (0, 1)}
    return x.shape[0] == 1 and x.shape[2] == 1 and weights.shape == x.shape and all(
        op.options[key] in allowed for key, allowed in kinds.items())


def _check_gather(table: Tensor, ids: Tensor, y: Tensor, op: Op) -> None:
    """Rows of a constant table; which row is asked for is checked where tokens come in."""
    if table.data is None or len(table.shape) != 2 or ids.dtype != "int32" or any(
            op.options.values()) or y.shape != (*ids.shape, table.shape[1]) or (
            not _one_type(table, y)):
        raise ValueError(f"GATHER makes {y.name!r} of shape {y.shape} from the table "
                         f"{table.name!r} of shape {table.shape} and {ids.dtype} {ids.shape}")


def _check_reshape(x: Tensor, shape: Tensor, y: Tensor) -> None:
    """The shape asked for is the shape made, of as many integers, whatever their scale."""
    asked = () if shape.data is None or shape.dtype != "int32" else tuple(shape.data)
    # One -1 stands for whatever is left.
    fits = len(asked) == len(y.shape) and asked.count(-1) <= 1 and all(
        a in (-1, n) for a, n in zip(asked, y.shape, strict=True))
    if not fits or prod(x.shape) != prod(y.shape) or x.dtype != y.dtype:
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
