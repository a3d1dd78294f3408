"""A sequence made by a model that says what comes next: each step is drawn and fed back."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ModelError
from edgernn.frontend.tokens import UNKNOWN, Tokens
from edgernn.spec import TokenSpec
from edgernn.step import StepModel

SMALLEST = 1e-6
"""Probabilities are kept this far from 0 and 1, so that their odds are finite."""


class Generator:
    """Draw one step after another.

    Parameters
    ----------
    model : StepModel
        Of task `next`: of rows of zeros and ones (such as notes), or of tokens.
    temperature : float
        0: always the likeliest.  1: as the model says.  More: bolder.
    top_k : int
        Only so many of the likeliest may be chosen; 0: any.
    seed : int
        Same seed, same sequence.

    Raises
    ------
    ModelError
        If the model is asked for something else than the next step.
    """

    def __init__(self, model: StepModel, temperature: float = 1.0, top_k: int = 0,
                 seed: int = 0) -> None:
        if model.spec.task != "next":
            raise ModelError(f"the model's task is {model.spec.task}; to generate, one of task "
                             "next was needed. Train it: edgernn train DATA --task next")
        self.model = model
        self.temperature, self.top_k = temperature, top_k
        self._rng = np.random.default_rng(seed)
        frontend = model.spec.frontend
        self._tokens = Tokens(frontend) if isinstance(frontend, TokenSpec) else None

    def rows(self, begin: NDArray[np.float32], steps: int) -> Iterator[NDArray[np.float32]]:
        """Frames of zeros and ones that follow those of `begin`.

        Parameters
        ----------
        begin : float32 array, shape (n, width)
            What was played so far; of none, silence.
        steps : int
            How many to make.

        Yields
        ------
        float32 array, shape (width,)
        """
        self.model.reset()
        frames = begin if len(begin) else np.zeros((1, self.model.width), np.float32)
        for frame in frames:
            scores = self.model.step(frame)
        for _ in range(steps):
            frame = self._ones(scores)
            yield frame
            scores = self.model.step(frame)

    def text(self, begin: str, steps: int) -> Iterator[str]:
        """Units that follow a text, until the model ends it.

        Raises
        ------
        ModelError
            If `begin` is empty: something must be the first token.
        """
        assert self._tokens is not None, "for models of rows there is `rows`"
        if not self._tokens.split(begin):
            raise ModelError("nothing was given to begin with; a first word or letter was needed. "
                             "Use --begin TEXT")
        self.model.reset()
        self._tokens.reset()
        vocabulary = self._tokens.spec.vocabulary
        for row in self._tokens.push(self._tokens.split(begin)):
            scores = self.model.step(row)
        for _ in range(steps):
            found = self._one(scores)
            if not found:
                return
            unit = vocabulary[found - UNKNOWN - 1]
            yield unit
            scores = self.model.step(self._tokens.push([unit])[0])

    def _ones(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Any number of ones, each drawn by its own probability."""
        p = np.clip(scores.astype(np.float64), SMALLEST, 1 - SMALLEST)
        if self.top_k:
            p[np.argsort(-p)[self.top_k:]] = 0
        if not self.temperature:
            return (p >= 0.5).astype(np.float32)
        with np.errstate(divide="ignore"):
            odds = np.log(p / (1 - p)) / self.temperature
        return (self._rng.random(len(p)) < 1 / (1 + np.exp(-odds))).astype(np.float32)

    def _one(self, scores: NDArray[np.float32]) -> int:
        """Number of one token; never that of the unknown one."""
        p = np.maximum(scores.astype(np.float64), SMALLEST)
        p[UNKNOWN] = 0
        if not self.temperature:
            return int(p.argmax())
        if self.top_k:
            p[np.argsort(-p)[self.top_k:]] = 0
        with np.errstate(divide="ignore"):
            p = np.exp(np.log(p / p.max()) / self.temperature)
        return int(self._rng.choice(len(p), p=p / p.sum()))
