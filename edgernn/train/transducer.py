"""Encoder and decoder as steps, many sequences at a time, on floats or on integers.

A model of task `transduce` has the parts

    encoder    a source token -> a row of memory; what is opened first
    backward   the same from the source's end, if the encoder is bidirectional
    keys       a row of memory -> its key, if attention is additive
    decoder    the target token before -> scores of the next one; begun from the states in
               which the encoder, and after it the backward part, ended

Target tokens are numbered from 2, as `edgernn.frontend.tokens` has it; 1, which is no token,
is what the decoder is given before the first.  Label i is token i + 1, so label 0 is the end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.quant import QType
from edgernn.spec import PART, PartsSpec, TokenSpec
from edgernn.train.architecture import Architecture, Layer
from edgernn.train.config import TrainConfig
from edgernn.train.emulated import EmulatedModel
from edgernn.train.network import Network
from edgernn.train.parts import Described, FloatPart, Part, on_floats, only, over, roles
from edgernn.train.stepper import States

START, END = 1, 0
"""The token before the first, and the label after the last."""
ENCODER, BACKWARD, KEYS, DECODER = PARTS = ("encoder", "backward", "keys", "decoder")
OUT_OF_SIGHT = np.float32(-1e9)
"""What a float mask adds to the score of padding."""

Tokens = NDArray[np.int32]


def describe(config: TrainConfig, weights: Mapping[str, list[NDArray[np.float32]]],
             source: TokenSpec, target: TokenSpec, longest: tuple[int, int],
             ) -> Described:
    """The parts of a trained Keras model, as `Network.build` takes them.

    Parameters
    ----------
    config : TrainConfig
    weights : dict
        Keras's arrays by layer, as `transduction.build` names them.
    source, target : TokenSpec
    longest : (int, int)
        Most tokens of a source, and of a target without its end.
    """
    memory = config.units * (1 + config.bidirectional)
    letters, sounds = (len(weights[name][0]) for name in ("letters", "sounds"))
    read = (Layer("embedding", config.embedding, vocabulary=letters), Layer("gru", config.units),
            Layer("memory", memory))
    found: Described = {}
    for name, arrays in ((ENCODER, weights["encoder"][:3]), (BACKWARD, weights["encoder"][3:])):
        if arrays:
            found[name] = (Architecture(1, (), source, read, task=PART, longest=longest[0]),
                           _named(read, [weights["letters"], arrays, []]))
    if config.attention == "additive":
        key = (Layer("dense", config.units, "export"),)
        found[KEYS] = (Architecture(memory, (), PartsSpec(memory), key, task=PART),
                       _named(key, [weights["keys"]]))
    write = [Layer("embedding", config.embedding, vocabulary=sounds), Layer("gru", memory)]
    own = [weights["sounds"], weights["decoder"]]
    if config.attention != "none":
        additive = config.attention == "additive"
        write.append(Layer("attention", memory, config.attention, positions=longest[0],
                           memory=memory, keys=config.units if additive else 0))
        own.append([*weights["mix"],
                    *([*weights["query"], *weights["attention"]] if additive else [])])
    write.append(Layer("dense", len(target.vocabulary) + 1, "softmax"))
    found[DECODER] = (Architecture(1, ("", *target.vocabulary), target, tuple(write),
                                   task="transduce", longest=longest[1]),
                      _named(tuple(write), [*own, weights["scores"]]))
    return found


@dataclass(frozen=True)
class Contexts:
    """What the decoder is given of the encoder's outputs, in the decoder's types."""

    names: Mapping[str, str]
    """Input tensors by what they are: memory, keys, mask."""
    positions: int
    """Rows of a memory; 0 without attention."""
    hidden: Any
    """The mask of a position that is padding; of a source's own it is 0."""
    mask_dtype: str


class Transducer:
    """Sources to targets, greedily, with parts of one kind.

    Parameters
    ----------
    parts : dict of Part
    contexts : Contexts
        Of the decoder.
    longest : int
        Tokens after which a target ends if it has no end.
    """

    def __init__(self, parts: Mapping[str, Part], contexts: Contexts, longest: int) -> None:
        self.parts, self.contexts, self.longest = parts, contexts, longest

    @classmethod
    def of_floats(cls, found: Mapping[str, Network],
                  parts: Mapping[str, FloatPart] | None = None) -> "Transducer":
        """Of networks on floats; `parts` are the same, made otherwise."""
        decoder = found[DECODER]
        positions = max((layer.positions for layer in decoder.architecture.layers), default=0)
        contexts = Contexts(roles(decoder), positions, OUT_OF_SIGHT, "float32")
        return cls(parts or on_floats(found), contexts, decoder.architecture.longest)

    @classmethod
    def of_integers(cls, found: Mapping[str, Network],
                    models: Mapping[str, EmulatedModel]) -> "Transducer":
        """Of the same networks as they were emitted."""
        decoder = found[DECODER]
        names = roles(decoder)
        positions = max((layer.positions for layer in decoder.architecture.layers), default=0)
        q = models[DECODER].graph.tensor(names["mask"]).qtype if names else QType("int8", 1.0)
        return cls(models, Contexts(names, positions, -q.high, q.dtype),
                   decoder.architecture.longest)

    def run(self, sources: Sequence[Tokens]) -> list[list[int]]:
        """Target tokens of each source, ended by label 0 or by `longest`."""
        found: list[list[int]] = [[] for _ in sources]
        states, contexts = self.encode(sources)
        token = np.full(len(sources), START, np.int32)
        live = np.arange(len(sources))
        for _ in range(self.longest + 1):
            scores, states = self.parts[DECODER].codes(token[:, None], states | contexts)
            label = scores.argmax(axis=1)
            on = label != END
            live, token = live[on], (label[on] + 1).astype(np.int32)
            states, contexts = only(states, on), only(contexts, on)
            if not len(live):
                break
            for i, one in zip(live, token, strict=True):
                found[i].append(int(one))
        return [row[:self.longest] for row in found]

    def teach(self, sources: Sequence[Tokens], targets: Sequence[Tokens]) -> NDArray[Any]:
        """Scores when the decoder is given the right tokens: (sources, longest + 1, labels)."""
        states, contexts = self.encode(sources)
        steps = max(map(len, targets)) + 1
        rows = []
        for t in range(steps):
            token = np.array([START if t == 0 else row[min(t, len(row)) - 1] if len(row) else START
                              for row in targets], np.int32)
            scores, states = self.parts[DECODER].codes(token[:, None], states | contexts)
            rows.append(scores)
        return np.stack(rows, axis=1)

    def encode(self, sources: Sequence[Tokens]) -> tuple[States, States]:
        """The decoder's first states, and its contexts."""
        memory, ends = over(self.parts[ENCODER], [row[:, None] for row in sources])
        if BACKWARD in self.parts:
            again, more = over(self.parts[BACKWARD], [row[::-1, None] for row in sources])
            for row, source in zip(again, sources, strict=True):
                row[:len(source)] = row[:len(source)][::-1].copy()
            memory = np.concatenate([memory, again], axis=2)
            ends = [np.concatenate(pair, axis=1) for pair in zip(ends, more, strict=True)]
        states = dict(zip(self.parts[DECODER].initial(1), ends, strict=True))
        return states, self._contexts(memory, [len(row) for row in sources])

    def _contexts(self, memory: NDArray[Any], lengths: list[int]) -> States:
        names, positions = self.contexts.names, self.contexts.positions
        if not names:
            return {}
        memory = _padded(memory, positions)
        own = np.arange(positions) < np.array(lengths)[:, None]
        mask = np.where(own, 0, self.contexts.hidden).astype(self.contexts.mask_dtype)
        found = {names["memory"]: memory, names["mask"]: mask[:, None]}
        if KEYS in self.parts:
            keys, _ = over(self.parts[KEYS], [row[:n] for row, n in
                                               zip(memory, lengths, strict=True)])
            found[names["keys"]] = _padded(keys, positions)
        return found


def pad(rows: Sequence[Tokens], multiple: int = 1) -> Tokens:
    """Rows of tokens padded with 0 to one length, a multiple of `multiple`."""
    longest = max(map(len, rows))
    found = np.zeros((len(rows), -(-longest // multiple) * multiple), np.int32)
    for target, row in zip(found, rows, strict=True):
        target[:len(row)] = row
    return found


def _padded(rows: NDArray[Any], positions: int) -> NDArray[Any]:
    return np.pad(rows, ((0, 0), (0, positions - rows.shape[1]), (0, 0)))


def _named(stack: tuple[Layer, ...], arrays: list[list[NDArray[np.float32]]]
           ) -> dict[str, NDArray[np.float32]]:
    from edgernn.train.blocks import BLOCKS

    return {f"{index}/{name}": value
            for index, (layer, own) in enumerate(zip(stack, arrays, strict=True))
            for name, value in zip(BLOCKS[layer.kind].arrays(layer), own, strict=True)}
