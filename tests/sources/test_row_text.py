"""Lines of numbers and of JSON."""

import pytest

from edgernn.errors import SourceError
from edgernn.sources.row_text import Fault, Row, RowText, Stamp

XYZ = ("x", "y", "z")


def rows(*lines, wanted=XYZ, columns=(), width=3):
    text = RowText(width, wanted, columns)
    return [row for line in lines for row in text.rows(line)]


def values(*lines, **options):
    found = rows(*lines, **options)
    assert not any(isinstance(row, Fault) for row in found), found
    return [row.values for row in found]


@pytest.mark.parametrize("line", ["1,-2.5,3e2", "1, -2.5 , 3e2,", "1\t-2.5\t3e2", "1 -2.5  3e2",
                                  "1,\t-2.5,\t3e2\r\n", "[1, -2.5, 300]", "[[1, -2.5, 300]]",
                                  '{"z": 300, "x": 1, "y": -2.5, "battery": 3.9}',
                                  '[{"x": 1, "y": -2.5, "z": 300}]'])
def test_every_way_to_write_a_row_is_read(line):
    assert values(line) == [[1.0, -2.5, 300.0]]


def test_a_message_may_hold_several_rows():
    assert values("[[1,2,3],[4,5,6]]") == [[1, 2, 3], [4, 5, 6]]
    assert values('[{"x":1,"y":2,"z":3},{"x":4,"y":5,"z":6}]') == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("line", [
    "1,2", "1,2,3,4", "1;2;3", "a,2,3", "1,,3", "nan,1,2", "1,inf,2", "1,2,1e31", "[1,2]",
    "[1,2,null]", "[1,2,true]", '[1,2,"x"]', "[1,2,3", '{"x":1,"y":2}', '{"x":1,"y":2,"z":NaN}',
    "{}", "[]", "\x00", "[" * 100000, "boot: ok", "1 2", "9" * 5000 + ",1,2"])
def test_what_is_no_row_is_a_fault_that_says_what_was_needed(line):
    found = rows("1,2,3", line)
    assert isinstance(found[0], Row)
    assert [type(row) for row in found[1:]] == [Fault]
    assert found[1].needed


def test_names_in_a_first_line_put_the_cells_in_the_models_order():
    assert values("z,battery,x,y", "3,99,1,2") == [[1, 2, 3]]
    assert values("a,b,c", "1,2,3") == [[1, 2, 3]], "other names: taken in order"
    assert values("a,b,c", "1,2,3", wanted=()) == [[1, 2, 3]]


def test_names_that_come_again_when_a_device_starts_anew_are_no_fault():
    assert len(values("x,y,z", "1,2,3", "x,y,z", "4,5,6")) == 2
    assert isinstance(rows("x,y,z", "1,2,3", "hello there")[-1], Fault)


def test_names_on_the_command_line_win_and_those_in_the_file_are_skipped():
    assert values("x,y,z", "3,1,2", columns=("z", "x", "y")) == [[1, 2, 3]]
    assert values('{"gyro": 2, "acc": 1, "mag": 3}', wanted=(),
                  columns=("acc", "gyro", "mag")) == [[1, 2, 3]]
    with pytest.raises(SourceError, match=r"needs 3 \(x, y, z\)"):
        RowText(3, XYZ, ("x", "y"))


def test_objects_for_a_model_without_names_ask_for_them():
    assert "--columns" in rows('{"a":1,"b":2,"c":3}', wanted=())[0].needed


@pytest.mark.parametrize(("lines", "stamp"), [
    (["time,x,y,z", "0.5,1,2,3"], Stamp(0.5, 0.0)),
    (["x,y,z,timestamp_ms", "1,2,3,500"], Stamp(500, 1e-3)),
    (["Time,a,b,c", "2026-11-24T01:02:03.5Z,1,2,3"], Stamp(1795482123.5, 1.0)),
    (["time,a,b,c", "2026-11-24 03:02:03.5+02:00,1,2,3"], Stamp(1795482123.5, 1.0)),
    (['{"timestamp": 1795482123.5, "x": 1, "y": 2, "z": 3}'], Stamp(1795482123.5, 0.0)),
    (['{"time": "2026-11-24T01:02:03.500Z", "x": 1, "y": 2, "z": 3}'], Stamp(1795482123.5, 1.0)),
    (["1,2,3"], None)])
def test_a_time_is_found_in_whatever_form(lines, stamp):
    assert rows(*lines) == [Row([1.0, 2.0, 3.0], stamp)]


def test_a_column_of_that_name_which_the_model_learned_from_is_a_value():
    assert rows("time,x", "5,1", wanted=("time", "x"), width=2) == [Row([5.0, 1.0], None)]


def test_a_row_whose_time_is_none_is_a_fault():
    found = rows("time,x,y,z", "soon,1,2,3", "1,2,3", ",1,2,3")
    assert all(isinstance(row, Fault) for row in found)
    assert "time" in found[0].needed
