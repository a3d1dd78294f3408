"""A plan as C: ``kws_model.h``, meant to be read, and ``kws_model.c``, data and one call per op."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgernn.plan import Call, Plan, Value
from edgernn.plan.calls import CONSTANT, INPUT, OUTPUT, SCRATCH, STATE
from edgernn.plan.layout import LAYOUTS, X_PLUS, offsets
from firmware_export import ctext, golden

SCRATCH_NAMES = {"int8": "scratch_s8", "int16": "scratch_s16", "int32": "scratch_s32"}
STRUCTS = {"sub": "add", "matmul": "matmul", "logistic": "gate", "tanh": "gate",
           "quantize": "quantize", "lut": "lut", "add": "add", "mul": "mul", "rsqrt": "rsqrt",
           "copy": "copy"}
"""Structs that kernels of several types share; the others have their kernel's name."""


def struct_of(kernel: str) -> str:
    """The C type of a kernel's numbers."""
    if kernel == "fc_s8_s16":
        return "ernn_fc_s8_t"
    return f"ernn_{STRUCTS.get(kernel.split('_')[0], kernel)}_t"


@dataclass
class ModelText:
    """The C text of one plan.

    Parameters
    ----------
    name : str
        What its functions begin with: kws.
    plan : Plan
    """

    name: str
    plan: Plan

    def __post_init__(self) -> None:
        self._names = ctext.Names()
        self._states = {value.name: self._names(_plain(value.name))
                        for value, _ in self.plan.states}

    def state_struct(self) -> str:
        """What the model remembers, and its scratch memory."""
        lines = ["/* What the model remembers. Yours to allocate; one per stream. */",
                 "typedef struct {"]
        lines += [_field(value.dtype, self._states[value.name], value.count,
                         "remembered from step to step") for value, _ in self.plan.states]
        scores = self.plan.scores
        lines.append(_field(scores.dtype, "scores", scores.count, "of the last step"))
        lines += [_field(dtype, SCRATCH_NAMES[dtype], count, "no meaning between calls")
                  for dtype, count in self.plan.scratch.items()]
        return "\n".join([*lines, f"}} {self.name}_state;"])

    def data(self) -> str:
        """Arrays and numbers of every call, in their order."""
        return "\n".join(text for call in self.plan.calls for text in self._data(call))

    def calls(self) -> str:
        """The body of a step."""
        return "\n".join(self._call(call) for call in self.plan.calls)

    def resets(self) -> str:
        """The body of a reset: every state at its type's 0.0, the scores at nothing."""
        lines = []
        for value, zero in self.plan.states:
            lines += [f"    for (i = 0; i < {value.count}; i++) {{",
                      f"        state->{self._states[value.name]}[i] = {zero};", "    }"]
        return "\n".join(lines)

    def state_fields(self) -> tuple[str, ...]:
        """Names of the remembered fields of the struct, in the order of the plan."""
        return tuple(self._states[value.name] for value, _ in self.plan.states)

    def byte_arrays(self) -> Iterator[tuple[str, str]]:
        """The C name of the tensor, and the field, of each of `golden.byte_arrays`."""
        for call in self.plan.calls:
            for field, value in call.params.items():
                if golden.is_bytes(field, value):
                    yield self._names(call.makes), field

    def _data(self, call: Call) -> Iterator[str]:
        name = self._names(call.makes)
        for i, value in enumerate(call.inputs):
            if value.place == CONSTANT:
                assert value.data is not None
                yield ctext.array(f"{name}_{'ab'[i]}", value.data)
        if not call.params:
            return
        fields: dict[str, str | int] = {}
        for field, value in call.params.items():
            if isinstance(value, np.ndarray):
                fields[field] = f"{name}_{field}"
                if field == "weights" and call.kernel.startswith("fc_s8"):
                    yield _in_each_layout(f"{name}_{field}", value)
                elif field == "offset" and call.kernel.startswith("fc_s8"):
                    yield _for_each_x_plus(f"{name}_{field}", value, call.params["weights"])
                else:
                    yield ctext.array(f"{name}_{field}", value)
            else:
                fields[field] = int(value)
        yield ctext.struct(struct_of(call.kernel), f"p_{self._struct(call)}", fields)

    def _struct(self, call: Call) -> str:
        """A tensor that several calls make, part by part, has numbers for each of them."""
        same = [other for other in self.plan.calls if other.makes == call.makes and other.params]
        number = next(i for i, other in enumerate(same) if other is call)
        return self._names(call.makes) + (f"_part{number}" if len(same) > 1 else "")

    def _call(self, call: Call) -> str:
        arguments = [f"&p_{self._struct(call)}"] if call.params else []
        arguments += [self._pointer(value, f"{self._names(call.makes)}_{'ab'[i]}")
                      for i, value in enumerate(call.inputs)]
        arguments += [self._pointer(call.output, ""), *map(str, call.counts)]
        return _wrapped(f"    ernn_{call.kernel}(", arguments)

    def _pointer(self, value: Value, constant: str) -> str:
        base = {INPUT: "features", STATE: f"state->{self._states.get(value.name)}",
                OUTPUT: "state->scores", CONSTANT: constant,
                SCRATCH: f"state->{SCRATCH_NAMES[value.dtype]}"}[value.place]
        return f"&{base}[{value.offset}]" if value.offset else base


def _in_each_layout(name: str, matrix: "np.ndarray[tuple[int, ...], np.dtype[np.int8]]") -> str:
    lines = []
    for number, (layout, order) in enumerate(LAYOUTS.items()):
        lines += [f"#{'if' if not number else 'elif'} ERNN_LAYOUT == {layout}",
                  ctext.array(name, order(matrix), matrix.shape, aligned="ERNN_ALIGNED").rstrip()]
    return "\n".join([*lines, "#endif\n"])


def _for_each_x_plus(name: str, offset: "np.ndarray[tuple[int, ...], np.dtype[np.int32]]",
                     matrix: "np.ndarray[tuple[int, ...], np.dtype[np.int8]]") -> str:
    lines = []
    for number, plus in enumerate(X_PLUS):
        lines += [f"#{'if' if not number else 'elif'} ERNN_X_PLUS == {plus}",
                  ctext.array(name, offsets(offset, matrix, plus)).rstrip()]
    return "\n".join([*lines, "#endif\n"])


def _plain(name: str) -> str:
    return name.removesuffix("_in")


def _field(dtype: str, name: str, count: int, what: str) -> str:
    return f"    {ctext.CTYPES[dtype]} {name}[{count}];".ljust(36) + f" /* {what} */"


def _wrapped(begin: str, arguments: list[str]) -> str:
    """A call, on as many lines as it needs."""
    line = begin + ", ".join(arguments) + ");"
    if len(line) <= 99:
        return line
    lines, current = [], begin
    for i, argument in enumerate(arguments):
        text = argument + (");" if i == len(arguments) - 1 else ", ")
        if len(current + text) > 99:
            lines.append(current.rstrip())
            current = " " * 8
        current += text
    return "\n".join([*lines, current])
