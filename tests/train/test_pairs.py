"""Files of pairs: read whole, split by themselves, refused by line."""

import random

import pytest

from edgernn.errors import DataError
from edgernn.train.edits import distance, error_rate
from edgernn.train.pairs import Pairs, read


def write(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


WORDS = [f"w{i}x\tW {i % 10}" for i in range(400)]


def test_the_order_of_lines_moves_no_pair_to_another_split(tmp_path):
    found = read(write(tmp_path / "a.tsv", WORDS))
    shuffled = random.Random(0).sample(WORDS, len(WORDS))
    assert set(read(write(tmp_path / "b.tsv", shuffled)).pairs) == set(found.pairs)
    shares = [len(found.of_split(name)) / 400 for name in ("train", "validation", "test")]
    assert shares == pytest.approx([0.85, 0.05, 0.10], abs=0.05)


def test_another_seed_holds_out_others(tmp_path):
    path = write(tmp_path / "a.tsv", WORDS)
    assert read(path, 0).of_split("test") != read(path, 1).of_split("test")


def test_all_targets_of_a_source_are_in_one_split(tmp_path):
    twice = [line for word in WORDS for line in (word, f"{word} AGAIN")]
    splits = {}
    for pair in read(write(tmp_path / "a.tsv", twice)).pairs:
        splits.setdefault(pair.source, set()).add(pair.split)
    assert all(len(each) == 1 for each in splits.values())


def test_sources_with_spaces_are_words_and_others_characters(tmp_path):
    assert read(write(tmp_path / "a.tsv", WORDS)).unit == "character"
    found = read(write(tmp_path / "b.tsv", [*WORDS, "two words\tT W"]))
    assert found.unit == "word"
    assert ("two", "words") in {pair.source for pair in found.pairs}


def test_what_was_saved_is_loaded(tmp_path):
    found = read(write(tmp_path / "a.tsv", WORDS))
    found.save(tmp_path / "pairs.tsv")
    assert Pairs.load(tmp_path / "pairs.tsv", found.unit) == found


@pytest.mark.parametrize(("lines", "what"), [
    ([*WORDS, "no tab"], "line 401.*'no tab'"), ([*WORDS, "a\tb\tc"], "line 401"),
    ([*WORDS, "\tA"], "line 401"), ([*WORDS, "empty\t "], "line 401"),
    (["one\tW"], "split"), ([], "0 pairs")])
def test_a_file_of_another_form_says_where(tmp_path, lines, what):
    with pytest.raises(DataError, match=what):
        read(write(tmp_path / "a.tsv", lines))


@pytest.mark.parametrize("data", [None, b"\xff\xfe\x00", b"caf\xe9\tK"])
def test_what_is_no_text_is_one_clear_error(tmp_path, data):
    if data is not None:
        (tmp_path / "a.tsv").write_bytes(data)
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "a.tsv")


def test_a_damaged_run_says_to_train_again(tmp_path):
    write(tmp_path / "pairs.tsv", ["a\tB"])
    with pytest.raises(DataError, match="Train again"):
        Pairs.load(tmp_path / "pairs.tsv", "character")


@pytest.mark.parametrize(("found", "wanted", "edits"), [
    ("", "", 0), ("abc", "abc", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3),
    ("flaw", "lawn", 2)])
def test_edits_are_the_fewest(found, wanted, edits):
    assert distance(found, wanted) == edits


def test_an_error_rate_is_over_all_tokens():
    assert error_rate(["ab", "c"], ["ab", "cde"]) == 2 / 5
