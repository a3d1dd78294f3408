"""What Home Assistant is told of a model, so that it shows up there by itself.

One retained message per entity under ``homeassistant/<component>/<id>/config``, as
home-assistant.io/integrations/mqtt/#mqtt-discovery says; keys of an event from
home-assistant.io/integrations/event.mqtt (since Home Assistant 2023.8), of a sensor from
home-assistant.io/integrations/sensor.mqtt.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from edgernn import __version__

PREFIX = "homeassistant"
"""Topic under which it looks for entities unless it was told otherwise."""


@dataclass(frozen=True)
class Topics:
    """Where a model's messages go."""

    base: str

    @property
    def availability(self) -> str:
        """``online`` or ``offline``, retained."""
        return f"{self.base}/availability"

    @property
    def detection(self) -> str:
        """Each detection, as JSON."""
        return f"{self.base}/detection"

    @property
    def scores(self) -> str:
        """Scores of each step, as JSON."""
        return f"{self.base}/scores"

    @property
    def state(self) -> str:
        """What was sent and what was lost, as JSON, retained."""
        return f"{self.base}/state"


@dataclass(frozen=True)
class Told:
    """What a model is to Home Assistant."""

    model: str
    """Its file's name."""
    events: tuple[str, ...]
    """Labels that can be detected."""
    numbers: tuple[str, ...] = ()
    """Labels whose score is itself the answer."""


def entities(topics: Topics, told: Told, prefix: str = PREFIX) -> dict[str, str]:
    """The messages, by their topics.

    The ids come from the topic alone: the same stream started again is the same device.

    >>> list(entities(Topics("hall"), Told("kws.tflite", ("yes",))))[0]
    'homeassistant/event/edgernn_hall_2bb6f602_detection/config'
    """
    device = identifier(topics.base)
    common: dict[str, Any] = {
        "availability_topic": topics.availability, "qos": 1,
        "origin": {"name": "edgernn", "sw_version": __version__},
        "device": {"identifiers": [device], "name": topics.base.rpartition("/")[2],
                   "manufacturer": "edgernn", "model": told.model, "sw_version": __version__}}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    if told.events:
        found["event", "detection"] = {
            "name": "Detection", "state_topic": topics.detection,
            "event_types": list(told.events), "icon": "mdi:waveform"}
        found["sensor", "score"] = _sensor("Last score", topics.detection, "value_json.score")
    for label in told.numbers:
        # Quoted as JSON a label is a string of the template's language too.
        found["sensor", safe(label)] = _sensor(
            label, topics.scores, f"value_json.scores[{json.dumps(label)}]", diagnostic=False)
    found["sensor", "lost"] = _sensor("Lost messages", topics.state, "value_json.lost")
    return {f"{prefix}/{component}/{device}_{name}/config": json.dumps(
        {**entity, "unique_id": f"{device}_{name}", **common}, ensure_ascii=False)
        for (component, name), entity in found.items()}


def _sensor(name: str, topic: str, value: str, *, diagnostic: bool = True) -> dict[str, Any]:
    kept = {"entity_category": "diagnostic"} if diagnostic else {}
    return {"name": name, "state_topic": topic, "value_template": f"{{{{ {value} }}}}",
            "state_class": "measurement", **kept}


def identifier(base: str) -> str:
    """An id that is the same whenever the topic is."""
    return f"edgernn_{safe(base)}"


def safe(text: str) -> str:
    """Letters, digits and underscores, no two texts alike.

    Home Assistant allows ``[a-zA-Z0-9_-]`` in the topic of an entity.
    """
    import hashlib  # which brings OpenSSL, megabytes for those who have no broker

    plain = re.sub(r"[^a-zA-Z0-9]+", "_", text).strip("_").lower()
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{plain}_{digest}" if plain else digest
