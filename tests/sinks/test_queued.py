"""A queue before a sink."""

import threading
import time

import numpy as np
import pytest

from edgernn.detect import Detection
from edgernn.errors import OutputError
from edgernn.sinks import queued
from edgernn.sinks.queued import Queued


def found(number):
    return Detection("yes", 0.9, float(number))


class Gate:
    """A sink that takes nothing until it is opened."""

    def __init__(self):
        self.open, self.began, self.taken = threading.Event(), threading.Event(), []

    def detection(self, found):
        self.began.set()
        assert self.open.wait(20)
        self.taken.append(found.time_s)

    def scores(self, scores, time_s):
        self.taken.append((scores.tolist(), time_s))

    def close(self):
        self.open.set()


class Failing(Gate):
    def __init__(self, problem):
        super().__init__()
        self.problem = problem

    def detection(self, found):
        if found.time_s % 2:
            raise self.problem
        self.taken.append(found.time_s)


def test_a_sink_that_hangs_never_holds_up_the_stream_and_drops_are_told_once(capsys):
    gate = Gate()
    with Queued(gate, "the gate", waiting=3) as sink:
        sink.detection(found(0))
        assert gate.began.wait(5)  # one is being taken, so three more fit
        begin = time.monotonic()
        for number in range(1, 9):
            sink.detection(found(number))
        assert time.monotonic() - begin < 1
        assert sink.dropped == 5
        gate.open.set()
        sink.drain()
    assert gate.taken == [0, 1, 2, 3]
    assert sink.dropped == 5
    assert capsys.readouterr().err.count("the gate does not keep up") == 1


def test_a_recording_waits_for_a_slow_sink_and_loses_nothing():
    gate = Gate()
    threading.Timer(0.2, gate.open.set).start()
    with Queued(gate, "the gate", patient=True, waiting=2) as sink:
        for number in range(20):
            sink.detection(found(number))
        sink.drain()
    assert gate.taken == list(range(20))
    assert sink.dropped == 0


def test_a_sink_that_fails_loses_only_what_it_failed_on(capsys):
    failing = Failing(OutputError("no room"))
    with Queued(failing, "the log") as sink:
        for number in range(6):
            sink.detection(found(number))
        sink.drain()
    assert failing.taken == [0, 2, 4]
    assert sink.dropped == 3
    assert capsys.readouterr().err.count("the log failed: no room") == 1


@pytest.mark.parametrize(("problem", "fatal"), [(BrokenPipeError(), True),
                                                (ZeroDivisionError(), False)])
def test_a_fatal_failure_and_a_defect_are_raised_where_the_stream_is(problem, fatal):
    sink = Queued(Failing(problem), "stdout", fatal=fatal, patient=True, waiting=1)
    sink.detection(found(1))
    end = time.monotonic() + 10
    while not sink.dropped and time.monotonic() < end:
        time.sleep(0.01)
    with pytest.raises(type(problem)):
        sink.detection(found(2))
    sink.close()
    assert sink.dropped >= 1


def test_a_stopped_stream_waits_for_its_sink_no_longer_than_it_says(monkeypatch, capsys):
    monkeypatch.setattr(queued, "CLOSE_S", 0.2)
    gate = Gate()
    sink = Queued(gate, "the gate")
    for number in range(4):
        sink.detection(found(number))
    assert gate.began.wait(5)
    begin = time.monotonic()
    sink.close()
    assert time.monotonic() - begin < 5
    assert gate.taken == [0], "what was under way"
    assert sink.dropped == 3
    assert not sink.stuck
    assert "the rest is dropped" in capsys.readouterr().err


def test_scores_are_those_of_their_own_step_though_the_model_reuses_its_array():
    gate, scores = Gate(), np.zeros(2, np.float32)
    with Queued(gate, "the gate") as sink:
        for step in range(5):
            scores[:] = step
            sink.scores(scores, float(step))
        sink.drain()
    assert gate.taken == [([step, step], step) for step in range(5)]
