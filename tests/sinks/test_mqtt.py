"""Detections through a real broker."""

import json
import re
import threading
import time

import numpy as np
import pytest

from edgernn import mqtt
from edgernn.detect import Detection
from edgernn.errors import OutputError
from edgernn.sinks import mqtt as sink_module
from edgernn.sinks.home_assistant import Told, Topics, entities
from edgernn.sinks.mqtt import MqttSink, default_topic
from edgernn.sinks.queued import Queued
from tests.broker import Broker, Watcher, until

pytest.importorskip("paho.mqtt.client", reason='pip install "edgernn[mqtt]"')

LABELS = ("nothing", "yes", "a/b #1")
TOLD = Told("kws.tflite", ("yes", "a/b #1"))


def sink(broker, topic="home/hall", **options):
    return MqttSink(mqtt.parse(broker.url(topic), OutputError), LABELS, TOLD, **options)


def found(label="yes", time_s=1.5):
    return Detection(label, 0.91234, time_s)


def test_a_detection_and_scores_get_there_as_json(broker, watcher):
    output = sink(broker)
    output.detection(found("a/b #1"))
    output.scores(np.array([0.5, 0.25, 0.25], np.float32), 1.5)
    watcher.until(lambda w: w.of("home/hall/scores") and w.of("home/hall/detection"))
    told = json.loads(watcher.of("home/hall/detection")[0])
    assert told.pop("utc").endswith("Z")
    assert told == {"event_type": "a/b #1", "label": "a/b #1", "score": 0.9123, "time_s": 1.5}
    assert json.loads(watcher.of("home/hall/scores")[0]) == {
        "scores": {"nothing": 0.5, "yes": 0.25, "a/b #1": 0.25}, "time_s": 1.5}
    output.close()
    watcher.until(lambda w: w.of("home/hall/availability") == ["online", "offline"])
    assert output.sent == 1


def test_home_assistant_is_told_what_there_is_in_the_form_it_documents(broker, watcher):
    output = sink(broker)
    output.close()
    late = Watcher(broker, "homeassistant/#")  # as one that starts after us
    late.until(lambda w: len(w.heard) == 3)
    late.close()
    told = {topic: json.loads(payload) for topic, payload, _ in late.heard}
    assert all(retained for *_, retained in late.heard)
    ids = set()
    for topic, entity in told.items():
        # <discovery_prefix>/<component>/<object_id>/config, best practice: the object_id is the
        # unique_id, of [a-zA-Z0-9_-] alone.
        prefix, component, name, config = topic.split("/")
        assert (prefix, config) == ("homeassistant", "config")
        assert component in ("event", "sensor")
        assert re.fullmatch(r"[a-zA-Z0-9_-]+", name)
        assert entity["unique_id"] == name
        assert entity["availability_topic"] == "home/hall/availability"
        assert entity["origin"]["name"] == "edgernn"
        assert entity["device"]["name"] == "hall"
        ids |= set(entity["device"]["identifiers"])
    assert len(ids) == 1, "one device"
    event = next(entity for topic, entity in told.items() if "/event/" in topic)
    assert event["event_types"] == ["yes", "a/b #1"]
    assert event["state_topic"] == "home/hall/detection"
    # Every key is one that Home Assistant documents for an event, or for all entities.
    assert set(event) <= {"name", "unique_id", "state_topic", "event_types", "availability_topic",
                          "device", "origin", "qos", "icon"}


def test_the_same_stream_is_the_same_device_after_a_restart_and_another_is_another():
    def ids(topic, labels=("yes",)):
        return {json.loads(text)["unique_id"]
                for text in entities(Topics(topic), Told("kws.tflite", labels)).values()}

    assert ids("home/hall") == ids("home/hall", ("yes", "no"))
    assert not ids("home/hall") & ids("home_hall")
    assert not ids("大/門") & ids("小/門")


def test_a_model_of_numbers_is_a_sensor_per_number(broker, watcher):
    labels = ("load", 'a"b')
    output = MqttSink(mqtt.parse(broker.url("pump"), OutputError), labels,
                      Told("pump.tflite", (), labels))
    output.close()
    watcher.until(lambda w: w.of("pump/availability") == ["online", "offline"])
    told = [json.loads(payload) for topic, payload, _ in watcher.heard if "/sensor/" in topic]
    templates = {entity["name"]: entity["value_template"] for entity in told}
    assert templates == {"load": '{{ value_json.scores["load"] }}',
                         'a"b': '{{ value_json.scores["a\\"b"] }}',
                         "Lost messages": "{{ value_json.lost }}"}


def test_the_last_word_of_a_stream_that_ends_at_once_is_that_it_is_gone(broker, watcher):
    for number in range(20):
        sink(broker, f"hall{number}").close()
    watcher.until(lambda w: all(w.of(f"hall{n}/availability") == ["online", "offline"]
                                for n in range(20)))


def test_a_broker_that_forgot_everything_is_told_again(broker, watcher, capsys):
    output = sink(broker)
    watcher.until(lambda w: w.of("home/hall/availability"))
    broker.kill()
    broker.start()  # without what was retained
    until(lambda: output._connection.reconnects and output._connection.there)
    late = Watcher(broker)
    late.until(lambda w: w.of("home/hall/availability") == ["online"])
    late.until(lambda w: sum(topic.endswith("/config") for topic, *_ in w.heard) == 3)
    output.detection(found())
    late.until(lambda w: w.of("home/hall/detection"))
    output.close()
    late.close()
    error = capsys.readouterr().err
    assert error.count("is away") == error.count("is back after") == 1


def test_a_detection_waits_for_a_broker_that_is_back_in_time(broker, watcher):
    output = sink(broker)
    broker.kill()
    until(lambda: not output._connection.there)
    threading.Timer(0.5, broker.start).start()
    output.detection(found())
    assert (output.sent, output.lost) == (1, 0), "sent means that the broker confirmed it"
    output.close()


def test_what_is_late_is_lost_counted_and_never_sent_later(broker, watcher, monkeypatch, capsys):
    monkeypatch.setattr(sink_module, "LATE_S", 0.5)
    output = sink(broker)
    until(lambda: output._connection.there)
    broker.kill()
    until(lambda: not output._connection.there)
    begin = time.monotonic()
    for number in range(5):
        with pytest.raises(OutputError, match="did not reach the broker"):
            output.detection(found(time_s=float(number)))
    assert time.monotonic() - begin < 5, "one wait, not five"
    broker.start()
    until(lambda: output._connection.there)
    watcher.wait()
    output.detection(found(time_s=9.0))
    watcher.until(lambda w: w.of("home/hall/detection"))
    assert [json.loads(text)["time_s"] for text in watcher.of("home/hall/detection")] == [9.0]
    assert (output.sent, output.lost) == (1, 5)
    late = Watcher(broker, "home/hall/state")
    late.until(lambda w: w.heard)
    assert json.loads(late.heard[0][1]) == {"sent": 0, "lost": 5, "reconnects": 1}
    late.close()
    output.close()


def test_a_broker_that_hangs_holds_up_nobody(broker, monkeypatch, capsys):
    """Stopped, its connection stays open and nothing is ever confirmed."""
    monkeypatch.setattr(sink_module, "LATE_S", 0.5)
    output = sink(broker)
    until(lambda: output._connection.there)
    broker.stop()
    try:
        with Queued(output, "--mqtt") as queued:
            begin = time.monotonic()
            for number in range(3):
                queued.detection(found(time_s=float(number)))
            assert time.monotonic() - begin < 0.2
            until(lambda: queued.dropped == 3)
            begin = time.monotonic()
        assert time.monotonic() - begin < 8
    finally:
        broker.go_on()
    assert capsys.readouterr().err.count("--mqtt failed") == 1


def test_a_wrong_password_is_an_error_at_once_and_never_shown(tmp_path):
    broker = Broker(tmp_path, "anna", "right")
    try:
        address = mqtt.parse(broker.url("hall", "anna:wrong@"), OutputError)
        with pytest.raises(OutputError, match="refused us") as problem:
            MqttSink(address, LABELS, TOLD)
        assert "wrong" not in str(problem.value)
    finally:
        broker.kill()


@pytest.mark.parametrize("topic", ["a/+/b", "a/#", "$SYS/a"])
def test_a_topic_to_send_to_has_no_wildcard(topic):
    with pytest.raises(OutputError, match="cannot be in a topic"):
        MqttSink(mqtt.parse(f"mqtt://broker/{topic}", OutputError), LABELS, TOLD)


def test_without_a_topic_host_and_model_are_one_that_stays():
    assert default_topic("kws.tflite") == default_topic("kws.tflite")
    assert re.fullmatch(r"edgernn/[^/+#\s]+/my_model_", default_topic("my model+.tflite"))
