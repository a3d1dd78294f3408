"""Texts, tags, notes and targets as they are read."""

import json

import numpy as np
import pytest

from edgernn.errors import DataError
from edgernn.train.readers import load

HEAD = "id\tdocument\tlabel\n"


def lines(count):
    return "".join(f'{i}\ttext "{i}\t{i % 2}\n' for i in range(count))


def test_a_train_and_a_test_file_are_one_set(tmp_path):
    (tmp_path / "train.tsv").write_text(HEAD + lines(40))
    (tmp_path / "test.tsv").write_text(HEAD + lines(10))
    found = load(tmp_path)
    assert found.labels == ("0", "1")
    assert (found.split == "test").sum() == 10
    assert (found.split == "validation").any()
    assert found.texts[3] == 'text "3'


def test_a_line_without_a_text_is_named_and_left_out(tmp_path):
    (tmp_path / "one.tsv").write_text(HEAD + lines(20) + "9\t\t1\n")
    told = []
    found = load(tmp_path / "one.tsv", tell=told.append)
    assert len(found.texts) == 20
    assert "line 22" in told[0]
    with pytest.raises(DataError, match="line 22"):
        load(tmp_path / "one.tsv", strict=True)


@pytest.mark.parametrize(("text", "said"), [("", "columns none"), ("a\tb\n1\t2\n", "columns a, b"),
                                            ("text\tlabel\nx\t1\n", "two or more"),
                                            ("text\tlabel\tsplit\nx\t1\tdev\ny\t2\ttest\n", "dev")])
def test_a_table_that_is_no_set_of_texts_is_refused(tmp_path, text, said):
    (tmp_path / "t.tsv").write_text(text)
    with pytest.raises(DataError, match=said):
        load(tmp_path / "t.tsv")


SENTENCE = "# a comment\n1-2\tab\t_\t_\n1\ta\ta\tNOUN\n2\tb\tb\tVERB\n2.1\tc\tc\tVERB\n\n"


def test_each_word_of_a_sentence_has_its_tag(tmp_path):
    (tmp_path / "s.conllu").write_text(SENTENCE * 20)
    found = load(tmp_path / "s.conllu")
    assert found.labels == ("NOUN", "VERB")
    assert found.texts[0] == ("a", "b")
    assert found.tags[0].tolist() == [0, 1]
    assert set(found.split) == {"train", "validation", "test"}


@pytest.mark.parametrize("text", ["", "1 a NOUN\n"])
def test_what_is_no_conllu_is_refused(tmp_path, text):
    (tmp_path / "s.conllu").write_text(text)
    with pytest.raises(DataError, match="needed"):
        load(tmp_path / "s.conllu")


def test_notes_become_rows_of_a_piano(tmp_path):
    (tmp_path / "n.json").write_text(json.dumps(
        {"train": [[[21, 108], []]], "valid": [[[60]]], "test": [[[60]]]}))
    found = load(tmp_path / "n.json")
    assert found.sequences.rows.shape == (4, 88)
    assert np.flatnonzero(found.sequences.rows[0]).tolist() == [0, 87]
    assert found.columns[39] == "60"
    assert found.sequences.split.tolist() == ["train", "validation", "test"]


@pytest.mark.parametrize("tree", [{}, [], {"train": [[[20]]]}, {"train": [[["c"]]]}, {"dev": [[]]},
                                  {"train": 3}])
def test_json_that_holds_no_pieces_is_refused(tmp_path, tree):
    (tmp_path / "n.json").write_text(json.dumps(tree))
    with pytest.raises(DataError, match="needed"):
        load(tmp_path / "n.json")


def test_a_target_is_a_number_for_each_row_and_may_be_left_empty(tmp_path):
    text = "sequence,u,target\n" + "".join(f"{i},{i}.5,7\n{i},1,\n" for i in range(20))
    (tmp_path / "log.csv").write_text(text)
    found = load(tmp_path / "log.csv")
    assert found.sequences.targets.shape == (40, 1)
    assert found.sequences.targets[0, 0] == 7
    assert np.isnan(found.sequences.targets[1, 0])
    assert found.sequences.rows.shape == (40, 1)


def test_a_label_that_changes_belongs_to_its_row(tmp_path):
    text = "sequence,u,label\n" + "".join(f"{i},1,on\n{i},0,off\n" for i in range(20))
    (tmp_path / "log.csv").write_text(text)
    found = load(tmp_path / "log.csv")
    assert found.labels == ("off", "on")
    assert found.sequences.targets.tolist() == [1, 0] * 20
