"""What each label counts."""

import numpy as np
import pytest

from edgernn.errors import ConfigError
from edgernn.train.batches import Lesson
from edgernn.train.class_weights import ClassWeights

LABELS = ("no", "unknown", "yes")


def lesson(targets, weights=None):
    targets = np.array(targets)
    return Lesson(np.zeros((len(targets), 2), np.float32), targets,
                  np.ones(len(targets), np.float32) if weights is None
                  else np.array(weights, np.float32))


def mass(lessons):
    return sum(np.bincount(one.targets, one.weights, len(LABELS)) for one in lessons)


def test_balanced_labels_count_the_same_however_rare():
    lessons = [lesson([0] * 9 + [1]), lesson([0, 2, 2], [0, 1, 1])]
    weighed = ClassWeights.of(["balanced"], LABELS).on(lessons)
    np.testing.assert_allclose(mass(weighed), 4, rtol=1e-6)
    assert weighed[1].weights[0] == 0  # what nobody asks stays unasked


def test_a_label_that_an_epoch_lacks_takes_nothing_from_others():
    weighed = ClassWeights.of(["balanced"], LABELS).on([lesson([0, 0, 0, 2])])
    np.testing.assert_allclose(mass(weighed), [2, 0, 2], rtol=1e-6)


def test_named_labels_count_what_they_are_given():
    weighed = ClassWeights.of(["yes=3", "unknown=0"], LABELS).on([lesson([0, 1, 2])])
    np.testing.assert_array_equal(weighed[0].weights, [1, 0, 3])


def test_balance_can_be_tilted():
    weighed = ClassWeights.of(["balanced", "yes=2"], LABELS).on([lesson([0, 0, 0, 1, 2])])
    found = mass(weighed)
    np.testing.assert_allclose(found / found[0], [1, 1, 2], rtol=1e-6)


def test_without_weights_lessons_are_as_they_were():
    given = [lesson([0, 1])]
    assert ClassWeights.of([], LABELS).on(given)[0] is given[0]


@pytest.mark.parametrize("setting", ["maybe=2", "yes", "yes=", "yes=-1", "yes=nan", "yes=inf",
                                     "=2", "Balanced"])
def test_a_weight_that_makes_no_sense_is_named(setting):
    with pytest.raises(ConfigError, match=setting):
        ClassWeights.of([setting], LABELS)


def test_numbers_have_no_class():
    with pytest.raises(ConfigError, match="numbers"):
        ClassWeights.of(["balanced"], LABELS, one_label=False)
