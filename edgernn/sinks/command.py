"""A command that is run for every detection."""

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import threading

import numpy as np
from numpy.typing import NDArray

from edgernn.detect import Detection
from edgernn.errors import OutputError
from edgernn.sinks import COMMAND_TIMEOUT_S
from edgernn.sinks.jsonl import detection_tree

STDERR = 2
"""File descriptor of our own stderr, whatever a terminal's display does to sys.stderr."""


class Command:
    """Runs a command per detection, one after the other.

    It gets the detection as a line of JSON on its stdin, and in the variables
    EDGERNN_LABEL, EDGERNN_SCORE and EDGERNN_TIME_S.  What it prints goes to stderr: stdout
    is our own data.

    Parameters
    ----------
    command : str
        A program and its arguments, quoted as for a shell.  No shell sees it, so that no
        label can be taken for a command, unless `shell` is set.
    shell : bool
        Have /bin/sh run it: for pipes and variables.
    timeout_s : float
        Seconds after which it is killed, with all it started.

    Raises
    ------
    OutputError
        If there is no such program; for a detection, if the command fails or hangs.
    """

    def __init__(self, command: str, *, shell: bool = False,
                 timeout_s: float = COMMAND_TIMEOUT_S) -> None:
        self.command, self.timeout_s = command, timeout_s
        self._words = ["/bin/sh", "-c", command] if shell else _words(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        # Taken to start the command and to kill it: it never starts after the end.
        self._lock = threading.Lock()

    def detection(self, found: Detection) -> None:
        """Run the command and wait for its end."""
        tree = detection_tree(found)
        told = {f"EDGERNN_{name.upper()}": str(value) for name, value in tree.items()}
        with self._lock:
            if self._closed:
                return
            try:
                # A session of its own, to be killed with all that it starts.
                process = self._process = subprocess.Popen(
                    self._words, stdin=subprocess.PIPE, stdout=STDERR,
                    env={**os.environ, **told}, start_new_session=True)
            except (OSError, ValueError) as problem:  # ValueError: a NUL in the label
                raise OutputError(f"{self.command!r} does not start ({problem})") from problem
        try:
            process.communicate(json.dumps(tree, ensure_ascii=False).encode() + b"\n",
                                self.timeout_s)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise OutputError(f"{self.command!r} had not ended after {self.timeout_s:g} s and was "
                              "killed. Let it start what takes long in the background, or give it "
                              "more time") from None
        if process.returncode and not self._closed:
            raise OutputError(f"{self.command!r} {_ended(process.returncode)} for "
                              f"{found.label!r}; 0 was needed")

    def scores(self, scores: NDArray[np.float32], time_s: float) -> None:
        """Nothing: a command is for detections."""

    def close(self) -> None:
        """Kill the command if it runs."""
        with self._lock:
            self._closed = True
            if self._process and self._process.poll() is None:
                _kill(self._process)


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as problem:
        raise OutputError(f"{command!r} cannot be split into words ({problem}). "
                          "Quote it as for a shell") from problem
    if not words:
        raise OutputError("The command is empty; a program was needed. Name one")
    if shutil.which(words[0]) is None:
        raise OutputError(f"{words[0]!r} is no program that can be run; one was needed. Check the "
                          "name and its permissions; pipes and variables need a shell")
    return words


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ended(code: int) -> str:
    return f"ended with {code}" if code > 0 else f"was ended by signal {-code}"
