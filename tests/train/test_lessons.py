"""Lessons put the right label on the right frame."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.frontend.logmel import LogMel
from edgernn.frontend.standardize import Standardize
from edgernn.spec import LogMelSpec, StandardizeSpec
from edgernn.train.config import TrainConfig
from edgernn.train.lessons import ClipTeacher, RowTeacher, SceneTeacher, moved, runs
from edgernn.train.sequences import Sequences

RATE = 16000
PLAIN = {"noisy": 0.0, "gain_db": (0, 0), "speed": (1, 1), "shift_ms": 0, "warp": 0,
         "equalize_db": 0, "tilt_db": 0, "mask_mels": 0, "mask_frames": 0}


def tone(seconds, hz):
    return (5000 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)
            ).astype(np.int16)


@given(st.integers(0, 200), st.integers(1, 12), st.integers(0, 9))
def test_runs_have_everything_once_and_at_most_so_many_at_a_time(count, join, seed):
    found = runs(count, join, np.random.default_rng(seed))
    assert sorted(i for run in found for i in run) == list(range(count))
    assert all(1 <= len(run) <= join for run in found)


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.integers(1, 5))
def test_each_sensor_sequence_counts_on_its_last_frame_only(lengths, join):
    # Rows say which sequence they are of, and whether they are its last.
    rows = np.array([[i, t == n - 1] for i, n in enumerate(lengths) for t in range(n)], np.float32)
    labels = np.arange(len(lengths)) % 4
    sequences = Sequences(rows, np.array(lengths), labels, np.full(len(lengths), "train"))
    frontend = Standardize(StandardizeSpec((0.0, 0.0), (1.0, 1.0)))
    teacher = RowTeacher(TrainConfig(join=join), frontend, sequences)
    made = teacher.lessons(np.random.default_rng(0))
    assert sum(len(lesson.targets) for lesson in made) == sum(lengths)
    for lesson in made:
        np.testing.assert_array_equal(lesson.weights, lesson.features[:, 1])
        last = lesson.weights > 0
        np.testing.assert_array_equal(lesson.targets[last], lesson.features[last, 0] % 4)


def test_a_clip_counts_where_it_would_end_if_it_were_alone():
    frontend = LogMel(LogMelSpec())
    clips = (tone(0.5, 500), tone(0.73, 1500))
    teacher = ClipTeacher(TrainConfig(join=2, **PLAIN), frontend, clips, np.array([3, 7]))
    whole = [frontend.features(frontend.whole(clip)) for clip in clips]
    for seed in range(8):
        for lesson in teacher.lessons(np.random.default_rng(seed)):
            first = int(lesson.targets[lesson.weights > 0][0])
            clip = {3: 0, 7: 1}[first]
            at = np.flatnonzero(lesson.weights)[0]
            assert at == len(whole[clip]) - 1
            np.testing.assert_array_equal(lesson.features[:at + 1], whole[clip])


@pytest.mark.parametrize("samples", [330, 480, 500, 800])
def test_a_clip_of_one_or_two_frames_still_counts(samples):
    teacher = ClipTeacher(TrainConfig(**PLAIN), LogMel(LogMelSpec()),
                          (tone(1, 500)[:samples],) * 2, np.array([1, 2]))
    made = teacher.lessons(np.random.default_rng(0))
    assert sum((lesson.weights > 0).sum() for lesson in made) >= 1


def scenes(**settings):
    """A teacher whose keyword is a high tone, and whose other speech is a low one."""
    config = TrainConfig(**{"task": "spot", **PLAIN, "scenes": 20, **settings})
    hum = np.random.default_rng(0).normal(0, 10, RATE)
    clips = tuple((hum + np.pad(tone(0.5, hz), (RATE // 5, 3 * RATE // 10))).astype(np.int16)
                  for hz in (3000, 400))
    return SceneTeacher(config, LogMel(LogMelSpec()), clips, np.array([1, 0]))


def test_a_keyword_s_label_begins_at_its_end_and_holds_for_less_than_half_a_second():
    teacher = scenes()
    checked = 0
    for lesson in teacher.lessons(np.random.default_rng(0)):
        targets = np.flatnonzero(np.diff(np.concatenate([[0], lesson.targets, [0]])))
        high = lesson.features[:, 26] > 0  # the tone at 3 kHz sounds
        for start, stop in targets.reshape(-1, 2):
            assert stop - start <= 24  # 460 ms in frames of 20
            if start > 30:
                assert high[start - 15:start].all()  # while the word was said: no label yet
                # The clip is silent for 0.3 s more, then a part of the word may follow.
                assert not high[start + 6:min(stop, start + 20)].any()
                checked += 1
    assert checked > 20


def test_frames_beside_a_keyword_count_neither_way():
    for lesson in scenes().lessons(np.random.default_rng(1)):
        starts = np.flatnonzero(np.diff(lesson.targets) == 1) + 1
        for start in starts[starts > 12]:
            assert not lesson.weights[start - 8:start].any()
    assert lesson.weights.any()


def test_scenes_are_as_long_as_asked():
    for lesson in scenes(scene_s=(4.0, 5.0)).lessons(np.random.default_rng(0)):
        assert 4.0 <= (len(lesson.targets) * 320 + 160) / RATE <= 5.03


def test_the_same_seed_makes_the_same_lessons():
    first, second = (scenes().lessons(np.random.default_rng(3)) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.features, b.features)
        np.testing.assert_array_equal(a.weights, b.weights)


def test_a_spotter_learns_with_keywords_alone():
    """No other speech at all: parts of the keyword stand for it."""
    teacher = scenes()
    only = SceneTeacher(teacher.config, teacher.frontend, teacher.clips[:1], np.array([1]))
    found = np.concatenate([lesson.targets for lesson in only.lessons(np.random.default_rng(0))])
    assert set(found) == {0, 1}


def test_frames_are_labelled_where_every_recording_is_listened_for():
    teacher = scenes(task="label")
    every = SceneTeacher(teacher.config, teacher.frontend, teacher.clips, np.array([1, 2]))
    found = np.concatenate([lesson.targets for lesson in every.lessons(np.random.default_rng(0))])
    assert set(found) == {0, 1, 2}


def test_part_of_a_keyword_is_no_keyword_however_much_else_there_is():
    """Else a network could tell keywords by the recordings that they are in."""
    teacher = scenes(speed=(1, 1))
    word, other = tone(0.5, 1000), tone(0.5, 3000)
    both = SceneTeacher(teacher.config, teacher.frontend, (word, other), np.array([1, 0]),
                        negatives=(tone(5.0, 3000),))
    rng = np.random.default_rng(0)
    parts = [both._part(rng) for _ in range(400)]
    pieces = [clip for clip, label, _ in parts if label == 0 and pitch(clip) < 2000]
    assert 20 <= len(pieces) <= 70  # a tenth of all, half of which are keywords
    assert any(len(piece) < 0.6 * len(word) for piece in pieces)
    assert all(pitch(clip) < 2000 for clip, label, _ in parts if label == 1)


def pitch(clip):
    """Hertz of the loudest tone."""
    return np.abs(np.fft.rfft(clip)).argmax() * RATE / len(clip)


@pytest.mark.parametrize("columns", [-2, 0, 1])
def test_a_piece_in_another_key_still_follows_itself(columns):
    rows = np.eye(6, dtype=np.float32)[[2, 3, 2]]
    targets = np.vstack([rows[1:], np.full((1, 6), np.nan, np.float32)])
    piece = Sequences(rows, np.array([3]), np.zeros(1, np.int64), np.array(["train"]), targets)
    found = moved(piece, columns)
    assert found.rows.argmax(axis=1).tolist() == [2 + columns, 3 + columns, 2 + columns]
    np.testing.assert_array_equal(found.targets[:2], found.rows[1:])
    assert np.isnan(found.targets[2]).all()
