"""Write a network as an integer step, every scale chosen here.

The converter of TensorFlow calibrates the two ends of a state apart, cannot mix
int8 and int16, and crashes on int8 recurrent layers; so the FlatBuffer is written
directly.  The state's two ends have one type by construction: carrying it is a
copy of bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.quant import QType, quantize
from edgernn.spec import LogMelSpec, PartsSpec, StatePair, TokenSpec
from edgernn.train.blocks.block import Context, State
from edgernn.train.blocks.ops import Array, Precision
from edgernn.train.calibrate import Ranges
from edgernn.train.flatbuffer import GraphWriter
from edgernn.train.network import Network, prefix
from edgernn.train.profile import (
    SIGMOID,
    SOFTMAX,
    TANH,
    Profile,
    asymmetric,
    power_of_two,
    symmetric,
)

Options = Mapping[str, Any]

BIAS_ROOM = 2.0**30
"""A bias is an int32 beside which a whole sum of products must still fit."""

LOGMEL_INPUT = {"int8": QType("int8", 1 / 32), "int16": QType("int16", 1 / 1024)}
"""Log-mel codes are 1/1024 each; 1/32 is a shift away (`quant.shift_codes`)."""
TOKEN = QType("int32", 1.0)
"""A token is its own number."""


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
        self.calls: list[tuple[str, list[int], list[int], Options]] = []

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
        narrow = self._profile.matmul == "int8" and self._element == "int8"
        low, high = self._ranges[self._prefix + name]
        if export:
            q = symmetric(low, high, self._profile.matmul)
            return self._fully_connected(name, x, kernel, bias, q, relu)
        q = asymmetric(low, high) if narrow else symmetric(low, high, self._profile.matmul)
        return self._cast(self._fully_connected(name, x, kernel, bias, q, relu), self._element)

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
        after = self._value(f"{name}_out", ring.q, ring.shape)
        self.calls.append(("STRIDED_SLICE", [window.index, *bounds], [after.index], {}))
        return window, after

    def depthwise(self, name: str, window: Value, kernel: Array, bias: Array, relu: bool = False
                  ) -> Value:
        """DEPTHWISE_CONV_2D, in the types of a FULLY_CONNECTED."""
        assert window.q.dtype == self._profile.matmul, "a ring is in the matmul's type"
        narrow = self._profile.matmul == "int8" and self._element == "int8"
        low, high = self._ranges[self._prefix + name]
        q = asymmetric(low, high) if narrow else symmetric(low, high, self._profile.matmul)
        scales = self._weight_scales(kernel, np.asarray(bias, np.float64), window.q.scale)
        weights = np.clip(np.rint(kernel / scales), -127, 127)[None, :, None]
        stem, wide = self._prefix + name, "int64" if window.q.dtype == "int16" else "int32"
        inputs = [window.index,
                  self._writer.tensor(f"{stem}/weights", weights.shape, "int8",
                                      self._stored(scales), data=weights, axis=3),
                  self._writer.tensor(f"{stem}/bias", bias.shape, wide,
                                      self._stored(scales * window.q.scale),
                                      data=np.rint(bias / (window.q.scale * scales)))]
        apart = self._value(f"{name}_apart", q, (1, 1, window.units))
        self.calls.append(("DEPTHWISE_CONV_2D", inputs, [apart.index],
                           {"activation": "RELU" if relu else "NONE"}))
        return self._cast(self._reshape(name, apart, (window.units,)), self._element)

    def matmul(self, name: str, a: Value, b: Value, transpose_b: bool = False) -> Value:
        """BATCH_MATMUL, in the types of a FULLY_CONNECTED."""
        a, b = self._fitted(a), self._cast(b, self._profile.matmul)
        low, high = self._ranges[self._prefix + name]
        narrow = self._profile.matmul == "int8" and self._element == "int8"
        q = asymmetric(low, high) if narrow else symmetric(low, high, self._profile.matmul)
        units = b.shape[-2] if transpose_b else b.shape[-1]
        # Not widened here: what follows may be a matmul again.
        return self._call("BATCH_MATMUL", name, [a, b], q, (*a.shape[:-1], units),
                          adj_y=transpose_b)

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
        offsets = np.zeros(outputs) if bias is None else np.asarray(bias, np.float64)
        scales = self._weight_scales(kernel, offsets, x.q.scale)
        weights = np.clip(np.rint(kernel.T / scales[:, None]), -127, 127).astype(np.int8)
        stem = self._prefix + name
        inputs = [x.index, self._writer.tensor(f"{stem}/weights", weights.shape, "int8",
                                               scales=self._stored(scales), data=weights)]
        # int16 sums are 64 bits wide in every runtime, int8 sums 32.
        wide = "int64" if x.q.dtype == "int16" else "int32"
        codes = np.rint(offsets / (x.q.scale * scales)).astype(wide)
        inputs.append(self._writer.tensor(f"{stem}/bias", codes.shape, wide,
                                          scales=self._stored(scales * x.q.scale), data=codes))
        value = self._value(name, q, (*x.shape[:-1], outputs))
        self.calls.append(("FULLY_CONNECTED", inputs, [value.index],
                           {"activation": "RELU" if relu else "NONE"}))
        return value

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
        return np.float64(np.float32(np.where(needed > 0, needed, 1 / 127)))

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
        copy = self._value(name, value.q, shape)
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
        value = self._value(name, q, shape)
        self.calls.append((op, [v.index for v in inputs], [value.index], options))
        return value

    def _value(self, name: str, q: QType, shape: tuple[int, ...]) -> Value:
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


def emit(network: Network, ranges: Ranges, profile: Profile,
         per_channel: bool = True) -> tuple[bytes, tuple[StatePair, ...]]:
    """Write the step of a network.

    Parameters
    ----------
    network : Network
    ranges : dict
        From `calibrate`.
    profile : Profile
    per_channel : bool
        One weight scale per output unit rather than per matrix: more accurate, and
        12 bytes a unit larger.

    Returns
    -------
    bytes
        A FlatBuffer with the inputs `x`, every state and every context, the outputs
        `scores` and every state.
    tuple of StatePair
        Which output to feed back to which input.
    """
    architecture = network.architecture
    writer = GraphWriter("edgernn step")
    x_type = _input_type(network, profile, ranges)
    first = prefix(0, architecture.layers[0])
    states = {name: x_type if state.of_input and name.startswith(first) else
              _state_type(name, state, profile, ranges)
              for name, state in network.states.items()}
    ops = IntOps(writer, profile, ranges, states, per_channel)
    x = ops._value("x", x_type, (architecture.features,))
    before = {name: ops._value(f"{name}_in", states[name], state.shape)
              for name, state in network.states.items()}
    contexts = {name: ops._value(name, _context_type(name, context, profile, ranges),
                                 context.shape)
                for name, context in network.contexts.items()}
    scores, after = network.step(ops, x, before | contexts)
    ends = [scores.index, *(after[name].index for name in before)]
    for op, inputs, outputs, options in _scheduled(_needed(ops.calls, ends)):
        writer.op(op, inputs, outputs, **options)
    data = writer.finish([v.index for v in (x, *before.values(), *contexts.values())], ends)
    return data, tuple(StatePair(before[n].name, after[n].name) for n in before)


def _state_type(name: str, state: State, profile: Profile, ranges: Ranges) -> QType:
    if state.kind == "unit":
        return TANH[profile.state]
    if state.kind == "ring":
        return symmetric(*ranges[f"{name}_out"], profile.matmul)
    return power_of_two(*ranges[f"{name}_out"])


def _context_type(name: str, context: Context, profile: Profile, ranges: Ranges) -> QType:
    """As the part that makes it has it; a mask takes any score to the bottom of the sum's type."""
    if context.kind == "mask":
        low, high = ranges[f"{name}ed"]
        return QType(profile.gates, (high - low) / QType(profile.gates, 1.0).high)
    if context.kind == "export":
        return symmetric(*ranges[name], profile.matmul)
    return TANH[profile.matmul]


def _input_type(network: Network, profile: Profile, ranges: Ranges) -> QType:
    if isinstance(network.architecture.frontend, TokenSpec):
        return TOKEN
    if isinstance(network.architecture.frontend, LogMelSpec):
        return LOGMEL_INPUT[profile.matmul]
    if isinstance(network.architecture.frontend, PartsSpec):
        return TANH[profile.matmul]
    return symmetric(*ranges["x"], profile.matmul)


Calls = list[tuple[str, list[int], list[int], Options]]


def _needed(calls: Calls, ends: list[int]) -> Calls:
    """Calls without those whose result nothing uses: values are widened before it is known."""
    used, kept = set(ends), []
    for call in reversed(calls):
        if used & set(call[2]):
            used.update(call[1])
            kept.append(call)
    return kept[::-1]


def _scheduled(calls: Calls) -> list[Any]:
    """Calls in an order that keeps matmuls together.

    XNNPACK takes over runs of matmuls, and every change between it and the other
    kernels costs time; so a matmul goes first as soon as its input is there.
    """
    made = {index for _, _, outputs, _ in calls for index in outputs}
    waiting, ordered, ready = list(calls), [], set()
    while waiting:
        able = [call for call in waiting
                if all(i not in made or i in ready for i in call[1])]
        call = next((c for c in able if c[0] == "FULLY_CONNECTED"), able[0])
        waiting.remove(call)
        ordered.append(call)
        ready.update(call[2])
    return ordered
