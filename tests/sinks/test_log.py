"""A log that rotates."""

import datetime
import json
import os

import numpy as np
import pytest

from edgernn.detect import Detection
from edgernn.errors import OutputError
from edgernn.sinks.log import Log


def test_each_line_says_what_stdout_says_and_when(tmp_path):
    log = Log(tmp_path / "log", ("no", "yes"))
    before = datetime.datetime.now(datetime.timezone.utc)
    log.detection(Detection("yes", 0.91234, 1.5))
    log.scores(np.array([0.25, 0.75], np.float32), 1.52)
    log.close()
    first, second = map(json.loads, (tmp_path / "log").read_text().splitlines())
    said = datetime.datetime.fromisoformat(first.pop("utc").replace("Z", "+00:00"))
    assert abs(said - before) < datetime.timedelta(seconds=5)
    assert first == {"label": "yes", "score": 0.9123, "time_s": 1.5}
    assert second["scores"] == {"no": 0.25, "yes": 0.75}


def test_a_log_never_outgrows_five_files_and_loses_none_of_the_newest_lines(tmp_path):
    log = Log(tmp_path / "log", ("yes",), megabytes=0.001)
    for number in range(200):
        log.detection(Detection("yes", 0.5, float(number)))
    log.close()
    files = [tmp_path / f"log.{n}" for n in (4, 3, 2, 1)] + [tmp_path / "log"]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert all(0 < file.stat().st_size <= 1000 for file in files)
    times = [json.loads(line)["time_s"] for file in files
             for line in file.read_text().splitlines()]
    assert times == list(range(200 - len(times), 200))
    assert len(times) > 40


def test_a_log_goes_on_where_it_ended(tmp_path):
    for number in range(2):
        log = Log(tmp_path / "log", ("yes",))
        log.detection(Detection("yes", 0.5, float(number)))
        log.close()
    assert len((tmp_path / "log").read_text().splitlines()) == 2


def test_a_log_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(OutputError, match="No such file"):
        Log(tmp_path / "none" / "log", ("yes",))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")
def test_a_full_disk_is_an_error_not_a_traceback(capfd):
    # Whichever of opening (a device is not sought in) and writing fails, it must be told.
    with pytest.raises(OutputError, match=r"cannot be written"):
        Log("/dev/full", ("yes",)).detection(Detection("yes", 0.5, 0.0))
    assert "Traceback" not in capfd.readouterr().err
