"""Raw samples through pipes that give what they like."""

import io
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn.errors import SourceError
from edgernn.sources import PcmSource

SAMPLES = np.random.default_rng(0).integers(-32768, 32768, 3000).astype("<i2")


class Dribble(io.RawIOBase):
    """A stream whose reads give any part of what was asked for."""

    def __init__(self, data, sizes):
        self.data, self.sizes = data, list(sizes)

    def readable(self):
        return True

    def readinto(self, buffer):
        size = min(len(buffer), self.sizes.pop(0) if self.sizes else len(buffer), len(self.data))
        buffer[:size], self.data = self.data[:size], self.data[size:]
        return size


def samples_of(frames):
    return np.concatenate([frame.samples for frame in frames])


@given(count=st.integers(1, 3000), sizes=st.lists(st.integers(1, 700)), block=st.integers(1, 400))
def test_samples_do_not_depend_on_how_the_pipe_cuts_them(count, sizes, block):
    frames = list(PcmSource(Dribble(SAMPLES[:count].tobytes(), sizes), 16000, block))
    np.testing.assert_array_equal(samples_of(frames), SAMPLES[:count])
    assert all(len(frame.samples) == block for frame in frames[:-1])
    assert [frame.time_s for frame in frames] == [
        i * block / 16000 for i in range(len(frames))]


@pytest.mark.parametrize("count", [1, 320, 640])
def test_an_odd_byte_at_the_end_is_counted_and_left(count):
    source = PcmSource(io.BytesIO(SAMPLES[:count].tobytes() + b"\x01"), 16000, 320)
    np.testing.assert_array_equal(samples_of(source), SAMPLES[:count])
    assert source.odd_bytes == 1


def test_a_block_comes_out_before_the_next_is_sent():
    read, write = os.pipe()
    with os.fdopen(read, "rb") as stream, os.fdopen(write, "wb", buffering=0) as sender:
        frames = iter(PcmSource(stream, 16000, 320))
        for start in range(0, 3 * 320, 320):
            sender.write(SAMPLES[start:start + 320].tobytes())
            np.testing.assert_array_equal(next(frames).samples, SAMPLES[start:start + 320])


def test_a_non_blocking_pipe_is_waited_for():
    read, write = os.pipe()
    os.set_blocking(read, False)
    with os.fdopen(read, "rb") as stream, os.fdopen(write, "wb", buffering=0) as sender:
        timer = threading.Timer(0.2, lambda: sender.write(SAMPLES[:320].tobytes()))
        timer.start()
        np.testing.assert_array_equal(next(iter(PcmSource(stream, 16000, 320))).samples,
                                      SAMPLES[:320])
        timer.join()


def test_a_real_pipe_from_another_process_is_heard():
    code = f"import sys; sys.stdout.buffer.write(bytes.fromhex('{SAMPLES.tobytes().hex()}'))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as sender:
        np.testing.assert_array_equal(samples_of(PcmSource(sender.stdout, 16000, 320)), SAMPLES)


@pytest.mark.parametrize("data", [b"", b"\x01"])
def test_a_pipe_without_a_sample_is_refused(data):
    with pytest.raises(SourceError, match="ended before the first sample"):
        list(PcmSource(io.BytesIO(data), 16000, 320))


@pytest.mark.parametrize("header", [b"RIFF", b"fLaC", b"OggS"])
def test_a_file_with_a_header_is_not_taken_for_samples(header):
    with pytest.raises(SourceError, match=f"header of a {header.decode()} file"):
        list(PcmSource(io.BytesIO(header + bytes(1000)), 16000, 320))


def test_a_terminal_is_refused():
    leader, follower = os.openpty()
    with (os.fdopen(leader, "rb", buffering=0), os.fdopen(follower, "rb") as terminal,
          pytest.raises(SourceError, match=r"is a terminal.*arecord .* -r 8000 ")):
        PcmSource(terminal, 8000, 160)


def test_a_failing_read_is_one_clear_error():
    class Broken(io.RawIOBase):
        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    with pytest.raises(SourceError, match="stdin cannot be read any more"):
        list(PcmSource(Broken(), 16000, 320))


def test_blocks_of_nothing_are_refused():
    with pytest.raises(SourceError, match="1 or more"):
        PcmSource(io.BytesIO(), 16000, 0)
