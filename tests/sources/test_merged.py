"""Several sources at once."""

import threading

import numpy as np
import pytest

from edgernn.errors import SourceError
from edgernn.frames import Frame
from edgernn.sources.merged import Merged


class Fake:
    live, overflows = False, 2

    def __init__(self, count, problem=None, wait=None):
        self.count, self.problem, self.wait, self.closed = count, problem, wait, False

    def __iter__(self):
        for i in range(self.count):
            if self.wait:
                self.wait.wait(10)
            yield Frame(np.full(1, i), float(i))
        if self.problem:
            raise self.problem

    def close(self):
        self.closed = True


def gathered(merged):
    found = {}
    for number, frame in merged:
        found.setdefault(number, []).append(None if frame is None else int(frame.samples[0]))
    return found


def test_every_source_gives_its_frames_in_order_and_then_ends():
    sources = [Fake(500), Fake(3), Fake(0)]
    with Merged(sources, "abc") as merged:
        assert gathered(merged) == {0: [*range(500), None], 1: [0, 1, 2, None], 2: [None]}
        assert merged.count("overflows") == 6
        assert merged.count("what no source counts") == 0
    assert all(source.closed for source in sources)


def test_a_source_that_fails_ends_alone_and_says_so(capsys):
    sources = [Fake(2, SourceError("it is gone")), Fake(3)]
    with Merged(sources, ["one", "two"]) as merged:
        assert gathered(merged) == {0: [0, 1, None], 1: [0, 1, 2, None]}
    assert capsys.readouterr().err == "edgernn: one: it is gone; the other inputs go on\n"


def test_when_all_have_failed_that_is_an_error():
    sources = [Fake(1, SourceError("first")), Fake(1, SourceError("second"))]
    with Merged(sources, ["one", "two"]) as merged, pytest.raises(SourceError):
        gathered(merged)


def test_one_that_waits_holds_up_no_other_and_the_end_waits_for_none():
    held = threading.Event()
    with Merged([Fake(2, wait=held), Fake(1000)], "ab") as merged:
        quick = [number for number, frame in zip(range(1001), merged, strict=False)]
        assert len(quick) == 1001
    assert not held.is_set()
    held.set()
