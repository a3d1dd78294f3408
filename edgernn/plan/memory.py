"""Where every call reads and writes.

Memory is caller-owned and small, so scratch is shared by tensors that do not live at the
same time (first fit in the order of making), and the next value of a state is written over
the old one as soon as nothing reads that any more.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from edgernn.graph import Graph
from edgernn.plan.calls import CONSTANT, INPUT, OUTPUT, SCRATCH, STATE, Call, Plan, Value
from edgernn.plan.lower import SUFFIX, Draft, lower, with_equal_operands
from edgernn.spec import ModelSpec

WIDTH = {"int8": 4, "int16": 2, "int32": 1}
"""Integers of a 32-bit word: every tensor begins on one, for kernels that read words."""

IN_PLACE = ("add", "sub", "mul", "lut", "logistic", "tanh")
"""Kernels that read value i before they write value i, and nothing of it after."""


def plan(graph: Graph, spec: ModelSpec) -> Plan:
    """The calls of a step and its memory.

    Parameters
    ----------
    graph : Graph
        Of `edgernn.tflite.read`.
    spec : ModelSpec
        Which inputs are states, which the frame.

    Raises
    ------
    ModelError
        If there is no kernel for an op, or not of that type.
    """
    return _Planner(with_equal_operands(graph), spec).plan()


@dataclass
class _Life:
    """A tensor in scratch: when it is made, and when it was last read."""

    tensor: int
    first: int
    last: int


class _Planner:
    """One plan in the making."""

    def __init__(self, graph: Graph, spec: ModelSpec) -> None:
        self.graph, self.spec = graph, spec
        self._by_name = {graph.tensors[i].name: i for i in (*graph.inputs, *graph.outputs)}
        self.x, self.scores = self._by_name[spec.input], self._by_name[spec.output]
        self.next_state = {self._by_name[pair.output]: self._by_name[pair.input]
                           for pair in spec.states}
        self.places: dict[int, Value] = {}

    def plan(self) -> Plan:
        """See `plan`."""
        drafts, self.alias = _joined(lower(self.graph), self.graph)
        self.drafts = drafts
        self.last_read = self._reads()
        self._place_ends()
        scratch = self._place_scratch()
        calls = [self._call(draft) for draft in drafts] + self._carried()
        states = tuple((self.places[i], self.graph.tensors[i].qtype.zero_point)
                       for i in self.graph.inputs if i != self.x)
        return Plan(tuple(calls), self.places[self.x], self._value(self.scores), states, scratch)

    def _root(self, tensor: int) -> tuple[int, int]:
        return self.alias.get(tensor, (tensor, 0))

    def _reads(self) -> dict[int, int]:
        """The number of the last call that reads each tensor; those that leave, at the end."""
        last = {self._root(i)[0]: len(self.drafts) for i in self.graph.outputs}
        for at, draft in enumerate(self.drafts):
            for i in draft.inputs:
                root = self._root(i)[0]
                last[root] = max(last.get(root, at), at)
        return last

    def _end(self, place: str, tensor: int, name: int) -> Value:
        about = self.graph.tensors[tensor]
        return Value(place, self.graph.tensors[name].name, about.dtype, prod(about.shape))

    def _place_ends(self) -> None:
        """Frame, states and scores; and the next states that may be written over the old."""
        for i in self.graph.inputs:
            self.places[i] = self._end(INPUT if i == self.x else STATE, i, i)
        root, offset = self._root(self.scores)
        assert offset == 0, "the output has memory of its own: see _joined"
        self.places[root] = self._end(OUTPUT, root, self.scores)
        made = {draft.output: at for at, draft in enumerate(self.drafts)}
        for output, state in self.next_state.items():
            if output in self.places:
                continue
            first = min(at for at, draft in enumerate(self.drafts) if draft.output == output)
            read = self.last_read.get(state, -1)
            in_place = self.drafts[first].kernel.startswith(IN_PLACE)
            if read < first or (read == first == made[output] and in_place):
                self.places[output] = self.places[state]

    def _place_scratch(self) -> dict[str, int]:
        """Offsets of all else; gives how much there is of each type."""
        lives: dict[int, _Life] = {}
        for at, draft in enumerate(self.drafts):
            if draft.output not in self.places:
                life = lives.setdefault(draft.output, _Life(draft.output, at, at))
                life.last = max(self.last_read.get(draft.output, at), at)
        sizes: dict[str, int] = {}
        for dtype in WIDTH:
            of_type = [life for life in lives.values()
                       if self.graph.tensors[life.tensor].dtype == dtype]
            if of_type:
                sizes[dtype] = self._first_fit(of_type, dtype)
        return sizes

    def _first_fit(self, lives: Sequence[_Life], dtype: str) -> int:
        placed: list[tuple[int, int, _Life]] = []
        largest = 0
        # The large ones first: they fit worst into what is left.
        for life in sorted(lives, key=lambda life: (-self._size(life.tensor, dtype), life.first)):
            size, begin = self._size(life.tensor, dtype), 0
            for other_begin, other_end, other in sorted(placed, key=lambda p: p[0]):
                apart = other.last < life.first or life.last < other.first
                if not apart and begin + size > other_begin and begin < other_end:
                    begin = other_end
            placed.append((begin, begin + size, life))
            largest = max(largest, begin + size)
            about = self.graph.tensors[life.tensor]
            self.places[life.tensor] = Value(SCRATCH, about.name, dtype, prod(about.shape), begin)
        return largest

    def _size(self, tensor: int, dtype: str) -> int:
        words = WIDTH[dtype]
        return -(-prod(self.graph.tensors[tensor].shape) // words) * words

    def _value(self, tensor: int) -> Value:
        root, offset = self._root(tensor)
        about = self.graph.tensors[tensor]
        place = self.places[root]
        return dataclasses.replace(place, count=prod(about.shape), offset=place.offset + offset)

    def _call(self, draft: Draft) -> Call:
        inputs = tuple(
            Value(CONSTANT, self.graph.tensors[i].name, self.graph.tensors[i].dtype,
                  draft.constants[i].size, data=draft.constants[i])
            if i in draft.constants else self._value(i) for i in draft.inputs)
        return Call(draft.kernel, draft.params, inputs, self._value(draft.output), draft.counts,
                    self.graph.tensors[draft.output].name)

    def _carried(self) -> list[Call]:
        """Copies of next states, and of scores, that could not be written where they belong."""
        calls = []
        for output, state in self.next_state.items():
            if self._value(output) != self.places[state]:
                calls.append(_copy(self._value(output), self.places[state]))
        return calls


def _copy(source: Value, target: Value) -> Call:
    return Call(f"copy_{SUFFIX[source.dtype]}", _one_run(source.count), (source,), target, (),
                target.name)


def _joined(drafts: list[Draft], graph: Graph
            ) -> tuple[list[Draft], dict[int, tuple[int, int]]]:
    """Without the calls that only rename memory; and what each renamed tensor is part of.

    Not where that would make one memory of two ends of the model, whose copies at the end
    of a step would then depend on their order.
    """
    alias: dict[int, tuple[int, int]] = {}
    ends, kept = set(graph.outputs), []
    for draft in drafts:
        run = prod(graph.tensors[draft.output].shape)
        begin = draft.params.get("x_begin", 0)
        whole = draft.kernel == "reshape" or (draft.kernel.startswith("copy")
                                              and draft.params["length"] == run)
        if not whole or draft.inputs[0] in draft.constants:
            kept.append(draft)
        elif draft.output in ends:
            dtype = graph.tensors[draft.output].dtype
            kept.append(Draft(f"copy_{SUFFIX[dtype]}", _one_run(run, begin), draft.inputs,
                              draft.output, ()))
        else:
            root, offset = alias.get(draft.inputs[0], (draft.inputs[0], 0))
            alias[draft.output] = (root, offset + begin)
    return kept, alias


def _one_run(length: int, begin: int = 0) -> dict[str, int]:
    """Numbers of a copy of `length` values."""
    return {"runs": 1, "length": length, "x_begin": begin, "x_step": length, "y_begin": 0,
            "y_step": length}
