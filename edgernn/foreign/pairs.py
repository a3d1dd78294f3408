"""Which output is the next value of which input.

A model from elsewhere does not say.  Pairs are found in this order, each only where it leaves no
choice:

1. those that were told;
2. equal names but for what marks the end: ``h_in`` and ``h_out``, ``state`` and ``next_state``;
3. the only input and the only output of a shape and type, scale included;
4. the same, whatever the scale: what is written is then moved to the scale it is read in.

What is left must be one input, the frame, and one output, the scores.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgernn.errors import ModelError
from edgernn.graph import Graph, Tensor
from edgernn.spec import StatePair

MARKS = re.compile(r"(?<![a-z0-9])(in|out|input|output|next|new|prev|previous|old|cur|current|"
                   r"serving default|stateful ?partitioned ?call|identity|initial|final|\d+)"
                   r"(?![a-z0-9])")
"""Words that say which end a tensor is, or who converted it."""


@dataclass(frozen=True)
class Ends:
    """What the inputs and outputs of a step are, by their tensors' names."""

    input: str
    output: str
    states: tuple[StatePair, ...]


def find_pairs(graph: Graph, signature: tuple[Mapping[int, str], Mapping[int, str]],
               told: Mapping[str, str], known: Sequence[StatePair] = ()) -> Ends:
    """Sort the inputs and outputs of a step into frame, scores and states.

    Parameters
    ----------
    graph : Graph
    signature : pair of mappings
        Other names of inputs and outputs, as `edgernn.tflite.signature` gives them.
    told : mapping
        Pairs that somebody named, by tensor or by signature: input to output.
    known : sequence of StatePair
        Pairs that are sure already.

    Raises
    ------
    ModelError
        If a name that was told is none, or there is a choice left; it lists what there is.
    """
    ins = {graph.tensors[i].name: graph.tensors[i] for i in graph.inputs}
    outs = {graph.tensors[i].name: graph.tensors[i] for i in graph.outputs}
    aliases = [{alias: graph.tensors[i].name for i, alias in names.items()} for names in signature]
    pairs = {pair.input: pair.output for pair in known}
    for one, other in told.items():
        before, after = _named(one, ins, aliases[0], "input"), _named(
            other, outs, aliases[1], "output")
        _check_told(ins[before], outs[after])
        pairs[before] = after
    names = [{graph.tensors[i].name: alias for i, alias in named.items()} for named in signature]

    def stem(end: int, name: str) -> str:
        return _stem(names[end].get(name, name))

    rules: list[Callable[[Tensor, Tensor], bool]] = [
        lambda a, b: bool(stem(0, a.name)) and stem(0, a.name) == stem(1, b.name)
        and (a.shape, a.dtype) == (b.shape, b.dtype),
        lambda a, b: _type(a) == _type(b),
        lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype)]
    shared = set(pairs.values())
    for rule in rules:
        _match(rule, {n: t for n, t in ins.items() if n not in pairs},
               {n: t for n, t in outs.items() if n not in shared}, pairs)
        shared = set(pairs.values())
    frames = [name for name in ins if name not in pairs]
    scores = [name for name in outs if name not in shared]
    if not scores and len(outs) == 1:  # the state is the answer
        scores = list(outs)
    if len(frames) != 1 or len(scores) != 1:
        raise _undecided(frames, scores, ins, outs, pairs)
    return Ends(frames[0], scores[0], tuple(StatePair(a, b) for a, b in pairs.items()))


def _match(rule: Callable[[Tensor, Tensor], bool], ins: Mapping[str, Tensor],
           outs: Mapping[str, Tensor], pairs: dict[str, str]) -> None:
    """Add the pairs of which each end fits the other end alone; leave a frame and scores."""
    fits = {a: [b for b, y in outs.items() if rule(x, y)] for a, x in ins.items()}
    for a, found in fits.items():
        rivals = [other for other, theirs in fits.items() if found and found[0] in theirs]
        if len(found) == 1 and len(rivals) == 1 and len(ins) > 1:
            pairs[a] = found[0]


def _stem(name: str) -> str:
    """What is left of a name without the words that mark an end."""
    words = re.sub(r"[^a-z0-9]+", " ", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
    return " ".join(MARKS.sub(" ", words).split())


def _type(tensor: Tensor) -> Any:
    return tensor.shape, tensor.dtype, tensor.scales, tensor.zero_points


def _named(name: str, there: Mapping[str, Tensor], aliases: Mapping[str, str], kind: str) -> str:
    found = aliases.get(name, name)
    if found not in there:
        raise ModelError(f"--state names the {kind} {name!r}, which the model does not have; it "
                         f"has {_list(there)}. Name one of those")
    return found


def _check_told(before: Tensor, after: Tensor) -> None:
    if (before.shape, before.dtype) != (after.shape, after.dtype):
        raise ModelError(f"--state pairs {_described(before)} with {_described(after)}; one shape "
                         "and one type were needed. Pair those that are")


def _undecided(frames: Sequence[str], scores: Sequence[str], ins: Mapping[str, Tensor],
               outs: Mapping[str, Tensor], pairs: Mapping[str, str]) -> ModelError:
    sure = ", ".join(f"{a}={b}" for a, b in pairs.items()) or "none"
    if not ins or not outs:
        return ModelError("the model has no inputs or no outputs; a frame and scores were needed. "
                          "Give a model that takes one frame at a time")
    example = (f"{frames[-1]}={scores[-1]}" if frames and scores else
               f"{next(iter(ins))}={next(iter(outs))}")
    return ModelError(
        "which of the model's inputs are states cannot be told: left are the inputs "
        f"{_list({n: ins[n] for n in frames}) or 'none'} and the outputs "
        f"{_list({n: outs[n] for n in scores}) or 'none'}, of which one input is the frame and "
        f"one output the scores. Pairs that are sure: {sure}. Name the others, such as "
        f"--state {example}")


def _list(tensors: Mapping[str, Tensor]) -> str:
    return ", ".join(map(_described, tensors.values()))


def _described(tensor: Tensor) -> str:
    scale = f" scale {tensor.scales[0]:.6g}" if tensor.scales else ""
    return f"{tensor.name!r} {tensor.dtype}{list(tensor.shape)}{scale}"
