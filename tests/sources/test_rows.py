"""Sensor rows as text."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def timed(*rows, rate_hz=50.0):
    return frames("".join(f"{row}\n" for row in ("time_ms,a,b,c", *rows)), rate_hz=rate_hz)


def test_rows_with_times_are_put_on_the_models_grid_and_what_is_missing_is_a_gap():
    found, source = timed("1000,0,0,0", "1020,1,0,0", "1030,2,0,0", "1060,5,0,0", "1100,9,0,0")
    assert [f.samples[0, 0] for f in found] == pytest.approx([0, 1, 3, 5, 9])
    assert [f.time_s for f in found] == pytest.approx([0, 0.02, 0.04, 0.06, 0.1])
    assert [f.gap for f in found] == [0, 0, 0, 0, 1]
    assert source.dropped == 0


def test_a_bad_row_among_rows_with_times_is_missed_by_the_clock(capsys):
    found, source = timed("0,1,1,1", "20,2,2,2", "40,x,1,1", "60,4,4,4", "80,5,5,5")
    assert [(f.time_s, f.gap) for f in found] == [
        (0, 0), (0.02, 0), (pytest.approx(0.06), 1), (pytest.approx(0.08), 0)]
    assert source.counts["rows_bad"] == 1
    assert capsys.readouterr().err.count("needed") == 1


def test_late_and_double_rows_are_left_out_told_once_and_counted(capsys):
    found, source = timed("0,1,1,1", "20,2,2,2", "20,2,2,2", "10,9,9,9", "40,3,3,3")
    assert [f.samples[0, 0] for f in found] == [1, 2, 3]
    assert (source.counts["rows_late"], source.counts["rows_duplicate"]) == (1, 1)
    assert source.dropped == 2
    assert capsys.readouterr().err.count("late or came twice") == 1


def test_a_model_that_does_not_know_its_rate_takes_rows_in_order_as_they_come(capsys):
    found, source = timed("0,1,1,1", "7,2,2,2", "7,2,2,2", "5,9,9,9", "3000,3,3,3", rate_hz=0)
    assert [f.samples[0, 0] for f in found] == [1, 2, 3]
    assert [f.gap for f in found] == [0, 0, 0]
    assert source.dropped == 2
    assert "--rate" in capsys.readouterr().err


@given(st.lists(st.sampled_from(["1,2,3", "bad", "x,y,z", "[4,5,6]", "{}", "7 8 9", ""]),
                max_size=30))
def test_every_line_is_a_row_or_counted_as_none(lines):
    text = "1,2,3\n" + "\n".join(lines)
    found, source = frames(text)
    good = sum(line in ("1,2,3", "[4,5,6]", "7 8 9") for line in lines)
    bad = sum(line in ("bad", "{}", "x,y,z") for line in lines)
    assert len(found) == source.counts["rows"] == 1 + good
    assert source.counts["rows_bad"] == bad
    assert sum(f.gap for f in found) <= bad
