"""A step model in the operators that ESPHome's micro_wake_word registers.

The component calls a model once per frame, keeps nothing for it, and registers twenty
operators.  So states become resource variables, and what is not registered is written
with what is:

    tanh(x)     = 2 sigmoid(2 x) - 1            MUL, LOGISTIC, MUL, ADD
    a - b       = a + (-1) b                    MUL, ADD
    CAST        = QUANTIZE to the same scale
    matmul      = CONV_2D of one pixel          where each output has a scale of its own
    softmax(l)k = product over j of sigmoid(l_k - l_j)      exact for two labels; for more it
                  is at most the softmax, and equal to it where one rival matters

Types and scales stay as they were, int16 included: only tanh and softmax lose anything.

FULLY_CONNECTED with a scale per output is refused by esp-tflite-micro 1.3.1, which ESPHome had
until 2025; 1.3.3, which it has since, accepts it and has ESP-NN compute with one multiplier that
nobody has set.  CONV_2D has had scales per output all along, and makes the same bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from edgernn.errors import ModelError
from edgernn.frontend.logmel import CODE_SCALE
from edgernn.frontend.microfrontend import INT8_STEP
from edgernn.graph import Graph, Op, Tensor
from firmware_export.project import Source
from firmware_export.tflm.ops import described

KEPT = ("ADD", "CONCATENATION", "DEPTHWISE_CONV_2D", "LOGISTIC", "MUL", "QUANTIZE", "RESHAPE",
        "STRIDED_SLICE")
"""Ops of ours that it registers."""

MOST_VARIABLES = 20
"""States that the component has room for."""

SURE = 8.0
"""A lead in logits at which a sigmoid is 1 in 8 bits."""

FEATURES = 40
"""Features of a frame, as the component has them."""
FEATURE_SCALE = 666 / 256 / 25.6
FEATURE_ZERO = -128
"""The component's int8, ``(256 f + 333) // 666 - 128`` of a feature f, in the unit of Python
packages that run its models: f / 25.6."""


def rewritten(source: Source, label: str, variables: bool = True) -> bytes:
    """The FlatBuffer of a model in stock operators.

    Its input is int8 of shape (1, 1, features), its output uint8 of shape (1, 1): how likely
    `label` is.

    Parameters
    ----------
    source : Source
    label : str
        The one that is to be detected.
    variables : bool
        Keep states within; otherwise they are inputs and outputs, and the output is int8, so
        that the emulator can make the same steps.

    Raises
    ------
    ModelError
        If an op cannot be written so, or there are more states than the component has room for.
    """
    if len(source.spec.states) > MOST_VARIABLES:
        raise ModelError(f"the model has {len(source.spec.states)} states; micro_wake_word has "
                         f"room for {MOST_VARIABLES}. Train one of fewer layers")
    return _Rewriter(source, label, variables).model()


class _Rewriter:
    """One model in the making."""

    def __init__(self, source: Source, label: str, variables: bool) -> None:
        from edgernn.train.flatbuffer import GraphWriter

        self.graph: Graph = source.graph
        self.spec, self.variables = source.spec, variables
        self.label = source.spec.labels.index(label)
        self.out = GraphWriter("edgernn: a step with its state, for ESPHome")
        self._made: dict[int, int] = {}
        self._named: dict[str, int] = {}
        self._index = {tensor.name: i for i, tensor in enumerate(self.graph.tensors)}

    def model(self) -> bytes:
        """See `rewritten`."""
        x = self._index[self.spec.input]
        states = [(self._index[pair.input], self._index[pair.output])
                  for pair in self.spec.states]
        entry = self._entry(self.graph.tensors[x], x)
        handles = self._states([before for before, _ in states])
        for op in self.graph.ops:
            if op.outputs[0] == self._index[self.spec.output]:
                self._head(op)
            else:
                self._op(op)
        score = self._made[self._index[self.spec.output]]
        if not self.variables:
            return self.out.finish([entry, *handles],
                                   [score, *(self._made[after] for _, after in states)])
        for handle, (_, after) in zip(handles, states, strict=True):
            self.out.op("ASSIGN_VARIABLE", [handle, self._made[after]], [])
        answer = self.out.tensor("score", (1, 1), "uint8", (1 / 256,))
        self.out.op("QUANTIZE", [score], [answer])
        return self.out.finish([entry], [answer])

    def _entry(self, x: Tensor, index: int) -> int:
        """The frame as the component gives it: (1, stride, features), one frame a call."""
        # RESHAPE copies codes whatever their unit is: so the component's becomes the model's.
        unit = x.scales if x.dtype == "int8" else (CODE_SCALE * INT8_STEP,)
        scales, zero = ((FEATURE_SCALE,), FEATURE_ZERO) if self.variables else (unit, 0)
        entry = self.out.tensor("features", (1, 1, x.shape[-1]), "int8", scales, zero)
        frame = self.out.tensor("frame", x.shape, "int8", unit)
        self.out.op("RESHAPE", [entry, self._ints("features/shape", x.shape)], [frame])
        self._made[index] = frame
        if x.dtype != "int8":
            self._made[index] = self._like(x)
            self.out.op("QUANTIZE", [frame], [self._made[index]])
        return entry

    def _states(self, befores: Sequence[int]) -> list[int]:
        """Variables, read; each begins at its type's 0.0.  Gives their handles."""
        if not self.variables:
            for before in befores:
                self._made[before] = self._like(self.graph.tensors[before])
            return [self._made[before] for before in befores]
        begins = [self.graph.tensors[before] for before in befores]
        handles = self.out.variables([
            (t.name, t.shape, t.dtype, t.scales, t.zero_points[0]) for t in begins])
        for before, handle in zip(befores, handles, strict=True):
            self._made[before] = self._like(self.graph.tensors[before])
            self.out.op("READ_VARIABLE", [handle], [self._made[before]])
        return handles

    def _like(self, tensor: Tensor, name: str = "", **changes: Any) -> int:
        """A tensor of the new graph with the type of one of the old."""
        zero = tensor.zero_points[0] if tensor.zero_points else 0
        about: dict[str, Any] = {
            "shape": tensor.shape, "dtype": tensor.dtype, "scales": tensor.scales,
            "zero_point": zero, "axis": tensor.axis, "data": tensor.data} | changes
        return self.out.tensor(name or tensor.name, **about)

    def _get(self, index: int) -> int:
        """The new number of an old tensor, which is a constant if it is not there yet."""
        if index not in self._made:
            self._made[index] = self._like(self.graph.tensors[index])
        return self._made[index]

    def _ints(self, name: str, values: Sequence[int]) -> int:
        return self.out.tensor(name, (len(values),), "int32", data=np.array(values, np.int32))

    def _op(self, op: Op) -> None:
        makers: dict[str, Callable[[Op], None]] = {
            **dict.fromkeys(KEPT, self._same), "TANH": self._tanh, "SUB": self._difference,
            "CAST": self._cast, "FULLY_CONNECTED": self._matmul}
        if op.name not in makers:
            raise ModelError(f"{described(self.graph, op)}; ESPHome's micro_wake_word registers no "
                             f"such operator, and it cannot be written with those it has. Train a "
                             "GRU, an LSTM or a SimpleRNN without it, or export it for a runtime "
                             "of your own: --target esp-idf")
        makers[op.name](op)

    def _same(self, op: Op) -> None:
        y = self._like(self.graph.tensors[op.outputs[0]])
        self._made[op.outputs[0]] = y
        self.out.op(op.name, [self._get(i) for i in op.inputs if i >= 0], [y],
                    **{key: value for key, value in op.options.items()
                       if key in ("activation", "axis")})

    def _matmul(self, op: Op) -> None:
        x, weights, y = (self.graph.tensors[i] for i in (*op.inputs[:2], *op.outputs))
        # The emulator knows no CONV_2D; what it makes of a FULLY_CONNECTED are the same bytes.
        if len(weights.scales) == 1 or not self.variables:
            return self._same(op)
        outputs, inputs = weights.shape
        pixel = self._shaped(self._get(op.inputs[0]), x, (1, 1, 1, inputs), "pixel")
        kernel = self._like(weights, shape=(outputs, 1, 1, inputs), axis=0)
        found = self._like(y, f"{y.name}/of_pixel", shape=(1, 1, 1, outputs))
        self.out.op("CONV_2D", [pixel, kernel, self._get(op.inputs[2])], [found],
                    activation=op.options["activation"])
        self._made[op.outputs[0]] = self._shaped(found, y, y.shape)

    def _shaped(self, index: int, tensor: Tensor, shape: Sequence[int], suffix: str = "") -> int:
        """The same numbers in another shape, made once of each tensor."""
        name = f"{tensor.name}/{suffix}" if suffix else tensor.name
        if name not in self._named:
            self._named[name] = self._like(tensor, name, shape=shape)
            self.out.op("RESHAPE", [index, self._ints(f"{name}/shape", shape)],
                        [self._named[name]])
        return self._named[name]

    def _cast(self, op: Op) -> None:
        """The same integers, wider: to the same scale nothing is rounded."""
        y = self._like(self.graph.tensors[op.outputs[0]])
        self._made[op.outputs[0]] = y
        self.out.op("QUANTIZE", [self._get(op.inputs[0])], [y])

    def _constant(self, name: str, value: float, dtype: str, code: int) -> int:
        """One number, of the scale that gives it this code."""
        return self.out.tensor(name, (1, 1), dtype, (abs(value / code),),
                               data=np.array([[code]], dtype))

    def _negative(self, index: int, tensor: Tensor) -> int:
        """-x: the code changes its sign, and so does the zero point."""
        zero = min(127, -tensor.zero_points[0])
        minus = self._like(tensor, f"{tensor.name}_negative", zero_point=zero, data=None)
        one = self._constant(f"{tensor.name}_minus_one", -1.0, tensor.dtype, -1)
        self.out.op("MUL", [index, one], [minus])
        return minus

    def _difference(self, op: Op) -> None:
        a, b = op.inputs
        y = self._like(self.graph.tensors[op.outputs[0]])
        self._made[op.outputs[0]] = y
        self.out.op("ADD", [self._get(a), self._negative(self._get(b), self.graph.tensors[b])],
                    [y])

    def _tanh(self, op: Op) -> None:
        x, y = self.graph.tensors[op.inputs[0]], self.graph.tensors[op.outputs[0]]
        kind, name = x.dtype, y.name
        # Codes stay as they are when a scale of 1 times 2 is multiplied in: 2 x, exactly.
        doubled = self._like(x, f"{name}_2x", scales=(2 * x.scales[0],))
        self.out.op("MUL", [self._get(op.inputs[0]),
                            self._constant(f"{name}_two", 2.0, kind, 1)], [doubled])
        steps, zero = (256, -128) if kind == "int8" else (32768, 0)
        gate = self._like(y, f"{name}_gate", scales=(1 / steps,), zero_point=zero)
        self.out.op("LOGISTIC", [doubled], [gate])
        twice = self._like(y, f"{name}_2s", scales=(2 / steps,), zero_point=zero)
        self.out.op("MUL", [gate, self._constant(f"{name}_two_more", 2.0, kind, 1)], [twice])
        self._made[op.outputs[0]] = self._like(y)
        self.out.op("ADD", [twice, self._constant(f"{name}_minus_one", -1.0, kind,
                                                  -128 if kind == "int8" else -32768)],
                    [self._made[op.outputs[0]]])

    def _head(self, op: Op) -> None:
        """The score of one label, int8 of 1 / 256."""
        if op.name == "LOGISTIC":
            self._op(op)
            chosen = self._pick(self._made[op.outputs[0]], self.graph.tensors[op.outputs[0]],
                                self.label, "score_of_label")
            self._made[op.outputs[0]] = self._as_int8(chosen, self.graph.tensors[op.outputs[0]])
        elif op.name == "SOFTMAX":
            self._made[op.outputs[0]] = self._softmax(op)
        else:
            raise ModelError(f"the model ends in {op.name}; how likely a wake word is was needed, "
                             "which a softmax or a sigmoid says. Train one of --task spot or "
                             "classify")

    def _pick(self, index: int, tensor: Tensor, which: int, name: str) -> int:
        one = self._like(tensor, name, shape=(1, 1), data=None)
        self.out.op("STRIDED_SLICE", [index, self._ints(f"{name}/begin", (0, which)),
                                      self._ints(f"{name}/end", (1, which + 1)),
                                      self._ints(f"{name}/step", (1, 1))], [one])
        return one

    def _softmax(self, op: Op) -> int:
        """The product over rivals of how likely the label is beside each one alone."""
        x = self.graph.tensors[op.inputs[0]]
        logits, logit = self._get(op.inputs[0]), replace(x, shape=(1, 1), data=None)
        score = (1 / 256, -128) if x.dtype == "int8" else (1 / 32768, 0)
        # Twice the scale holds every difference.  Of int8 that is too coarse, and 8 is as good
        # as sure.
        step = SURE / 128 if x.dtype == "int8" else 2 * x.scales[0]
        mine = self._pick(logits, x, self.label, "logit_of_label")
        product = None
        for other in range(prod(x.shape)):
            if other == self.label:
                continue
            rival = self._pick(logits, x, other, f"logit_{other}")
            lead = self.out.tensor(f"lead_{other}", (1, 1), x.dtype, (step,))
            self.out.op("ADD", [mine, self._negative(rival, replace(logit, name=f"logit_{other}"))],
                        [lead])
            wins = self.out.tensor(f"beats_{other}", (1, 1), x.dtype, score[:1], score[1])
            self.out.op("LOGISTIC", [lead], [wins])
            if product is not None:
                both = self.out.tensor(f"beats_all_to_{other}", (1, 1), x.dtype, score[:1],
                                       score[1])
                self.out.op("MUL", [product, wins], [both])
                wins = both
            product = wins
        if product is None:
            raise ModelError("the model has one label alone, which is always right; two or more "
                             "were needed, one of them for everything else. Train it so")
        return self._as_int8(product, replace(logit, scales=score[:1], zero_points=score[1:]))

    def _as_int8(self, index: int, tensor: Tensor) -> int:
        if tensor.dtype == "int8":
            return index
        small = self.out.tensor("score_int8", (1, 1), "int8", (1 / 256,), -128)
        self.out.op("QUANTIZE", [index], [small])
        return small
