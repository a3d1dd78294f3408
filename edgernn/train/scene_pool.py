"""Scenes made once and met again, each time a little changed: a `Teacher`."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgernn.frontend import AudioFrontend
from edgernn.frontend.logmel import CODE_HIGH
from edgernn.train import augment
from edgernn.train.batches import Lesson
from edgernn.train.config import TrainConfig
from edgernn.train.lessons import Scene, SceneTeacher, rows_of
from edgernn.train.sequences import Sequences

REVOICED = 0.7
"""Share of scenes that are heard from other throats, into other microphones."""
LOUDER = 2.4
"""By how much half of the scenes are louder or fainter, at most: octaves of energy (7 dB)."""


@dataclass(frozen=True)
class ScenePool:
    """Teaches `config.scenes` scenes an epoch, of many that there are.

    To make a scene takes several times as long as to learn from it.
    """

    config: TrainConfig
    frontend: AudioFrontend
    count: int
    """Scenes that there are."""
    scene: Callable[[int], Scene]
    """The scene of a number below `count`, always the same."""

    @classmethod
    def of(cls, teacher: SceneTeacher) -> "ScenePool":
        """`config.pool` of a teacher's scenes, each made when it is first met, and kept."""
        return cls(teacher.config, teacher.frontend, teacher.config.pool,
                   functools.cache(teacher.numbered))

    def lessons(self, rng: np.random.Generator) -> list[Lesson]:
        """See `Teacher.lessons`: other throats and microphones, blots, and another level."""
        chosen = rng.choice(self.count, min(self.config.scenes, self.count), replace=False)
        return [self._lesson(int(i), rng) for i in chosen]

    def calibration(self, most: int) -> Sequences:
        """See `Teacher.calibration`: the first scenes, labelled by their last word."""
        scenes = [self.scene(i) for i in range(min(most, self.count, 300))]
        return rows_of([codes for codes, _, _ in scenes],
                       np.array([targets.max(initial=0) for _, targets, _ in scenes]), "train")

    def _lesson(self, i: int, rng: np.random.Generator) -> Lesson:
        codes, targets, weights = self.scene(i)
        if rng.random() < REVOICED:
            codes = augment.revoiced(codes, self.config, rng)
        if rng.random() < 0.5:
            codes = _louder(codes, rng.uniform(-LOUDER, LOUDER))
        codes = augment.blotted(codes, self.config, rng)
        return Lesson(self.frontend.features(codes), targets.astype(np.int64), weights)


def _louder(codes: NDArray[np.int16], octaves: float) -> NDArray[np.int16]:
    return np.clip(codes + int(octaves * augment.CODES_PER_OCTAVE), 0, CODE_HIGH).astype(np.int16)
