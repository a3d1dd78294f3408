"""A sequence into another of another length, one step at a time: spelling into phonemes.

The file has an encoder, a decoder and, if the model was trained so, an encoder that reads
from the end and the keys of an additive attention (see `edgernn.bundle`).  Each is a step
model with its states in plain sight: the encoder's last become the decoder's first, byte by
byte, and what it put out at every step is the memory the decoder looks at.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import bundle
from edgernn.errors import FeatureError, ModelError
from edgernn.frontend.tokens import UNKNOWN, Tokens
from edgernn.spec import TokenSpec
from edgernn.step import StepModel

Codes = NDArray[Any]
START, END = 1, 0
"""The token before the first, and the label after the last; label i is token i + 1."""


class Transducer:
    """Greedy: the likeliest token at each step, until the end or `longest` tokens.

    Parameters
    ----------
    parts : Bundle
        A file of task `transduce`.
    backend : str
        As `StepModel.open` has it.

    Raises
    ------
    ModelError
        If the file is of another task, or its parts do not fit each other.
    BackendError
        See `StepModel.open`.
    """

    def __init__(self, parts: bundle.Bundle, backend: str = "auto") -> None:
        if parts.spec.task != "transduce" or "decoder" not in parts.parts:
            raise ModelError(f"{parts.path} is a model of task {parts.spec.task!r} with the parts "
                             f"{', '.join(parts.parts) or 'none'}; task transduce with a decoder "
                             "was needed. Use edgernn.step.StepModel, or edgernn stream")
        self.spec = parts.spec
        self.encoder = StepModel.load(parts, backend)
        self.decoder = StepModel.load(parts.part("decoder"), backend)
        self.readers = [self.encoder]
        """The encoder, and the one that reads from the end."""
        if "backward" in parts.parts:
            self.readers.append(StepModel.load(parts.part("backward"), backend))
        self.keys = StepModel.load(parts.part("keys"), backend) if "keys" in parts.parts else None
        self._source, self._target = _tokens(self.encoder), _tokens(self.decoder)
        self._check()

    @classmethod
    def open(cls, path: str | Path, backend: str = "auto") -> "Transducer":
        """Open a file written by `edgernn quantize`."""
        return cls(bundle.read(Path(path)), backend)

    @property
    def longest_source(self) -> int:
        """Most tokens of a source."""
        return self.spec.longest

    @property
    def longest_target(self) -> int:
        """Tokens after which a target ends if the model does not end it."""
        return self.decoder.spec.longest

    def run(self, source: str | Sequence[str]) -> list[str]:
        """Target tokens of a source, given as text or as its tokens.

        Raises
        ------
        FeatureError
            If the source is empty, too long, or has a token that the model does not know.
        """
        numbers = self._numbers(source)
        memory, ends = self._read(numbers)
        decoder = self.decoder
        decoder.reset()
        state = decoder.state()
        for pair, end in zip(decoder.spec.states, ends, strict=True):
            state[pair.input] = end
        decoder.restore(state)
        self._set_contexts(memory)
        found: list[str] = []
        token = START
        while len(found) < self.longest_target:
            label = int(decoder.step(np.array([token], np.int32)).argmax())
            if label == END:
                break
            found.append(decoder.labels[label])
            token = label + 1
        return found

    def _numbers(self, source: str | Sequence[str]) -> NDArray[np.int32]:
        units = self._source.split(source) if isinstance(source, str) else list(source)
        if not 0 < len(units) <= self.longest_source:
            raise FeatureError(f"the source {source!r:.60} has {len(units)} tokens; 1 to "
                               f"{self.longest_source} were needed. Leave it out, or cut it")
        rows = self._source.whole(units)
        unknown = sorted({unit for unit, row in zip(units, rows, strict=True)
                          if row[0] == UNKNOWN})
        if unknown:
            raise FeatureError(f"the source {source!r:.60} has {', '.join(map(repr, unknown))}, "
                               "which the model does not know; it knows "
                               f"{' '.join(self._source.spec.vocabulary)[:200]}. Leave it out")
        return rows

    def _read(self, rows: NDArray[np.int32]) -> tuple[Codes, list[Codes]]:
        """The memory, shape (tokens, width), and the states in which the readers ended."""
        columns, ends = [], []
        for model, order in zip(self.readers, (slice(None), slice(None, None, -1)), strict=False):
            model.reset()
            outputs = []
            for row in rows[order]:
                model.step(row)
                outputs.append(model.codes[0])
            columns.append(np.array(outputs)[order])
            state = model.state()
            ends.append([state[pair.input] for pair in model.spec.states])
        return (np.concatenate(columns, axis=1),
                [np.concatenate(each, axis=1) for each in zip(*ends, strict=True)])

    def _set_contexts(self, memory: Codes) -> None:
        """Give the decoder the memory, its keys, and a mask over what is padding."""
        decoder = self.decoder
        if not decoder.spec.context:
            return
        room = [(0, self.longest_source - len(memory)), (0, 0)]
        decoder.set_context("memory", np.pad(memory, room))
        if self.keys:
            rows = []
            for row in memory:
                self.keys.step(row)
                rows.append(self.keys.codes[0])
            decoder.set_context("keys", np.pad(np.array(rows), room))
        q = decoder.graph.tensor(decoder.spec.context["mask"]).qtype
        mask = np.where(np.arange(self.longest_source) < len(memory), 0, -q.high)
        decoder.set_context("mask", mask.astype(q.dtype)[None])

    def _check(self) -> None:
        """Whether bytes of one part may be copied to another."""
        outputs = [m.graph.tensor(m.spec.output) for m in self.readers]
        tensor, context = self.decoder.graph.tensor, self.decoder.spec.context
        joins = []
        for i, pair in enumerate(self.decoder.spec.states):
            ends = [m.graph.tensor(m.spec.states[i].input) for m in self.readers
                    if len(m.spec.states) == len(self.decoder.spec.states)]
            joins.append((ends, tensor(pair.input)))
        if context:
            joins.append((outputs, tensor(context["memory"])))
        if self.keys:
            joins.append(([self.keys.graph.tensor(self.keys.spec.output)], tensor(context["keys"])))
            joins.append((outputs, self.keys.graph.tensor(self.keys.spec.input)))
        for made, taken in joins:
            width = sum(t.shape[-1] for t in made)
            if width != taken.shape[-1] or any(t.qtype != taken.qtype for t in made):
                raise ModelError(
                    f"the decoder takes {taken.name!r} as {taken.qtype} {taken.shape[-1]} wide, "
                    f"but the other parts give {', '.join(str(t.qtype) for t in made) or 'nothing'}"
                    f" {width} wide; they must be equal, since the bytes are copied. "
                    f"{bundle.REMEDY}")
        needed = {"memory", "mask", *(["keys"] if self.keys else [])}
        if context and (set(context) != needed
                        or tensor(context["memory"]).shape[1] != self.longest_source):
            raise ModelError(f"the decoder has the contexts {', '.join(context)} over "
                             f"{tensor(next(iter(context.values()))).shape}; "
                             f"{', '.join(sorted(needed))} over {self.longest_source} tokens were "
                             f"needed. {bundle.REMEDY}")


def targets(transducer: Transducer, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """``{"source": "cat", "target": ["K", "AE1", "T"]}`` of each line that is not empty.

    A line that the model cannot read has an ``error`` in place of a target: those after it
    are read all the same.
    """
    for line in lines:
        source = line.strip()
        if not source:
            continue
        try:
            yield {"source": source, "target": transducer.run(source)}
        except FeatureError as problem:
            yield {"source": source, "error": str(problem)}


def _tokens(model: StepModel) -> Tokens:
    spec = model.spec.frontend
    if not isinstance(spec, TokenSpec) or spec.ngrams != 1 or model.spec.longest < 1:
        raise ModelError(f"a part takes {spec.kind} of at most {model.spec.longest}; one token at "
                         f"a time, and a bound of 1 or more, were needed. {bundle.REMEDY}")
    return Tokens(spec)
