"""Sensors at one end of `edgernn stream`, a broker at the other."""

import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from edgernn.spec import LogMelSpec, StandardizeSpec
from edgernn.train.architecture import Layer
from tests.broker import Broker, Watcher, until
from tests.cli.test_cli import edgernn, fails
from tests.models import write_model
from tests.sources.ports import Device

COLUMNS = ("x", "y", "z")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Three columns at 50 rows a second."""
    spec = StandardizeSpec((0.0,) * 3, (1.0,) * 3, COLUMNS, 50.0)
    return write_model(tmp_path_factory.mktemp("sensors") / "imu.tflite", Layer("gru", 8),
                       features=3, frontend=spec)


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(0, 2, (200, 3)).round(3).tolist()


def options(model):
    return ("stream", "--model", model, "--threshold", "0.01", "--smoothing-ms", "0",
            "--refractory-ms", "100", "--scores")


def csv(rows):
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


def summary(stderr):
    return json.loads(stderr.splitlines()[-1].removeprefix("edgernn: "))


class Streaming:
    """`edgernn stream` at work, its output read as it comes."""

    def __init__(self, *arguments, env=None):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edgernn", *map(str, arguments)], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(env or {})})
        self.lines, self.errors = [], []
        self._threads = [threading.Thread(target=self._read, args=pair, daemon=True)
                         for pair in ((self.process.stdout, self.lines),
                                      (self.process.stderr, self.errors))]
        for thread in self._threads:
            thread.start()

    def _read(self, pipe, lines):
        for line in pipe:
            lines.append(line)

    @property
    def stderr(self):
        return "".join(self.errors)

    def scores(self):
        return [line for line in list(self.lines) if '"scores"' in line]

    def until(self, holds):
        until(lambda: holds() or self.process.poll() is not None, 60)
        assert holds(), self.stderr

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(30)
        for thread in self._threads:
            thread.join(10)
        return code


def test_json_lines_csv_and_forwarded_rows_are_the_same_stream(model, rows):
    plain = edgernn(*options(model), "--input", "-", data=csv(rows).encode())
    assert plain.returncode == 0, plain.stderr
    assert len(plain.stdout.splitlines()) > 200
    for text in ("".join(json.dumps(row) + "\n" for row in rows),
                 "".join(json.dumps({"z": z, "x": x, "y": y}) + "\n" for x, y, z in rows),
                 "z,x,y\n" + csv([[z, x, y] for x, y, z in rows]),
                 csv(rows).replace(",", "\t"),
                 "timestamp,x,y,z\n" + csv([[20 * i, *row] for i, row in enumerate(rows)]),
                 "".join(json.dumps({"time": 1.7e9 + i / 50, "x": x, "y": y, "z": z}) + "\n"
                         for i, (x, y, z) in enumerate(rows))):
        again = edgernn(*options(model), "--input", "-", data=text.encode())
        assert again.stdout == plain.stdout, text[:80]


def test_faults_of_rows_are_told_once_each_and_counted(model, rows):
    timed = [[20 * i, *row] for i, row in enumerate(rows)]
    timed[50:50] = [timed[49], timed[40]]  # a duplicate and a late one
    text = csv(timed).splitlines()
    del text[100]  # a missing one
    text[120] += ",1"
    text[140] = text[140].split(",")[0] + ",nan,1,2"
    done = edgernn(*options(model), "--input", "-", "--columns", "time_ms,x,y,z",
                   data="\n".join(text).encode())
    assert done.returncode == 0, done.stderr
    stderr = done.stderr.decode()
    told = summary(stderr)
    assert (told["rows_bad"], told["rows_late"], told["rows_duplicate"]) == (2, 1, 1)
    assert (told["dropped"], told["held"], told["resets"]) == (4, 3, 0)
    assert told["steps"] + told["held"] == 200, "no time is lost"
    assert stderr.count("needed") == 2, "one for bad rows, one for late ones"


def test_a_serial_device_that_is_unplugged_and_back_again_is_the_same_stream(
        model, rows, tmp_path):
    plain = edgernn(*options(model), "--input", "-", data=csv(rows[:100]).encode())
    device = Device(tmp_path)
    stream = Streaming(*options(model), "--input", f"serial:{device.path}", "--baud", "115200")
    stream.until(lambda: "listening for" in stream.stderr)
    device.send("cut 1\n" + csv(rows[:100]))
    stream.until(lambda: len(stream.scores()) >= 100)
    assert "".join(stream.lines).encode() == plain.stdout
    device.unplug()
    stream.until(lambda: "is gone" in stream.stderr)
    device.plug()
    stream.until(lambda: "is back" in stream.stderr)
    device.send("cut 1\n" + csv(rows[100:]))
    # A gap this long begins the model anew; a hold or two is scored too.
    stream.until(lambda: len(stream.scores()) >= 200)
    assert stream.end() == 0, stream.stderr
    told = summary(stream.stderr)
    assert (told["rows"], told["reconnects"], told["steps"]) == (200, 1, 200)
    assert told["held"] + told["resets"] > 0
    device.close()


def test_from_broker_to_broker_over_a_restart_with_a_last_will(model, rows, broker):
    watcher = Watcher(broker)
    stream = Streaming(*options(model), "--input", broker.url("imu/hall"),
                       "--mqtt", broker.url("heard/hall"))
    watcher.until(lambda w: w.of("heard/hall/availability") == ["online"], 60)
    for _ in range(200):  # until it has subscribed
        watcher.say("imu/hall", json.dumps(rows[0]))
        if stream.lines:
            break
    watcher.say("imu/hall", csv(rows))
    watcher.until(lambda w: len(w.of("heard/hall/scores")) > 200)
    until(lambda: watcher.of("heard/hall/detection"))
    broker.kill()
    broker.start()
    watcher.wait()
    watcher.until(lambda w: w.of("heard/hall/availability")[-2:] == ["online"] * 2, 60)
    before = len(watcher.of("heard/hall/detection"))
    for _ in range(400):
        watcher.say("imu/hall", csv(rows[:20]))
        if len(watcher.of("heard/hall/detection")) > before:
            break
    watcher.until(lambda w: len(w.of("heard/hall/detection")) > before)
    events = [json.loads(text) for text in watcher.of("heard/hall/detection")]
    config = next(json.loads(payload) for topic, payload, _ in watcher.heard
                  if topic.startswith("homeassistant/event/"))
    assert {event["event_type"] for event in events} <= set(config["event_types"])
    stream.end(signal.SIGKILL)  # as if the plug was pulled
    watcher.until(lambda w: w.of("heard/hall/availability")[-1] == "offline")
    watcher.close()
    assert stream.stderr.count("is back after") == 2, "one of the source, one of the sink"


def test_a_password_is_taken_from_the_environment_and_never_shown(model, rows, tmp_path):
    broker = Broker(tmp_path, "anna", "geheim")
    try:
        watcher = Watcher(broker, user="anna", password="geheim")
        done = edgernn(*options(model), "--input", "-", "--mqtt", broker.url("a", "anna@"),
                       data=csv(rows[:20]).encode(), env={"EDGERNN_MQTT_PASSWORD": "geheim"})
        assert done.returncode == 0, done.stderr
        watcher.until(lambda w: w.of("a/availability") == ["online", "offline"])
        assert len(watcher.of("a/detection")) == sum(
            b'"label"' in line for line in done.stdout.splitlines())
        watcher.close()
        for given in (("--input", "-", "--mqtt", broker.url("a", "anna:falsch@")),
                      ("--input", broker.url("a", "anna:falsch@"))):
            told = fails(edgernn(*options(model), *given), 1, "refused us", "anna")
            assert "falsch" not in told
            assert "away" not in told
    finally:
        broker.kill()


def test_what_cannot_work_is_one_clear_error(model, tmp_path):
    kws = write_model(tmp_path / "kws.tflite", Layer("gru", 8), frontend=LogMelSpec())
    row = options(model)
    fails(edgernn(*row, "--input", "serial:/dev/ttyNONE"), 1, "ttyNONE", "plugged in")
    fails(edgernn(*row, "--input", "mqtt://"), 1, "mqtt://host/topic")
    fails(edgernn(*row, "--input", "mqtt://localhost"), 1, "no topic")
    fails(edgernn(*row, "--input", "-", "--columns", "x,y", data=b""), 1, "x, y, z")
    fails(edgernn(*row, "--input", "-", "--rate", "10", data=b""), 2, "50 rows per second")
    fails(edgernn(*row, "--input", "-", "--arrival-times", data=b""), 2, "--arrival-times")
    fails(edgernn(*row, "--input", "-", "--mqtt", "mqtt://host/#", data=b""), 1, "'#'")
    fails(edgernn("stream", "--model", kws, "--input", "mqtt://a:secret@host/b"), 2, "audio")
    fails(edgernn("stream", "--model", kws, "--rate", "50"), 2, "--rate")


def test_a_model_that_does_not_know_its_rate_is_told_it(rows, tmp_path):
    path = write_model(tmp_path / "imu.tflite", Layer("gru", 8), features=3,
                       frontend=StandardizeSpec((0.0,) * 3, (1.0,) * 3, COLUMNS))
    text = "time,x,y,z\n" + csv([[i / 25, *row] for i, row in enumerate(rows[:101])])
    told = summary(edgernn(*options(path), "--input", "-", "--rate", "50",
                           data=text.encode()).stderr.decode())
    assert (told["heard_s"], told["steps"], told["rows"]) == (pytest.approx(4.02), 201, 101)
    assert "--rate" in edgernn(*options(path), "--input", "-",
                               data=text.encode()).stderr.decode()
