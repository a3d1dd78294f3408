"""What a target says of an op."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edgernn.graph import Graph, Op, Tensor

RUNS, SLOWLY, REFUSED = "runs", "runs, not accelerated", "refused"

Types = frozenset[tuple[str, ...]]
"""Types of an op's inputs that are looked at, and of its output."""


@dataclass(frozen=True)
class Rule:
    """Which variants of an op a target runs."""

    types: Types | None = None
    """Of the first input, of the second where there are `inputs` of 2, and of the output; None:
    whatever they are."""
    inputs: int = 1
    """How many inputs' types are in `types`."""
    activations: tuple[str, ...] | None = None
    """Fused activations it knows; None: all of them."""
    accelerated: Types | None = None
    """Where the target has kernels of its own for some types alone: these."""
    check: "Callable[[Graph, Op], str] | None" = None
    """What else must hold: says what does not, or nothing."""
    source: str = ""
    """The file or page that says so, if it is not the target's."""


@dataclass(frozen=True)
class Target:
    """Something that runs models, and what it runs."""

    name: str
    what: str
    source: str
    """Where its list of ops is."""
    rules: Mapping[str, Rule]
    remedy: str
    """What to do about an op that it does not run."""
    tensors: "Callable[[Tensor], str] | None" = None
    """What must hold for every tensor: says what does not, or nothing."""
    note: str = ""
    """Printed below the verdicts."""


@dataclass(frozen=True)
class Verdict:
    """What a target says of one op of a model."""

    target: str
    number: int
    """In the order in which they run, from 0."""
    op: str
    tensor: str
    """Its output: the layer it came from."""
    state: str
    why: str = ""
    change: str = ""
    source: str = field(default="", compare=False)


def same(*dtypes: str) -> Types:
    """An input and an output of one type, any of these."""
    return frozenset((dtype, dtype) for dtype in dtypes)


def pairs(*given: tuple[str, ...]) -> Types:
    """Exactly these."""
    return frozenset(given)


def judge(target: Target, graph: Graph, number: int) -> Verdict:
    """What a target says of an op."""
    op = graph.ops[number]
    tensor = graph.tensors[op.outputs[0]].name if op.outputs else ""
    rule = target.rules.get(op.name)
    found = Verdict(target.name, number, op.name, tensor, RUNS,
                    source=(rule.source if rule and rule.source else target.source))

    def refused(why: str) -> Verdict:
        return Verdict(target.name, number, op.name, tensor, REFUSED, why, target.remedy,
                       found.source)

    if rule is None:
        return refused(f"{target.what} has no {op.name}")
    said = _tensors(target, graph, op)
    if said:
        return refused(said)
    types = _types(graph, op, rule.inputs)
    if rule.types is not None and types not in rule.types:
        known = ", ".join(sorted(_shown(each) for each in rule.types))
        return refused(f"{_shown(types)}: its {op.name} takes {known}")
    activation = op.options.get("activation", "NONE")
    if rule.activations is not None and activation not in rule.activations:
        return refused(f"{activation} is fused into it, and its {op.name} takes "
                       f"{' or '.join(rule.activations)}")
    said = rule.check(graph, op) if rule.check else ""
    if said:
        return refused(said)
    if rule.accelerated is not None and types not in rule.accelerated:
        return Verdict(target.name, number, op.name, tensor, SLOWLY,
                       f"no kernel of its own for {_shown(types)}: the reference kernel runs",
                       source=found.source)
    return found


def _types(graph: Graph, op: Op, inputs: int) -> tuple[str, ...]:
    found = [graph.tensors[i].dtype for i in (*op.inputs[:inputs], *op.outputs[:1]) if i >= 0]
    return tuple(found)


def _shown(types: tuple[str, ...]) -> str:
    return f"{' x '.join(types[:-1])} to {types[-1]}" if len(types) > 1 else "".join(types)


def _tensors(target: Target, graph: Graph, op: Op) -> str:
    if target.tensors is None:
        return ""
    for i in (*op.inputs, *op.outputs):
        said = target.tensors(graph.tensors[i]) if i >= 0 else ""
        if said:
            return said
    return ""
