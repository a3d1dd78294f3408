"""Text that becomes C, as the compiler reads it."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn.errors import ModelError
from firmware_export import ctext
from tests.firmware.compiling import COMPILERS, answer, program

NASTY = ("yes", 'quo"te', "back\\slash", "line\nfeed\r\ttab", "what??/", "??=??'", "*/ /* */ //",
         "%s%n", "\u00e9t\u00e9 \u65e5\u672c", "\u65e5\u672c/", "\x01" "7", "end\\", "???/",
         "1" * 300, "", "\U0001f600??)", "**//**", "'", "\x7f\x80")


@pytest.mark.parametrize("compiler", COMPILERS)
def test_any_text_is_the_same_bytes_in_a_string_and_harmless_in_a_comment(tmp_path, compiler):
    lines = ["#include <stdio.h>"]
    lines += [f"/* {ctext.comment(text)} */ static const char t{i}[] = {ctext.string(text)};\n"
              f"/* of {ctext.comment(text)}\n * {ctext.comment(text)}\n */"
              for i, text in enumerate(NASTY)]
    lines += ["int main(void)\n{"]
    lines += [f"    (void)fwrite(t{i}, sizeof t{i}, 1, stdout);" for i in range(len(NASTY))]
    made = program(tmp_path, "\n".join([*lines, "    return 0;\n}\n"]), compiler=compiler)
    assert answer(made).split(b"\0")[:-1] == [text.encode() for text in NASTY]


@given(st.text())
def test_a_comment_neither_ends_nor_begins_another_nor_holds_a_trigraph(text):
    found = ctext.comment(text)
    assert not re.search(r"\*/|/\*|\?\?|\n|\\$", found)
    assert found.isascii()


@given(st.text())
def test_a_string_is_plain_ascii_on_one_line(text):
    assert re.fullmatch(r'"([^"\\?\n]|\\[0-7]{3})*"', ctext.string(text))
    assert ctext.string(text).isascii()


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint16", "int64"])
def test_arrays_hold_the_numbers_they_were_given(tmp_path, dtype):
    info = np.iinfo(dtype)
    low = info.min + (dtype == "int64")  # C has no literal of the lowest
    values = np.array([low, info.max, 0, 1, *range(2, 40), info.max // 3], dtype)
    text = ctext.array("numbers", values, what="numbers */ of ??/ all")
    made = program(tmp_path, f"#include <stdint.h>\n#include <stdio.h>\n{text}\n"
                             "int main(void)\n{\n    (void)fwrite(numbers, sizeof numbers, 1, "
                             "stdout);\n    return 0;\n}\n")
    np.testing.assert_array_equal(np.frombuffer(answer(made), dtype), values)
    # Sums of 64 bits have twelve digits, not nineteen.
    assert dtype == "int64" or max(map(len, text.splitlines())) < 100


@pytest.mark.parametrize("name", ["kws", "Kws_2", "a" * 31])
def test_names_of_c_are_taken(name):
    assert ctext.checked_name(name) == name


@pytest.mark.parametrize("name", ["", "2kws", "kws-model", "int", "class", "INT", "main", "_kws",
                                  "ernn_x", "a" * 32, "kws\n", "\u00e9t\u00e9", "a b"])
def test_names_that_c_cannot_have_are_refused(name):
    with pytest.raises(ModelError, match="cannot begin the names"):
        ctext.checked_name(name)


@given(st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=30))
def test_every_tensor_has_an_identifier_of_its_own(tensors):
    names = ctext.Names()
    found = [names(tensor) for tensor in tensors]
    assert len({name.lower() for name in found}) == len(tensors)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) and name not in ctext.KEYWORDS
               for name in found)
    assert [names(tensor) for tensor in tensors] == found
