"""Each task, from data to an integer step that still knows what it learned."""

import dataclasses

import numpy as np
import pytest

from edgernn.errors import ConfigError, DataError
from edgernn.step import StepModel
from edgernn.train.config import make
from edgernn.train.dataset import SensorSet, TextSet
from edgernn.train.material import prepare
from edgernn.train.sequences import Sequences

pytest.importorskip("keras", reason="the extra `train` is not installed")
from edgernn.train.fit import fit
from edgernn.train.quantize import quantize_run

pytestmark = pytest.mark.slow  # TensorFlow takes seconds to load

SPLIT = np.array(["train"] * 24 + ["validation"] * 8 + ["test"] * 8, "U10")


def rows(targets=None, columns=2, seed=0):
    """40 sequences of two random columns."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(10, 30, 40)
    values = rng.normal(size=(lengths.sum(), columns)).astype(np.float32)
    return SensorSet(("sum",), Sequences(values, lengths, np.zeros(40, np.int64), SPLIT,
                                         None if targets is None else targets(values)))


def train(tmp_path, data, **settings):
    """A run, and the report of its quantization."""
    config = make({"units": 16, "epochs": 12, "batch": 8, "dropout": 0, "input_noise": 0,
                   "learning_rate": 0.01, "join": 1, **settings})
    metrics = fit(config, data, tmp_path / "run")
    return metrics, quantize_run(tmp_path / "run", tmp_path / "m.tflite")


def test_a_number_is_learned_in_its_own_unit(tmp_path):
    data = rows(lambda x: (500 + 100 * (x[:, :1] + x[:, 1:])).astype(np.float32))
    metrics, report = train(tmp_path, data, task="regress", epochs=25)
    assert metrics["test_float_reset"] < 50  # of a standard deviation of 141
    assert report.integers["reset"] < report.floats["reset"] + 10
    model = StepModel.open(tmp_path / "m.tflite")
    one = data.sequences.of_split("test")[0]
    given = model.encode((one - model.spec.frontend.mean) / model.spec.frontend.std)
    found = [float(model.step(row)[0]) for row in given]
    assert abs(np.mean(found) - 500) < 150


def test_rows_without_a_number_are_not_asked_about():
    def every_other(x):
        targets = x[:, :1].copy()
        targets[::2] = np.nan
        return targets

    material = prepare(make({"task": "regress"}), rows(every_other))
    lesson = material.teacher.lessons(np.random.default_rng(0))[0]
    assert set(lesson.weights) == {0.0, 1.0}
    assert np.isfinite(lesson.targets).all()


def test_a_label_on_every_row_is_learned(tmp_path):
    data = dataclasses.replace(rows(lambda x: (x[:, 0] > 0).astype(np.int64)), labels=("lo", "hi"))
    metrics, report = train(tmp_path, data, task="label")
    assert metrics["test_float_reset"] > 0.9
    assert abs(report.integers["carry"] - report.floats["carry"]) < 0.05


def test_the_next_row_is_learned(tmp_path):
    lengths = np.full(40, 12)
    pattern = np.eye(4, dtype=np.float32)
    values = np.concatenate([pattern[(np.arange(12) + i) % 4] for i in range(40)])
    data = SensorSet((), Sequences(values, lengths, np.zeros(40, np.int64), SPLIT))
    metrics, report = train(tmp_path, data, task="next", epochs=20)
    assert metrics["test_float_reset"] < 1  # nats; of 4 columns unknown it would be 2.2
    assert abs(report.integers["reset"] - report.floats["reset"]) < 0.1
    assert StepModel.open(tmp_path / "m.tflite").labels == tuple(f"column{i}" for i in range(4))


def texts(tags=False):
    """40 texts; those with an x are bad."""
    rng = np.random.default_rng(0)
    made = ["".join(rng.choice(list("abcx" if i % 2 else "abc"), 12)) for i in range(40)]
    codes = np.array(["x" in text for text in made], np.int64)
    marks = tuple(np.array([c == "x" for c in text], np.int64) for text in made)
    return TextSet(("good", "bad"), tuple(made), codes, SPLIT, marks if tags else ())


@pytest.mark.parametrize("ngrams", [1, 2])
def test_a_text_is_told_by_its_letters(tmp_path, ngrams):
    metrics, report = train(tmp_path, texts(), ngrams=ngrams, buckets=16, token_dropout=0,
                            least_count=1, epochs=20)
    assert metrics["test_float_reset"] >= 0.75
    assert abs(report.integers["reset"] - report.floats["reset"]) <= 0.125


def test_every_letter_gets_its_tag(tmp_path):
    metrics, _ = train(tmp_path, texts(tags=True), task="label", token_dropout=0, least_count=1)
    assert metrics["test_float_reset"] > 0.95


def test_a_text_goes_on_and_ends(tmp_path):
    data = dataclasses.replace(texts(), texts=("abcabcab",) * 40)
    train(tmp_path, data, task="next", token_dropout=0, epochs=30)
    from edgernn.generate import Generator

    made = Generator(StepModel.open(tmp_path / "m.tflite"), temperature=0)
    assert "".join(made.text("ab", 30)) == "cabcab"


@pytest.mark.parametrize(("task", "data", "said"), [
    ("regress", rows(), "a number on every row"),
    ("label", rows(), "a label on every row"),
    ("classify", rows(lambda x: x[:, :1]), "Use --task regress"),
    ("spot", rows(), "recordings were needed"),
    ("regress", texts(), "classify, label or next"),
    ("classify", texts(tags=True), "Use --task label"),
])
def test_a_task_that_the_data_cannot_answer_is_refused(task, data, said):
    with pytest.raises(ConfigError, match=said):
        prepare(make({"task": task}), data)


def test_rows_that_are_no_zeros_and_ones_have_no_next_row():
    with pytest.raises(DataError, match="zeros and ones"):
        prepare(make({"task": "next"}), rows())


def test_a_vocabulary_holds_what_is_common_in_training_alone():
    data = dataclasses.replace(texts(), texts=("aab",) * 24 + ("ccc",) * 16)
    material = prepare(make({"least_count": 30}), data)
    assert material.frontend.vocabulary == ("a",)
