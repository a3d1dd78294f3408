"""Padding and bucketing lose nothing and add nothing."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.train.batches import PADDING, Lesson, batches


def lessons(lengths):
    """Lessons whose frames can all be told apart."""
    made, number = [], 0
    for length in lengths:
        ids = np.arange(number, number + length)
        made.append(Lesson(ids[:, None].astype(np.float32) * [1, -1], ids % 5,
                           (ids % 3).astype(np.float32)))
        number += length
    return made


@settings(deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(1, 9),
       st.integers(0, 5))
def test_every_frame_comes_once_with_its_own_target_and_weight(lengths, size, seed):
    seen = []
    for batch in batches(lessons(lengths), size, np.random.default_rng(seed)):
        assert batch.features.shape[0] <= size
        assert batch.features.shape[1] == batch.lengths.max()
        for x, y, w, length in zip(batch.features, batch.targets, batch.weights, batch.lengths,
                                   strict=True):
            ids = x[:length, 0].astype(int)
            seen += ids.tolist()
            np.testing.assert_array_equal(y[:length], ids % 5)
            np.testing.assert_array_equal(w[:length], ids % 3)
            assert (x[length:] == np.float32(PADDING)).all()
            assert not w[length:].any()
    assert sorted(seen) == list(range(sum(lengths)))


def test_lessons_in_a_batch_are_of_nearly_one_length():
    lengths = np.random.default_rng(0).integers(10, 200, 400)
    made = list(batches(lessons(lengths), 16, np.random.default_rng(1)))
    padded = sum(batch.targets.size for batch in made)
    assert padded < 1.2 * lengths.sum()  # in random order it would be 1.8 times


def test_the_order_is_the_seed_s():
    made = lessons([3, 9, 4, 8, 2])
    first, again, other = (
        [b.lengths.tolist() for b in batches(made, 2, np.random.default_rng(seed))]
        for seed in (1, 1, 2))
    assert first == again
    assert first != other
