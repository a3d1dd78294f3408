"""Several data sets as one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgernn.cli.main import main
from edgernn.cli.train import command
from edgernn.errors import ConfigError, DataError
from edgernn.train.config import make
from edgernn.train.dataset import Recording, SensorSet, TextSet
from edgernn.train.material import prepare
from edgernn.train.mix import Mix, join
from edgernn.train.sequences import Sequences
from tests.cli.test_train import npz
from tests.train.test_fit import audio_set, sensor_set


def counted(mix, count=120, seed=0):
    order = mix.order(count, np.random.default_rng(seed))
    return order, np.bincount(mix.sources[order], minlength=len(mix.shares))


def test_each_source_has_its_share_however_many_it_has():
    sources = [0] * 100 + [1] * 20
    order, found = counted(Mix.of([3, 1], sources, np.arange(120)))
    np.testing.assert_array_equal(found, [90, 30])
    own = order[order >= 100]
    assert set(np.bincount(own, minlength=120)[100:]) == {1, 2}  # all once before any twice
    assert len(set(order[order < 100])) == 90  # no one twice where some were left out


def test_without_shares_everything_comes_once():
    assert sorted(Mix.of([], [], np.arange(7)).order(7, np.random.default_rng(0))) == [*range(7)]


def test_one_of_a_pool_comes_from_sources_by_their_shares():
    mix = Mix.of([1, 3], [0] * 50 + [1] * 5, np.arange(55))
    rng = np.random.default_rng(0)
    pool = np.arange(30, 55)
    drawn = np.array([mix.one(pool, rng) for _ in range(1000)])
    assert 0.7 < np.mean(drawn >= 50) < 0.8
    assert set(drawn) <= set(pool)
    assert {mix.one(np.arange(4), rng) for _ in range(99)} == {0, 1, 2, 3}  # of one source alone


@pytest.mark.parametrize(("weights", "sources", "named"), [
    ([3, 1], [], "2 weights and there is 1"), ([1], [0, 1], "1 weights and there are 2")])
def test_weights_are_as_many_as_data_sets(weights, sources, named):
    with pytest.raises(ConfigError, match=named):
        Mix.of(weights, sources, np.arange(2))


def test_a_source_without_training_data_is_named():
    with pytest.raises(DataError, match="data set 2"):
        Mix.of([1, 1], [0, 0, 1], np.arange(2))


def renamed(data, labels):
    return replace(data, labels=labels)


def test_sensor_sets_join_by_name_of_label():
    first, second = sensor_set(16), renamed(sensor_set(8), ("rises", "turns"))
    found = join([first, second])
    assert found.labels == ("falls", "rises", "turns")
    assert found.sources == (0,) * 16 + (1,) * 8
    named = [found.labels[i] for i in found.sequences.labels]
    assert named == ["falls", "rises"] * 8 + ["rises", "turns"] * 4
    np.testing.assert_array_equal(found.sequences[16], second.sequences[0])


def test_labels_of_rows_join_by_name_too():
    own = Sequences(np.zeros((3, 1), np.float32), np.array([3]), np.array([0]),
                    np.array(["train"]), np.array([-1, 0, 1]))
    found = join([SensorSet(("b", "c"), own), SensorSet(("a", "c"), own)])
    np.testing.assert_array_equal(found.sequences.targets, [-1, 1, 2, -1, 0, 2])


def test_texts_join_by_name_of_label():
    one = TextSet(("bad", "good"), ("ah", "oh"), np.array([1, 0]), np.array(["train", "test"]))
    other = TextSet(("bad", "dull"), ("so",), np.array([1]), np.array(["train"]))
    found = join([one, other])
    assert [found.labels[i] for i in found.codes] == ["good", "bad", "dull"]


def test_recordings_join_and_whoever_is_held_out_once_is_held_out():
    def said(speaker, split):
        return Recording(Path("a.wav"), "low", speaker, split)

    own = audio_set()
    first = replace(own, recordings=(said("ann", "train"), said("bob", "test")),
                    samples=own.samples[:2], noises=own.samples[5:6])
    second = replace(own, recordings=(said("bob", "train"), said("cleo", "validation")),
                     samples=own.samples[2:4])
    told = []
    found = join([first, second], told.append)
    assert [r.split for r in found.recordings] == ["train", "test", "test", "validation"]
    assert "bob" in told[0]
    assert (len(found.samples), len(found.noises), found.sources) == (4, 1, (0, 0, 1, 1))


@pytest.mark.parametrize(("other", "named"), [
    (audio_set(), "SensorSet and AudioSet"),
    (replace(sensor_set(), rate_hz=25.0), "25 Hz"),
    (replace(sensor_set(), columns=("x", "y", "w")), "x,y,w"),
])
def test_what_does_not_go_together_is_refused(other, named):
    with pytest.raises(DataError, match=named):
        join([sensor_set(), other])


def test_one_data_set_stays_as_it_is():
    data = sensor_set()
    assert join([data]) is data


def test_lessons_of_sequences_have_the_shares():
    # The two sets' sequences are told apart by their labels.
    data = join([sensor_set(80), renamed(sensor_set(16), ("left", "right"))])
    material = prepare(make({"mix": [1, 1]}), data)
    lessons = material.teacher.lessons(np.random.default_rng(0))
    asked = np.concatenate([one.targets[one.weights > 0] for one in lessons])
    assert len(asked) == 48
    assert np.isin(asked, [data.labels.index(name) for name in ("left", "right")]).sum() == 24


@pytest.mark.parametrize("task", ["classify", "spot"])
def test_lessons_of_recordings_have_the_shares(task):
    first, second = audio_set(), audio_set()
    loud = replace(second, samples=tuple(s * 0 + 1000 for s in second.samples))
    config = make({"mix": [1, 9], "task": task, "mels": 20, "scenes": 5})
    teacher = prepare(config, join([first, loud])).teacher
    assert teacher.mix.shares == (0.1, 0.9)
    assert len(teacher.mix.sources) == len(teacher.clips) == 16
    assert teacher.lessons(np.random.default_rng(0))


def test_a_mix_is_a_list_of_numbers_above_0(tmp_path):
    assert make({"mix": [3, 1]}).mix == (3.0, 1.0)
    for bad in ([3, 0], [3, -1], ["a"], 3, [float("nan")]):
        with pytest.raises(ConfigError, match="mix"):
            make({"mix": bad})
    result = CliRunner().invoke(command, ["a", "b", "--out", "c", "--mix", "3;1"])
    assert result.exit_code == 2
    assert "3,1" in result.output


@pytest.mark.slow
def test_two_data_sets_train_one_model(tmp_path, capfd):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    paths = [str(npz(tmp_path / f"{name}.npz", count)) for name, count in (("a", 40), ("b", 30))]
    with pytest.raises(SystemExit) as ended:
        main(["train", *paths, "--mix", "3,1", "--out", str(tmp_path / "run"), "--units", "6",
              "--epochs", "2", "--class-weights", "balanced,rises=2"])
    assert ended.value.code == 0, capfd.readouterr().err
    assert len(Sequences.load(tmp_path / "run" / "sequences.npz")) == 70
