"""Text as numbers."""

import itertools
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn.errors import ConfigError
from edgernn.frontend.tokens import Tokens
from edgernn.spec import TokenSpec

SPEC = TokenSpec(tuple("ab한"), ngrams=3, buckets=11)


@given(st.text(max_size=30), st.lists(st.integers(0, 30), max_size=5))
def test_numbers_do_not_depend_on_how_text_is_cut(text, cuts):
    whole = Tokens(SPEC).whole(text)
    tokens = Tokens(SPEC)
    edges = [0, *sorted(min(c, len(text)) for c in cuts), len(text)]
    parts = [tokens.push(text[a:b]) for a, b in itertools.pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@given(st.text(max_size=30))
def test_every_number_has_a_row_and_none_is_padding(text):
    rows = Tokens(SPEC).whole(text)
    assert rows.shape == (len(text), 3)
    assert rows.dtype == np.int32
    assert ((rows >= 1) & (rows < SPEC.numbers)).all()


def test_runs_are_numbered_as_the_docstring_says():
    rows = Tokens(SPEC).whole("a한?")
    first = 2 + 3
    assert rows[:, 0].tolist() == [2, 4, 1]
    assert rows[2, 1] == first + zlib.crc32("한?".encode()) % 11
    assert rows[2, 2] == first + 11 + zlib.crc32("a한?".encode()) % 11
    assert rows[0, 1] == first + zlib.crc32(b"a") % 11  # a run as long as there are units


def test_words_are_split_at_any_space():
    spec = TokenSpec(("red", "hat"), unit="word")
    assert Tokens(spec).whole(" red  hat\tcap").ravel().tolist() == [2, 3, 1]


def test_a_reset_begins_a_new_text():
    tokens = Tokens(SPEC)
    tokens.push("ab")
    tokens.reset()
    np.testing.assert_array_equal(tokens.push("한"), Tokens(SPEC).whole("한"))


@pytest.mark.parametrize("spec", [TokenSpec((), unit="byte"), TokenSpec((), ngrams=0),
                                  TokenSpec((), ngrams=2), TokenSpec((), buckets=3)])
def test_a_frontend_that_makes_no_sense_is_refused(spec):
    with pytest.raises(ConfigError, match="Train again"):
        Tokens(spec)
