"""A serial port, made of a real pair of pseudo-terminals."""

import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn.errors import SourceError
from edgernn.sources import live_rows, serial
from edgernn.sources.row_text import RowText
from edgernn.sources.rows import RowFrames
from edgernn.sources.serial import Lines, SerialRows
from tests.broker import until
from tests.sources.ports import Device
from tests.sources.reading import Reading

pytest.importorskip("serial", reason='pip install "edgernn[serial]"')


@pytest.fixture
def device(tmp_path):
    device = Device(tmp_path)
    yield device
    device.close()


def open_port(device, rate_hz=50.0, columns=(), **options):
    frames = RowFrames(RowText(3, (), columns), rate_hz, "serial:port", **options)
    return Reading(SerialRows(frames, str(device.path)))


@given(st.lists(st.binary(max_size=6) | st.sampled_from([b"1,2\n", b"\r\n", b"3\t4\r\n"])))
def test_lines_do_not_depend_on_how_bytes_are_cut(parts):
    whole = Lines().push(b"".join(parts))
    cut = Lines()
    assert [line for part in parts for line in cut.push(part)] == whole


def test_a_line_without_an_end_is_bounded():
    cut = Lines()
    cut.push(b"begin\n")
    for _ in range(100):
        found = cut.push(b"\xff" * 1000)
        if found:
            break
    assert found == ["\ufffd" * 80]


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_what_edge_impulse_boards_print_is_read_but_for_the_first_line_that_may_be_cut(
        device, ends):
    reading = open_port(device)
    # As data-forwarder sketches print: commas, tabs, or both with blanks.
    device.send(ends.join(["9.81,0.5,0.25", "-1.50,2.00,3.25", "1\t2\t3", "4, 5, 6", "7.00 8 9",
                           ""]))
    reading.until(4)
    reading.close()
    assert reading.rows == [[-1.5, 2, 3.25], [1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert reading.source.dropped == 0
    assert reading.source.live


def test_what_a_board_says_at_its_start_is_no_row_and_ends_nothing(device, capsys):
    reading = open_port(device)
    device.send("Starting inference\nmpu ok\n1,2,3\n")
    device.send(b"\xff\xfe\x00,,\n4,5\n4,5,6\n")
    reading.until(2)
    reading.close()
    assert reading.rows == [[1, 2, 3], [4, 5, 6]]
    assert reading.frames[1].gap == 2
    assert reading.source.dropped == 4
    assert capsys.readouterr().err.count("needed") == 1


@pytest.mark.parametrize("times", [False, True])
def test_a_device_that_vanishes_and_returns_is_told_once_each_and_rows_go_on(
        device, capsys, monkeypatch, times):
    monkeypatch.setattr(serial, "FIRST_WAIT_S", 0.05)
    reading = open_port(device, columns=("millis", "x", "y", "z") if times else ())
    first, again = ("0,", "20,") if times else ("", "")
    device.send(f"cut 1\n{first}1,1,1\n{again}2,2,2\n")
    reading.until(2)
    device.unplug()
    time.sleep(0.5)  # 25 rows are missed
    device.plug()
    until(lambda: reading.source.reconnects)
    # A clock that counts from the start of the device is back at its beginning.
    device.send(f"cut 1\n{first}3,3,3\n{again}4,4,4\n")
    reading.until(4)
    reading.close()
    assert reading.rows == [[1] * 3, [2] * 3, [3] * 3, [4] * 3]
    gaps = [frame.gap for frame in reading.frames]
    assert gaps[:2] == [0, 0]
    assert gaps[2] >= 25
    assert gaps[3] == 0
    error = capsys.readouterr().err
    assert error.count("is gone") == error.count("is back after") == 1
    counts = reading.source.counts
    assert (counts["reconnects"], counts["clock_restarts"]) == (1, int(times))


def test_rows_may_take_the_time_at_which_they_come(device):
    reading = open_port(device, rate_hz=100.0, arrivals=True)
    device.send("cut 1\n")
    for i in range(40):
        device.send(f"{i},0,0\n")
        time.sleep(0.02)  # half the model's rate
    until(lambda: len(reading.frames) > 60)
    reading.close()
    firsts = [row[0] for row in reading.rows]
    assert np.all(np.diff(firsts) >= 0)
    assert any(value != round(value) for value in firsts), "points between rows"


def test_a_model_that_does_not_keep_up_loses_rows_that_are_counted_and_held(device, monkeypatch):
    monkeypatch.setattr(live_rows, "WAITING", 5)
    frames = RowFrames(RowText(3), 50.0, "serial:port")
    source = SerialRows(frames, str(device.path))
    source._start()  # receives, while nobody takes
    for i in range(20):
        device.send(f"{i},0,0\n")
    until(lambda: source.dropped == 14)  # the first line may be cut
    source._start = lambda: None
    reading = Reading(source)
    reading.until(5)
    device.send("99,0,0\n")
    reading.until(6)
    reading.close()
    assert [row[0] for row in reading.rows] == [1, 2, 3, 4, 5, 99]
    assert reading.frames[-1].gap == 14
    assert source.counts["rows_lost"] == source.dropped == 14


def test_a_port_that_is_not_there_and_a_missing_package_say_what_to_do(tmp_path, monkeypatch):
    frames = RowFrames(RowText(3), 50.0, "serial:port")
    with pytest.raises(SourceError, match=r"ttyNONE cannot be opened.*plugged in"):
        SerialRows(frames, str(tmp_path / "ttyNONE"))
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(SourceError, match=r"edgernn\[serial\]"):
        SerialRows(frames, "/dev/ttyACM0")
