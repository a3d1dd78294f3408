"""A command per detection."""

import json
import shlex
import sys
import time

import pytest

from edgernn.detect import Detection
from edgernn.errors import OutputError
from edgernn.sinks.command import Command

FOUND = Detection("yes; echo $HOME", 0.98765432, 3.4200001)


def python(code, *arguments):
    return shlex.join([sys.executable, "-c", code, *map(str, arguments)])


def test_a_command_gets_the_detection_on_stdin_and_in_variables(tmp_path):
    out = tmp_path / "out.json"
    Command(python("import json, os, sys\n"
                   "told = {k: v for k, v in os.environ.items() if k.startswith('EDGERNN_')}\n"
                   "json.dump([json.load(sys.stdin), told], open(sys.argv[1], 'w'))", out)
            ).detection(FOUND)
    tree, told = json.loads(out.read_text())
    assert tree == {"label": "yes; echo $HOME", "score": 0.9877, "time_s": 3.42}
    assert {name: told[name] for name in ("EDGERNN_LABEL", "EDGERNN_SCORE", "EDGERNN_TIME_S")} == {
        "EDGERNN_LABEL": "yes; echo $HOME", "EDGERNN_SCORE": "0.9877", "EDGERNN_TIME_S": "3.42"}


def test_a_shell_sees_the_command_only_where_asked(tmp_path):
    out = tmp_path / "out"
    line = f'printf "%s" "$EDGERNN_LABEL" > {shlex.quote(str(out))}'
    Command(line).detection(FOUND)  # printf gets all of it as arguments
    assert not out.exists()
    Command(line, shell=True).detection(FOUND)
    assert out.read_text() == FOUND.label


def test_a_hanging_command_is_killed_with_all_it_started(tmp_path):
    beat = tmp_path / "beat"
    line = f"(while :; do echo x >> {shlex.quote(str(beat))}; sleep 0.05; done) & wait"
    with pytest.raises(OutputError, match=r"0\.4 s and was killed"):
        Command(line, shell=True, timeout_s=0.4).detection(FOUND)
    size = beat.stat().st_size
    assert size
    time.sleep(0.3)
    assert beat.stat().st_size == size


def test_a_command_that_reads_nothing_or_fails_is_told_apart():
    Command("true").detection(FOUND)
    with pytest.raises(OutputError, match="ended with 1"):
        Command("false").detection(FOUND)
    with pytest.raises(OutputError, match="signal 9"):
        Command("kill -9 $$", shell=True).detection(FOUND)


@pytest.mark.parametrize("command", ["", "no-such-program-here", "echo 'unfinished"])
def test_a_command_that_cannot_run_says_so_before_the_stream_begins(command):
    with pytest.raises(OutputError):
        Command(command)


def test_a_closed_command_is_never_started(tmp_path):
    command = Command(f"touch {shlex.quote(str(tmp_path / 'made'))}")
    command.close()
    command.detection(FOUND)
    assert not (tmp_path / "made").exists()
