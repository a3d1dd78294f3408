"""What systemd is told, over a real socket."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from edgernn.service.watchdog import Watchdog


@pytest.fixture(params=["/", "@"])
def systemd(request, tmp_path):
    """A socket such as systemd's: in the file system, or in the abstract name space."""
    name = str(tmp_path / "s") if request.param == "/" else f"@edgernn-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.bind("\0" + name[1:] if name.startswith("@") else name)
        own.settimeout(20)
        yield own, {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "150000"}


def told(own, until):
    """All that is told up to and with a message."""
    found = []
    while until not in found:
        found.append(own.recv(100).decode())
    return found


def test_it_says_that_it_is_ready_and_alive_while_it_waits_for_input_and_that_it_ends(systemd):
    own, environment = systemd
    with Watchdog(environment) as watchdog:
        assert own.recv(100) == b"READY=1"

        def slow():
            told(own, "WATCHDOG=1")  # a microphone that is unplugged
            yield 1

        assert list(watchdog.watched(slow())) == [1]
    assert told(own, "STOPPING=1")[-1] == "STOPPING=1"


def test_it_says_nothing_while_a_frame_is_stuck_and_goes_on_after_it(systemd):
    own, environment = systemd
    with Watchdog(environment) as watchdog:
        for number in watchdog.watched(iter(range(200))):
            if number == 100:
                time.sleep(1.0)
                own.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        own.recv(100)
                time.sleep(0.5)  # ten of its periods
                with pytest.raises(BlockingIOError):
                    own.recv(100)
                own.settimeout(20)
            time.sleep(0.002)
    assert "WATCHDOG=1" in told(own, "STOPPING=1")


def test_without_systemd_it_does_nothing():
    with Watchdog({}) as watchdog:
        assert list(watchdog.watched(iter([1, 2]))) == [1, 2]
    with Watchdog({"NOTIFY_SOCKET": "/no/such/socket", "WATCHDOG_USEC": "1000"}) as watchdog:
        assert list(watchdog.watched(iter([1, 2]))) == [1, 2]


def test_another_processs_watchdog_is_not_fed(systemd):
    own, environment = systemd
    with Watchdog({**environment, "WATCHDOG_PID": "1"}):
        time.sleep(0.3)
    assert told(own, "STOPPING=1") == ["READY=1", "STOPPING=1"]


def test_a_stream_under_systemd_is_ready_alive_and_stops_when_told(systemd):
    own, environment = systemd
    running = subprocess.Popen([sys.executable, "-m", "edgernn", "stream", "--input", "-"],
                               stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               env={**os.environ, **environment})
    assert running.stdin
    assert told(own, "READY=1") == ["READY=1"]
    running.stdin.write(np.zeros(16000, np.int16).tobytes())
    running.stdin.flush()
    told(own, "WATCHDOG=1")
    running.send_signal(signal.SIGTERM)
    told(own, "STOPPING=1")
    assert running.wait(20) == 0
