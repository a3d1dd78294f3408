"""Scenes made once and met again, each time a little changed: a `Teacher` for `fit.teach`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from materials import NOISES, Clip, Samples
from numpy.typing import NDArray
from trials import mixed_trials

from edgernn.frontend.logmel import CODE_SCALE, CODE_ZERO
from edgernn.train import augment
from edgernn.train.batches import Lesson
from edgernn.train.config import TrainConfig
from edgernn.train.lessons import rows_of
from edgernn.train.sequences import Sequences


@dataclass(frozen=True)
class ScenePool:
    """Teaches `config.scenes` scenes an epoch, from a pool of many more."""

    config: TrainConfig
    codes: NDArray[np.int16]
    """Log-mel codes, shape (scenes, frames, mels)."""
    labels: NDArray[np.int8]
    """Label of each frame, shape (scenes, frames)."""
    weights: NDArray[np.float32]
    """What each frame counts, shape (scenes, frames)."""
    answers: NDArray[np.float16] | None = None
    """What a larger network answers on each frame, shape (scenes, frames, labels); see `_asked`."""

    def lessons(self, rng: np.random.Generator) -> list[Lesson]:
        """See `Teacher.lessons`: other throats and microphones, blots, and another level."""
        chosen = rng.choice(len(self.codes), min(self.config.scenes, len(self.codes)),
                            replace=False)
        return [self._lesson(int(i), rng) for i in chosen]

    def calibration(self, most: int) -> Sequences:
        """See `Teacher.calibration`: the first scenes, labelled by their last word."""
        count = min(most, len(self.codes), 300)
        return rows_of(list(self.codes[:count]), self.labels[:count].max(axis=1), "train")

    def _lesson(self, i: int, rng: np.random.Generator) -> Lesson:
        codes = self.codes[i]
        if rng.random() < 0.7:
            codes = augment.revoiced(codes, self.config, rng)
        if rng.random() < 0.5:
            octave = rng.uniform(-2.4, 2.4)  # of energy: 7 dB
            codes = np.clip(codes + int(octave * 256), 0, 8191).astype(np.int16)
        codes = augment.blotted(codes, self.config, rng)
        features = (codes.astype(np.float32) - np.float32(CODE_ZERO)) * np.float32(CODE_SCALE)
        return Lesson(features, *self._asked(i))

    def _asked(self, i: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Targets and weights of a scene.

        With a larger network's answers the targets of a word are half what is right and half
        what it says, and where nothing is right or wrong all what it says: a small network
        learns from its doubts what no label tells (Hinton et al. 2015, arXiv 1503.02531).
        Where there is no word it is not asked: what it mistakes for one must not be passed on.
        """
        labels, weights = self.labels[i].astype(np.int64), self.weights[i]
        if self.answers is None:
            return labels, weights
        said = self.answers[i].astype(np.float32)
        right = np.eye(said.shape[1], dtype=np.float32)[labels]
        judged = (weights > 0)[:, None]
        spoken = (labels > 0)[:, None]
        return (np.where(judged, np.where(spoken, (right + said) / 2, right), said),
                np.where(weights > 0, weights, 1))


def held_out_sequences(people: list[Clip], noise: dict[str, Samples],
                       labels: tuple[str, ...]) -> Sequences:
    """Clips of speakers held out, each in one noise at 10 dB SNR: what `quantize` tables."""
    passages = mixed_trials(people, noise, 10)[::len(NOISES) + 1]  # a new noise each time
    named = np.array([labels.index(passage.said[0].label) for passage in passages])
    return rows_of([passage.rows for passage in passages], named, "validation")
