"""A label for every frame from what came before it and a little of what comes after.

The file has a part that reads forward, whose state is carried as in any step model, a part
that reads `backward`, and a `head` that sees both (see `edgernn.bundle`).  Frames are answered
N at a time: once R more have come, the backward part runs from zeros over those N + R, from
the end.  So a frame waits for N - 1 + R others at most, and costs (N + R) / N backward steps.
With the whole sequence as one chunk it is Keras's Bidirectional.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import bundle
from edgernn.errors import ModelError
from edgernn.frontend import make_frontend
from edgernn.frontend.tokens import Tokens
from edgernn.interpreter import Runtime
from edgernn.spec import LogMelSpec, StandardizeSpec
from edgernn.step import StepModel

Codes = NDArray[Any]


class Bidirectional:
    """Push frames, get the scores of those that have seen enough.

    How frames are cut into pushes never changes what comes out.

    Parameters
    ----------
    parts : Bundle
        A file of task `label` with the parts backward and head.
    backend : str
        As `StepModel.open` has it.
    chunk : int, optional
        N, frames that are answered together, in place of the model's own; 0: all of them,
        at `flush`.
    ahead : int, optional
        R, frames that the last of a chunk sees beyond itself, in place of the model's own.

    Raises
    ------
    ModelError
        If the file is of another kind, or its parts do not fit each other.
    BackendError
        See `StepModel.open`.
    """

    def __init__(self, parts: bundle.Bundle, backend: str = "auto", chunk: int | None = None,
                 ahead: int | None = None) -> None:
        if not {"backward", "head"} <= set(parts.parts):
            raise ModelError(f"{parts.path} has the parts {', '.join(parts.parts) or 'none'}; "
                             "backward and head were needed. Use edgernn.step.StepModel, or train "
                             "with --task label --bidirectional")
        self.spec = parts.spec
        self.forward = StepModel.load(parts, backend)
        self.backward = StepModel.load(parts.part("backward"), backend)
        self.head = StepModel.load(parts.part("head"), backend)
        self.chunk = self.spec.chunk if chunk is None else chunk
        self.ahead = self.spec.ahead if ahead is None else ahead
        if self.chunk < 0 or self.ahead < 0:
            raise ModelError(f"a chunk of {self.chunk} frames and {self.ahead} ahead were asked "
                             "for; 0 or more of each were needed")
        self._check()
        self.encode = self.forward.encode
        self.reset()

    @classmethod
    def open(cls, path: str | Path, backend: str = "auto", chunk: int | None = None,
             ahead: int | None = None) -> "Bidirectional":
        """Open a file written by `edgernn quantize`."""
        return cls(bundle.read(Path(path)), backend, chunk, ahead)

    @property
    def runtime(self) -> Runtime:
        """What runs the parts."""
        return self.forward.runtime

    @property
    def labels(self) -> tuple[str, ...]:
        """What each score means."""
        return self.head.labels

    @property
    def latency_ms(self) -> float | None:
        """Longest that a frame waits for its answer; None: to the end, or frames have no time."""
        frame = frame_ms(self.spec)
        return (self.chunk - 1 + self.ahead) * frame if self.chunk and frame else None

    def push(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Take frames; give the scores of those that are complete, in order.

        Parameters
        ----------
        rows : array, shape (n, width)
            As `StepModel.step` takes them: features, codes or tokens.

        Returns
        -------
        float32 array, shape (frames, labels)
            Of the next frames not answered yet; often none.

        Raises
        ------
        FeatureError
            If a frame is none; no frame of this push is then taken.
        """
        self._waiting.extend([self.forward.accept(row)[0].copy() for row in rows])
        found = []
        while self.chunk and len(self._waiting) >= self.chunk + self.ahead:
            found.append(self._answer(self.chunk))
        return self._joined(found)

    def flush(self) -> NDArray[np.float32]:
        """End the sequence: scores of the frames still waiting; then `reset`."""
        found = []
        while self._waiting:
            found.append(self._answer(min(self.chunk or len(self._waiting), len(self._waiting))))
        self.reset()
        return self._joined(found)

    def run(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Scores of every frame of a whole sequence."""
        self.reset()
        return np.concatenate([self.push(rows), self.flush()])

    def reset(self) -> None:
        """Forget everything."""
        self._waiting: list[NDArray[Any]] = []
        self.forward.reset()

    def _answer(self, count: int) -> NDArray[np.float32]:
        """Scores of the first `count` frames that wait, which then do no more."""
        seen = self._waiting[:count + self.ahead]
        after = []
        self.backward.reset()
        for row in reversed(seen):
            self.backward.step(row)
            after.append(self.backward.codes[0])
        scores = []
        for row, later in zip(seen[:count], reversed(after), strict=False):
            self.forward.step(row)
            scores.append(self.head.step(np.concatenate([self.forward.codes[0], later])).copy())
        del self._waiting[:count]
        return np.array(scores)

    def _joined(self, found: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.concatenate([np.empty((0, len(self.labels)), np.float32), *found])

    def _check(self) -> None:
        """Whether bytes of one part may be copied to another."""
        made = [model.graph.tensor(model.spec.output) for model in (self.forward, self.backward)]
        taken = self.head.graph.tensor(self.head.spec.input)
        width = sum(tensor.shape[-1] for tensor in made)
        if width != taken.shape[-1] or any(tensor.qtype != taken.qtype for tensor in made):
            raise ModelError(f"the head takes {taken.qtype} {taken.shape[-1]} wide, but the other "
                             f"parts give {made[0].qtype} and {made[1].qtype} {width} wide; they "
                             f"must be equal, since the bytes are copied. {bundle.REMEDY}")
        x, y = (m.graph.tensor(m.spec.input) for m in (self.forward, self.backward))
        if (x.shape, x.qtype) != (y.shape, y.qtype):
            raise ModelError(f"the part that reads backward takes {y.qtype} of shape {y.shape}, "
                             f"the other {x.qtype} of shape {x.shape}; the same frames go to "
                             f"both. {bundle.REMEDY}")


def frame_ms(spec: Any) -> float:
    """Milliseconds from one frame to the next; 0 where they have no time, as tokens."""
    frontend = spec.frontend
    if isinstance(frontend, LogMelSpec):
        return float(frontend.hop_ms)
    if isinstance(frontend, StandardizeSpec) and frontend.rate_hz:
        return 1000 / frontend.rate_hz
    return 0.0


def tagged(model: Bidirectional, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """``{"labels": [...], "units": [...]}`` of each line of text that is not empty.

    Raises
    ------
    ModelError
        If the model reads no text.
    """
    frontend = make_frontend(model.spec.frontend)
    if not isinstance(frontend, Tokens):
        raise ModelError(f"the model takes {model.spec.frontend.kind}, not text. Give it what it "
                         "takes: edgernn stream --input")
    for line in lines:
        units = frontend.split(line.rstrip("\r\n"))
        if units:
            scores = model.run(frontend.whole(units))
            yield {"labels": [model.labels[i] for i in scores.argmax(axis=1)], "units": units}
