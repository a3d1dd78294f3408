"""Texts, a line each."""

import dataclasses
import re

import numpy as np
import pytest

from edgernn import bundle, step
from edgernn.errors import FeatureError, ModelError
from edgernn.lines import answers
from edgernn.step import StepModel
from tests import models


def test_each_line_gets_its_own_answer_whatever_came_before(tmp_path):
    model = StepModel.open(models.texts(tmp_path))
    alone = [next(answers(model, [line])) for line in ("abba", "dcba")]
    together = list(answers(model, ["abba\n", "\n", "dcba\r\n"]))
    assert together == alone
    assert together[0]["text"] == "abba"
    assert together[0]["label"] in model.labels


def test_a_tagger_labels_every_unit_of_a_line(tmp_path):
    found = next(answers(StepModel.open(models.texts(tmp_path, "label")), ["abc"]))
    assert found["units"] == ["a", "b", "c"]
    assert len(found["labels"]) == 3


def test_a_letter_never_seen_is_unknown_and_no_error(tmp_path):
    assert len(list(answers(StepModel.open(models.texts(tmp_path)), ["a한z"]))) == 1


def test_a_model_of_numbers_reads_no_text(tmp_path):
    with pytest.raises(ModelError, match="regress"):
        list(answers(StepModel.open(models.numbers(tmp_path)), ["a"]))


@pytest.mark.parametrize("backend", ["litert", "tflm", "emulator"])
@pytest.mark.parametrize("tokens", [[0, 1], [13, 1], [1, -1], [2, 99]])
def test_a_token_without_a_row_is_refused_and_the_state_kept(tmp_path, backend, tokens):
    pytest.importorskip({"litert": "ai_edge_litert", "tflm": "tflite_micro"}.get(backend, "numpy"))
    model = StepModel.open(models.texts(tmp_path), backend)
    model.step(np.array([2, 6], np.int32))
    before = model.state()
    said = f"the frame has the tokens {tokens}; this model knows 1 to 12. Leave padding (0) out"
    with pytest.raises(FeatureError, match=re.escape(said)):
        model.step(np.array(tokens, np.int32))
    for name, value in model.state().items():
        np.testing.assert_array_equal(value, before[name])
    with pytest.raises(FeatureError, match=r"2 whole numbers were needed. Give one row of the "
                                           r"frontend's tokens$"):
        model.step(np.array([1.5, 2.0], np.float32))


def test_a_run_of_letters_that_is_not_there_yet_is_no_padding(tmp_path):
    model = StepModel.open(models.texts(tmp_path), "emulator")
    assert model.step(np.array([2, 0], np.int32)).sum() == pytest.approx(1, abs=0.02)


def test_tokens_that_are_looked_up_in_too_few_rows_are_refused(tmp_path):
    whole = bundle.read(models.texts(tmp_path))
    few = dataclasses.replace(whole.spec, frontend=dataclasses.replace(
        whole.spec.frontend, buckets=8))
    with pytest.raises(ModelError, match=r"has 14 tokens, but GATHER looks them up in '.*' of "
                                         r"shape \(13, 5\)\. Make"):
        step.check(few, whole.graph)
    ops = tuple(dataclasses.replace(op, name="ADD") for op in whole.graph.ops)
    with pytest.raises(ModelError, match="has 13 tokens, but ADD looks them up"):
        step.check(whole.spec, dataclasses.replace(whole.graph, ops=ops))


def test_all_runtimes_read_the_same(tmp_path):
    path = models.texts(tmp_path)
    rows = np.random.default_rng(0).integers(1, 13, (50, 2)).astype(np.int32)
    found = {}
    for backend in ("emulator", "tflm", "litert"):
        pytest.importorskip({"litert": "ai_edge_litert", "tflm": "tflite_micro"}.get(backend,
                                                                                  "numpy"))
        model = StepModel.open(path, backend)
        found[backend] = np.array([model.step(row).copy() for row in rows])
    np.testing.assert_array_equal(found["tflm"], found["emulator"])
    # A few steps of the int8 logits.
    np.testing.assert_allclose(found["litert"], found["emulator"], atol=1 / 64)
