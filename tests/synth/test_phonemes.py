"""Edits of phonemes."""

import numpy as np
import pytest

from edgernn.synth.phonemes import Confuser, audible, edits, heard_in, plain


def test_marks_that_tell_allophones_apart_are_left_out():
    assert [plain(p) for p in ("'u:", "t#", "0", ",oU", "@2", "3:")] == \
        ["u", "t", "0", "oU", "@", "3"]


def test_switches_of_language_and_pauses_are_no_phonemes():
    assert audible([["(en)", "h", "'eI", "_", ""], ["_:"], ["b", "0", "t", "(cmn)"]]) == \
        (("h", "'eI"), ("b", "0", "t"))


def test_edits_are_those_of_the_textbook_words():
    assert edits("kitten", "sitting") == 3
    assert edits("", "abc") == 3


@pytest.mark.parametrize(("text", "distance"), [
    ("please call hey robot now", 0), ("hey lobot", 1), ("xyz", 8), ("", 9)])
def test_a_phrase_is_found_anywhere_in_a_text(text, distance):
    assert heard_in("hey robot", text) == distance


def confuser(nearest=2):
    words = (("h", "'eI"), ("r", "'oU", "b", "0", "t"))
    return Confuser(words, (tuple(["h", "eI", "r", "oU", "b", "0", "t"]),), ("eI", "oU", "0", "i:"),
                    ("h", "r", "b", "t", "s", "m"), nearest)


@pytest.mark.parametrize("nearest", [1, 2, 3])
def test_a_confusable_phrase_is_so_far_from_the_phrase(nearest):
    rng = np.random.default_rng(0)
    for _ in range(200):
        text = confuser(nearest).draw(rng)
        assert text.startswith("[[")
        assert text.endswith("]]")
        sounds = [plain(p) for word in text[2:-2].split() for p in word.split("|")]
        assert edits(sounds, ["h", "eI", "r", "oU", "b", "0", "t"]) >= nearest


def test_confusable_phrases_are_many():
    rng = np.random.default_rng(0)
    assert len({confuser().draw(rng) for _ in range(100)}) > 60


def test_where_nothing_is_far_enough_nothing_is_drawn():
    assert confuser(nearest=50).draw(np.random.default_rng(0)) is None


@pytest.mark.slow
def test_every_confusable_phrase_of_a_short_word_can_be_said():
    """Of "eight", of two sounds, edits may leave a pause alone, which espeak-ng refuses."""
    confuser = Confuser((("eI", "t"),), (("eI", "t"),), ("eI", "_:"), ("t", "_:"))
    rng = np.random.default_rng(0)
    for _ in range(200):
        drawn = confuser.draw(rng)
        assert drawn is None or "eI" in drawn


def test_the_phrase_itself_with_a_pause_in_it_is_no_confusable_one():
    confuser = Confuser((("h", "'eI"),), (("h", "eI"),), ("eI",), ("h", "_:"), nearest=1)
    rng = np.random.default_rng(0)
    drawn = {confuser.draw(rng) for _ in range(200)}
    assert any("_:" in text for text in drawn)
    for text in drawn:
        sounds = [plain(p) for word in audible([text[2:-2].split("|")]) for p in word]
        assert heard_in(("h", "eI"), sounds)
