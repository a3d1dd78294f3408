"""Scenes that are made once and met again."""

import dataclasses

import numpy as np

from edgernn.train.scene_pool import ScenePool
from tests.train.test_lessons import scenes

REVOICED = {"warp": 0.1, "equalize_db": 2.0, "mask_mels": 6, "mask_frames": 4}


def counted(pool, made):
    """The same pool, which writes down what scenes are asked for."""
    def scene(i):
        made.append(i)
        return pool.scene(i)
    return dataclasses.replace(pool, scene=scene)


def test_an_epoch_meets_as_many_scenes_as_asked_none_twice_and_in_time_all_of_them():
    made = []
    pool = counted(ScenePool.of(scenes(scenes=8, pool=12)), made)
    rng = np.random.default_rng(0)
    for _ in range(6):
        before = len(made)
        assert len(pool.lessons(rng)) == 8
        assert len(set(made[before:])) == 8
    assert set(made) == set(range(12))


def test_a_scene_that_is_met_again_asks_the_same_and_sounds_different():
    pool = ScenePool.of(scenes(scenes=1, pool=1, **REVOICED))
    rng = np.random.default_rng(0)
    (first,), (again,) = pool.lessons(rng), pool.lessons(rng)
    np.testing.assert_array_equal(first.targets, again.targets)
    np.testing.assert_array_equal(first.weights, again.weights)
    assert first.features.shape == again.features.shape
    assert (first.features != again.features).mean() > 0.5


def test_what_was_made_is_kept_and_another_process_would_make_it_again():
    pool, other = (ScenePool.of(scenes(pool=5)) for _ in range(2))
    assert pool.scene(3)[0] is pool.scene(3)[0]
    for kept, remade in zip(pool.scene(3), other.scene(3), strict=True):
        np.testing.assert_array_equal(kept, remade)
    assert len(pool.scene(3)[0]) != len(pool.scene(4)[0]) or \
        (pool.scene(3)[0] != pool.scene(4)[0]).any()


def test_the_step_is_calibrated_on_scenes_labelled_by_their_last_word():
    pool = ScenePool.of(scenes(pool=9))
    found = pool.calibration(6)
    assert len(found) == 6
    assert found.labels.tolist() == [pool.scene(i)[1].max() for i in range(6)]
    assert set(found.split) == {"train"}
