"""What each label counts in training, where some are rare."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ConfigError
from edgernn.train.batches import Lesson

BALANCED = "balanced"


@dataclass(frozen=True)
class ClassWeights:
    """Factors on the weights of lessons' frames, by the label that is right there."""

    balanced: bool
    """Whether every label counts as much as any other, over an epoch."""
    factors: NDArray[np.float32]
    """Of each label, shape (labels,)."""

    @classmethod
    def of(cls, settings: Sequence[str], labels: Sequence[str], one_label: bool = True
           ) -> "ClassWeights":
        """From ``balanced``, or ``label=weight`` for some labels; others count 1.

        Parameters
        ----------
        settings : sequence of str
        labels : sequence of str
        one_label : bool
            Whether one label is right on each frame.

        Raises
        ------
        ConfigError
            If a label is unknown, or a weight is no number of 0 or more.
        """
        factors = np.ones(len(labels), np.float32)
        if settings and not one_label:
            raise ConfigError(f"class_weights is {', '.join(settings)}, and the task asks for "
                              "numbers, not for one label. Leave class_weights empty")
        for setting in settings:
            if setting == BALANCED:
                continue
            label, _, number = setting.rpartition("=")
            try:
                weight = float(number)
            except ValueError:
                weight = -1.0
            if label not in labels or not 0 <= weight < np.inf:
                raise ConfigError(f"class_weights has {setting!r}; `balanced` or `label=weight` "
                                  "was needed, the weight 0 or more, and one of the labels "
                                  f"{', '.join(labels)}")
            factors[list(labels).index(label)] = weight
        return cls(BALANCED in settings, factors)

    def on(self, lessons: Sequence[Lesson]) -> list[Lesson]:
        """The lessons, with these weights."""
        factors = self.factors
        if self.balanced:
            counts = np.zeros(len(factors))
            for lesson in lessons:
                counts += np.bincount(lesson.targets, lesson.weights, len(factors))
            there = counts > 0
            # As sklearn's: all / (labels * own), so that the mean factor of a frame is 1.
            fair = np.where(there, counts.sum() / (there.sum() * np.where(there, counts, 1)), 1)
            factors = factors * fair.astype(np.float32)
        elif (factors == 1).all():
            return list(lessons)
        return [replace(lesson, weights=lesson.weights * factors[lesson.targets])
                for lesson in lessons]
