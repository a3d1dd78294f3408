"""Sensor rows as text."""

import io

import numpy as np
import pytest

from edgernn.errors import SourceError
from edgernn.sources.rows import RowSource


def frames(text, columns=3, rate_hz=10.0):
    source = RowSource(io.StringIO(text), columns, rate_hz)
    return list(source), source


def test_rows_are_given_in_order_with_their_times():
    found, source = frames("1,2,3\n4,5,6\n\n7,8,9\n")
    assert np.array_equal(np.concatenate([f.samples for f in found]),
                          np.arange(1, 10, dtype=np.float32).reshape(3, 3))
    assert [f.time_s for f in found] == [0.0, 0.1, 0.2]
    assert [f.gap for f in found] == [0, 0, 0]
    assert source.dropped == 0


@pytest.mark.parametrize("bad", ["1,2", "1,2,3,4", "a,b,c", "nan,1,2", "1,inf,2", "1e300,1,1",
                                 "1,,3", "\x00", "1;2;3"])
def test_a_bad_row_is_a_gap_that_shifts_no_time(bad, capsys):
    found, source = frames(f"1,2,3\n{bad}\n{bad}\n4,5,6\n")
    assert [(f.time_s, f.gap) for f in found] == [(0.0, 0), (pytest.approx(0.3), 2)]
    assert source.dropped == 2
    assert capsys.readouterr().err.count("needed") == 1, "warned once, not per line"


def test_a_header_is_skipped_but_a_first_row_of_nan_is_not_one():
    assert [f.gap for f in frames("a,b,c\n1,2,3\n")[0]] == [0]
    assert [f.gap for f in frames("nan,nan,nan\n1,2,3\n")[0]] == [1]


@pytest.mark.parametrize("text", ["", "\n\n", "a,b,c\n", "1,2\n3,4\n"])
def test_a_stream_without_a_single_row_is_an_error(text):
    with pytest.raises(SourceError, match="3 numbers"):
        frames(text)
