"""Detections to an MQTT broker, where Home Assistant finds them."""

import contextlib
import datetime
import json
import re
import socket
import threading
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn.detect import Detection
from edgernn.errors import OutputError
from edgernn.mqtt import Address, Connection
from edgernn.sinks.home_assistant import PREFIX, Told, Topics, entities
from edgernn.sinks.jsonl import detection_tree, scores_tree

LATE_S = 10.0
"""Seconds that a detection may take to its broker, and that a broker may be away, before
detections are lost: nobody wants the light switched on by what was said an hour ago."""
LEAVE_S = 1.0
"""Seconds in which the broker must say that it knows we are gone."""
POLL_S = 0.1
"""Seconds between looks at whether the sink was closed."""


class MqttSink:
    """Publishes detections, and scores where asked for, as JSON.

    Under the topic of the address:

    - ``availability``: ``online``, and ``offline`` once we are gone, even if the plug was
      pulled: it is our last will.  Retained.
    - ``detection``: ``{"event_type": "yes", "label": "yes", "score": 0.97, "time_s": 3.42,
      "utc": "2026-11-24T01:02:03.004Z"}``, at least once (QoS 1), never retained.
    - ``scores``: as `JsonLines` writes them, at most once (QoS 0).
    - ``state``: ``{"sent": 12, "lost": 0, "reconnects": 1}`` after each connection and loss.
      Retained.

    With every connection Home Assistant is told anew what there is (`home_assistant.entities`):
    a broker may forget.

    Parameters
    ----------
    address : Address
        Without a topic it is ``edgernn/HOST/MODEL``.
    labels : tuple of str
        What each score means.
    told : Told
        What Home Assistant is told of the model.
    discovery : str
        Topic under which Home Assistant looks; empty: tell it nothing.

    Raises
    ------
    OutputError
        If paho-mqtt is not installed, the broker refuses us, or the topic has a wildcard.  For a
        detection or scores: if they did not get there.
    """

    def __init__(self, address: Address, labels: tuple[str, ...], told: Told,
                 discovery: str = PREFIX) -> None:
        self.topics = Topics(address.topic or default_topic(told.model))
        wrong = re.search(r"[+#\0]|^\$", self.topics.base + discovery)
        if wrong:
            raise OutputError(f"{wrong[0]!r} cannot be in a topic to send to; "
                              f"{self.topics.base!r} has it. Leave it out")
        self._labels = labels
        self._entities = entities(self.topics, told, discovery) if discovery else {}
        self._closed = threading.Event()
        self.sent = self.lost = 0
        self._connection = Connection(
            address, OutputError, f"After {LATE_S:g} s detections are dropped and counted",
            self._on_connected, will=(self.topics.availability, "offline"))
        self._connection.start()

    def detection(self, found: Detection) -> None:
        """Publish, and wait until the broker has it."""
        text = json.dumps({"event_type": found.label, **detection_tree(found), "utc": _now()},
                          ensure_ascii=False)
        end_s = time.monotonic() + LATE_S
        while self._wait_for_broker(end_s):
            if self._confirmed(text, end_s):
                self.sent += 1
                return
        self.lost += 1
        if self._connection.there:
            self._tell_state(self._connection)
        raise OutputError(f"{found.label!r} did not reach the broker in {LATE_S:g} s")

    def scores(self, scores: NDArray[np.float32], time_s: float) -> None:
        """Publish, if the broker is there."""
        self._check()
        if not self._connection.there:
            raise OutputError("the broker is away")
        self._connection.publish(self.topics.scores, json.dumps(
            scores_tree(self._labels, scores, time_s), ensure_ascii=False), qos=0)

    def close(self) -> None:
        """Say that we are gone, and leave."""
        if self._closed.is_set():
            return
        self._closed.set()
        if self._connection.there:
            last = self._connection.publish(self.topics.availability, "offline", retain=True)
            # A socket closed before the broker's answers were read is reset, and takes with it
            # what the broker has not read either.
            with contextlib.suppress(RuntimeError):
                last.wait_for_publish(LEAVE_S)
        self._connection.close()

    def _wait_for_broker(self, end_s: float) -> bool:
        """Whether the broker is there in time."""
        while not self._closed.is_set():
            self._check()
            now_s = time.monotonic()
            away_s = now_s - (self._connection.away_since_s or now_s)
            if now_s > end_s or away_s > LATE_S:
                return False
            if self._connection.wait(POLL_S):
                return True
        return False

    def _confirmed(self, text: str, end_s: float) -> bool:
        """Publish a detection; whether the broker has it before the connection breaks."""
        connections = self._connection.reconnects
        sent = self._connection.publish(self.topics.detection, text)
        try:
            while not sent.is_published():
                broken = not self._connection.there or self._connection.reconnects > connections
                if broken or self._closed.is_set() or time.monotonic() > end_s:
                    return False
                sent.wait_for_publish(POLL_S)
        except RuntimeError:  # the connection broke before it was sent
            return False
        return True

    def _check(self) -> None:
        if self._connection.problem:  # a defect: it ends the stream
            raise self._connection.problem

    def _on_connected(self, connection: Connection) -> None:
        for topic, text in self._entities.items():
            connection.publish(topic, text, retain=True)
        connection.publish(self.topics.availability, "online", retain=True)
        self._tell_state(connection)

    def _tell_state(self, connection: Connection) -> None:
        state: dict[str, Any] = {"sent": self.sent, "lost": self.lost,
                                 "reconnects": connection.reconnects}
        connection.publish(self.topics.state, json.dumps(state), retain=True)


def default_topic(model: str) -> str:
    """``edgernn/HOST/MODEL``, the same at every start."""
    host, name = (re.sub(r"[/+#\0\s]+", "_", text) or "_"
                  for text in (socket.gethostname(), model.removesuffix(".tflite")))
    return f"edgernn/{host}/{name}"


def _now() -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
