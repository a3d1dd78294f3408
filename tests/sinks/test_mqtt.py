"""Detections through a real broker."""

import json

import numpy as np
import pytest

from edgernn import mqtt
from edgernn.detect import Detection
from edgernn.errors import OutputError
from edgernn.sinks import mqtt as sink_module
from edgernn.sinks.home_assistant import Told
from edgernn.sinks.mqtt import MqttSink
from tests.broker import Broker, Watcher, until

LABELS = ("nothing", "yes", "a/b #1")
TOLD = Told("kws.tflite", ("yes", "a/b #1"))


@pytest.fixture
def broker(tmp_path):
    broker = Broker(tmp_path)
    yield broker
    broker.kill()


@pytest.fixture
def watcher(broker):
    watcher = Watcher(broker)
    yield watcher
    watcher.close()


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
