"""The operations of a step as tensors and ops of a graph being written, every scale chosen here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.quant import QType, quantize
from edgernn.train.blocks.ops import Array, Precision
from edgernn.train.calibrate import Ranges
from edgernn.train.flatbuffer import GraphWriter
from edgernn.train.profile import SIGMOID, SOFTMAX, TANH, Profile, asymmetric, short, symmetric

Options = Mapping[str, Any]
Calls = list[tuple[str, list[int], list[int], Options]]
"""Ops in order: name, indices of inputs and outputs, options."""

BIAS_ROOM = 2.0**30
"""A bias is an int32 beside which a whole sum of products must still fit."""


@dataclass(frozen=True)
class Value:
    """A tensor of the graph being written."""

    index: int
    name: str
    q: QType
    shape: tuple[int, ...]
    """Without the batch of 1."""

    @property
    def units(self) -> int:
        """Its last dimension."""
        return self.shape[-1]


class IntOps:
    """`Ops` on tensors: each call appends what computes it to the graph."""

    def __init__(self, writer: GraphWriter, profile: Profile, ranges: Ranges,
                 states: Mapping[str, QType], per_channel: bool) -> None:
        self._writer = writer
        self._profile = profile
        self._ranges = ranges
        self._states = states
        self._per_channel = per_channel
        self._prefix = ""
        self._element = profile.gates
        self._converted: dict[tuple[int, str], Value] = {}
        self.calls: Calls = []

    def enter(self, prefix: str, precision: Precision) -> None:
        """See `Ops.enter`."""
        self._prefix = prefix
        self._element = {"matmul": self._profile.matmul, "gates": self._profile.gates,
                         "wide": "int16"}[precision]

    def dense(
        self, name: str, x: Value, kernel: Array, bias: Array | None = None, relu: bool = False,
        exact: bool = False, export: bool = False,
    ) -> Value:
        """FULLY_CONNECTED, then a cast where what follows is wider than the matmul."""
        if exact:
            q = symmetric(*self._ranges[self._prefix + name], "int16")
            return self._fully_connected(name, self._cast(x, "int16"), kernel, bias, q, relu)
        x = self._cast(x, self._profile.matmul)
        if export:
            q = symmetric(*self._ranges[self._prefix + name], self._profile.matmul)
            return self._fully_connected(name, x, kernel, bias, q, relu)
        y = self._fully_connected(name, x, kernel, bias, self._sum_type(name), relu)
        return self._cast(y, self._element)

    def gather(self, name: str, ids: Value, table: Array) -> Value:
        """GATHER of int8 rows, then RESHAPE to lay them side by side."""
        q = symmetric(float(table.min()), float(table.max()), "int8")
        rows = self._constant("table", table, q)
        found = self._call("GATHER", f"{name}_apart", [rows, ids], q,
                           (*ids.shape, table.shape[1]))
        return self._reshape(name, found, (ids.units * table.shape[1],))

    def push(self, name: str, ring: Value, row: Value, axis: int = 1) -> tuple[Value, Value]:
        """CONCATENATION, and STRIDED_SLICE of all rows but the oldest."""
        row = self._as(f"{name}_row", row, ring.q)
        outer, inner = ring.shape[:axis - 1], ring.shape[axis:]
        lowest = self._reshape(f"{name}_last", row, (*outer, 1, *inner))
        whole = (*outer, ring.shape[axis - 1] + 1, *inner)
        window = self._call("CONCATENATION", f"{name}_window", [ring, lowest], ring.q, whole,
                            axis=axis)
        first = [0] * (1 + len(ring.shape))
        first[axis] = 1
        bounds = [self._integers(f"{name}_{end}", values) for end, values in (
            ("from", first), ("to", [1, *whole]), ("by", [1] * len(first)))]
        after = self.value(f"{name}_out", ring.q, ring.shape)
        self.calls.append(("STRIDED_SLICE", [window.index, *bounds], [after.index], {}))
        return window, after

    def depthwise(self, name: str, window: Value, kernel: Array, bias: Array, relu: bool = False
                  ) -> Value:
        """DEPTHWISE_CONV_2D, in the types of a FULLY_CONNECTED."""
        assert window.q.dtype == self._profile.matmul, "a ring is in the matmul's type"
        weights = self._weights(name, window, kernel, bias, (1, len(kernel), 1, -1), axis=3)
        apart = self.value(f"{name}_apart", self._sum_type(name), (1, 1, window.units))
        self.calls.append(("DEPTHWISE_CONV_2D", [window.index, *weights], [apart.index],
                           {"activation": "RELU" if relu else "NONE"}))
        return self._cast(self._reshape(name, apart, (window.units,)), self._element)

    def matmul(self, name: str, a: Value, b: Value, transpose_b: bool = False) -> Value:
        """BATCH_MATMUL, in the types of a FULLY_CONNECTED."""
        a, b = self._fitted(a), self._cast(b, self._profile.matmul)
        units = b.shape[-2] if transpose_b else b.shape[-1]
        # Not widened here: what follows may be a matmul again.
        return self._call("BATCH_MATMUL", name, [a, b], self._sum_type(name),
                          (*a.shape[:-1], units), adj_y=transpose_b)

    def reshape(self, name: str, x: Value, shape: tuple[int, ...]) -> Value:
        """RESHAPE."""
        return self._reshape(name, x, shape)

    def mask(self, name: str, scores: Value, bias: Value) -> Value:
        """ADD; a masked sum saturates at the bottom of its type."""
        return self._elementwise("ADD", name, scores, bias)

    def export(self, name: str, x: Value) -> Value:
        """QUANTIZE, also where the type is the same: it makes a tensor of its own."""
        return self._call("QUANTIZE", name, [x], TANH[self._profile.matmul], x.shape)

    def add(self, name: str, a: Value, b: Value, limit: float = np.inf, relu: bool = False
            ) -> Value:
        """ADD; the limit is in the calibrated ranges already."""
        return self._elementwise("ADD", name, a, b, activation="RELU" if relu else "NONE")

    def plus(self, name: str, x: Value, constant: Array, limit: float = np.inf) -> Value:
        """ADD of a constant; see `add`."""
        return self._elementwise("ADD", name, x, self._same(f"{name}_by", constant))

    def sub(self, name: str, a: Value, b: Value) -> Value:
        """SUB."""
        return self._elementwise("SUB", name, a, b)

    def mul(self, name: str, a: Value, b: Value) -> Value:
        """MUL."""
        return self._elementwise("MUL", name, a, b)

    def times(self, name: str, x: Value, constant: Array) -> Value:
        """MUL by a constant."""
        return self._elementwise("MUL", name, x, self._same(f"{name}_by", constant))

    def sigmoid(self, name: str, x: Value) -> Value:
        """LOGISTIC."""
        return self._call("LOGISTIC", name, [x], SIGMOID[self._element], x.shape)

    def tanh(self, name: str, x: Value) -> Value:
        """TANH."""
        return self._call("TANH", name, [x], TANH[self._element], x.shape)

    def softmax(self, name: str, x: Value) -> Value:
        """SOFTMAX."""
        x = self._cast(x, self._element)
        return self._call("SOFTMAX", name, [x], SOFTMAX[self._element], x.shape, beta=1.0)

    def mean(self, name: str, x: Value, offset: float = 0.0) -> Value:
        """A matmul with 1/n everywhere: no runtime averages int16 otherwise."""
        column = np.full((x.units, 1), 1 / x.units, np.float32)
        return self.dense(name, x, column, np.array([offset], np.float32), exact=True)

    def rsqrt(self, name: str, x: Value) -> Value:
        """RSQRT."""
        return self._call("RSQRT", name, [x], self._range(name), x.shape)

    def blend(self, name: str, z: Value, a: Value, b: Value) -> Value:
        """In int16 as b + z * (a - b); in int8 as z * a + (1 - z) * b.

        a - b needs one bit more than a and b have.  16 bits have it to spare; of 8
        it would cost half the resolution.
        """
        z, a, b = (self._cast(value, self._element) for value in (z, a, b))
        one_sided = QType("int16", 1 / 16384)
        if self._element == "int16":
            gap = self._call("SUB", f"{name}_gap", [a, b], one_sided, a.shape)
            part = self._call("MUL", f"{name}_part", [z, gap], one_sided, a.shape)
            return self._call("ADD", name, [b, part], TANH["int16"], a.shape)
        ones = self._constant("one", np.ones((1, *z.shape)), QType("int8", 1 / 127))
        rest = self._call("SUB", f"{name}_rest", [ones, z], SIGMOID["int8"], z.shape)
        old = self._call("MUL", f"{name}_old", [z, a], TANH["int8"], a.shape)
        new = self._call("MUL", f"{name}_new", [rest, b], TANH["int8"], a.shape)
        return self._call("ADD", name, [old, new], TANH["int8"], a.shape)

    def _sum_type(self, name: str) -> QType:
        """Type of a matmul's result: with a zero point only where it is not widened."""
        low, high = self._ranges[self._prefix + name]
        if self._profile.matmul == "int8" and self._element == "int8":
            return asymmetric(low, high)
        return symmetric(low, high, self._profile.matmul)

    def _range(self, name: str) -> QType:
        """Type of an elementwise result, from its calibrated range."""
        low, high = self._ranges[self._prefix + name]
        if self._element == "int8":
            return asymmetric(low, high)
        return symmetric(low, high, "int16")

    def _elementwise(self, op: str, name: str, a: Value, b: Value, **options: Any) -> Value:
        a, b = self._cast(a, self._element), self._cast(b, self._element)
        shape = np.broadcast_shapes(a.shape, b.shape)
        return self._call(op, name, [a, b], self._range(name), shape, **options)

    def _fully_connected(self, name: str, x: Value, kernel: Array, bias: Array | None,
                         q: QType, relu: bool) -> Value:
        outputs = kernel.shape[1]
        offsets = np.zeros(outputs) if bias is None else bias
        # In the file a matrix has a row per output.
        weights = self._weights(name, x, kernel, offsets, None, axis=0)
        value = self.value(name, q, (*x.shape[:-1], outputs))
        self.calls.append(("FULLY_CONNECTED", [x.index, *weights], [value.index],
                           {"activation": "RELU" if relu else "NONE"}))
        return value

    def _weights(self, name: str, x: Value, kernel: Array, bias: NDArray[Any],
                 shape: tuple[int, ...] | None, axis: int) -> list[int]:
        """Indices of the constants of weights and bias, one scale per output.

        `kernel` has shape (inputs, outputs); it is laid out as `shape`, or transposed.  `axis`
        is that of the outputs then.
        """
        offsets = np.asarray(bias, np.float64)
        scales = self._weight_scales(kernel, offsets, x.q.scale)
        codes = np.clip(np.rint(kernel / scales), -127, 127)
        codes = codes.T if shape is None else codes.reshape(shape)
        stem = self._prefix + name
        # int16 sums are 64 bits wide in every runtime, int8 sums 32.
        wide = "int64" if x.q.dtype == "int16" else "int32"
        return [self._writer.tensor(f"{stem}/weights", codes.shape, "int8", self._stored(scales),
                                    data=codes, axis=axis),
                self._writer.tensor(f"{stem}/bias", offsets.shape, wide,
                                    self._stored(scales * x.q.scale),
                                    data=np.rint(offsets / (x.q.scale * scales)))]

    def _weight_scales(self, kernel: Array, bias: NDArray[np.float64],
                       x_scale: float) -> NDArray[np.float64]:
        """One scale per output, equal for all of them if not per channel."""
        largest = np.abs(kernel).max(axis=0).astype(np.float64)
        if not self._per_channel:
            largest[:] = largest.max()
        # A dead unit has no weights to set its scale, but may have a bias to hold.
        needed = np.maximum(largest / 127, np.abs(bias) / (x_scale * BIAS_ROOM))
        if not self._per_channel:
            needed[:] = needed.max()
        return np.asarray(short(np.where(needed > 0, needed, 1 / 128)))

    def _stored(self, scales: NDArray[np.float64]) -> tuple[float, ...]:
        return tuple(float(s) for s in (scales if self._per_channel else scales[:1]))

    def _cast(self, value: Value, dtype: str) -> Value:
        """The same value in int8 or int16, made once."""
        if value.q.dtype == dtype:
            return value
        key = (value.index, dtype)
        if key not in self._converted:
            # CAST copies the integer: exact, and the one int8 -> int16 that all runtimes have.
            # The other way 8 bits are rounded off.
            op, ratio = ("CAST", 1) if dtype == "int16" else ("QUANTIZE", 256)
            assert value.q.zero_point == 0, f"{value.name} is to be widened but not symmetric"
            q = QType(dtype, value.q.scale * ratio)
            name = f"{value.name}_{dtype}"
            index = self._writer.tensor(name, (1, *value.shape), dtype, scales=(q.scale,))
            copy = Value(index, name, q, value.shape)
            self.calls.append((op, [value.index], [copy.index], {}))
            self._converted[key] = copy
            # Back again is the value itself: 8 bits widened and rounded would be 0 bits.
            self._converted[copy.index, value.q.dtype] = value
        return self._converted[key]

    def _fitted(self, value: Value) -> Value:
        """As a matmul takes it, 16 bits brought to 8 by the range that they use.

        Shares of many frames are all near 0: by the range of a softmax, 1/128 would be the
        smallest of them.
        """
        dtype = self._profile.matmul
        if value.q.dtype == dtype or (value.index, dtype) in self._converted:
            return self._cast(value, dtype)
        q = asymmetric(*self._ranges[value.name])
        return self._call("QUANTIZE", f"{value.name.removeprefix(self._prefix)}_fitted", [value],
                          q, value.shape)

    def _as(self, name: str, value: Value, q: QType) -> Value:
        """The same value in the type of another tensor."""
        narrow = self._cast(value, q.dtype) if (value.q.scale == q.scale and value.q.zero_point == 0
                                                ) else value
        if narrow.q == q:
            return narrow
        return self._call("QUANTIZE", name, [value], q, value.shape)

    def _integers(self, name: str, values: list[int]) -> int:
        """Index of a constant that says a shape or a place."""
        return self._writer.tensor(self._prefix + name, (len(values),), "int32",
                                   data=np.array(values))

    def _reshape(self, name: str, value: Value, shape: tuple[int, ...]) -> Value:
        """The same numbers in another shape."""
        narrow = self._converted.get((value.index, "int8"))
        if narrow is not None and narrow.q.scale == value.q.scale:  # value is only widened
            return self._cast(self._reshape(name, narrow, shape), value.q.dtype)
        wanted = self._integers(f"{name}_shape", [1, *shape])
        copy = self.value(name, value.q, shape)
        self.calls.append(("RESHAPE", [value.index, wanted], [copy.index], {}))
        return copy

    def _call(self, op: str, name: str, inputs: list[Value], q: QType, shape: tuple[int, ...],
              **options: Any) -> Value:
        """Append one op; where it makes a state, in the state's own type."""
        state = self._states.get((self._prefix + name).removesuffix("_out"))
        if state is not None and name.endswith("_out") and state.dtype == q.dtype:
            q = state
        elif state is not None and name.endswith("_out"):
            wide = self._call(op, f"{name}_wide", inputs, q, shape, **options)
            return self._call("QUANTIZE", name, [wide], state, shape)
        value = self.value(name, q, shape)
        self.calls.append((op, [v.index for v in inputs], [value.index], options))
        return value

    def value(self, name: str, q: QType, shape: tuple[int, ...]) -> Value:
        """A new tensor that is computed, or an input; `shape` without the batch."""
        name = self._prefix + name
        index = self._writer.tensor(name, (1, *shape), q.dtype, scales=(q.scale,),
                                    zero_point=q.zero_point)
        return Value(index, name, q, shape)

    def _same(self, name: str, real: Array) -> Value:
        """A constant that every stream meets, in the type that values have here."""
        q = symmetric(float(real.min()), float(real.max()), self._element)
        return self._constant(name, real[None], q)

    def _constant(self, name: str, real: NDArray[Any], q: QType) -> Value:
        """`real` of any shape, its first dimension standing where others have the batch."""
        name = self._prefix + name
        index = self._writer.tensor(name, real.shape, q.dtype, scales=(q.scale,),
                                    zero_point=q.zero_point, data=quantize(real, q))
        return Value(index, name, q, real.shape[1:])
