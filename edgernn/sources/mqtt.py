"""Sensor rows that a broker passes on."""

from edgernn.errors import SourceError
from edgernn.mqtt import Address, Connection
from edgernn.sources.live_rows import LiveRows
from edgernn.sources.rows import RowFrames


class MqttRows(LiveRows):
    """Rows published under a topic: one, or several lines or JSON rows, a message.

    What the broker had kept from before is old, and left out.

    Parameters
    ----------
    frames : RowFrames
    address : Address
        Its topic may hold the wildcards ``+`` and ``#``.

    Raises
    ------
    SourceError
        If paho-mqtt is not installed or the topic is empty; when iterating, if the broker
        refuses us.
    """

    def __init__(self, frames: RowFrames, address: Address) -> None:
        super().__init__(frames)
        if not address.topic:
            raise SourceError(f"{address.shown} has no topic; one was needed: "
                              "mqtt://host/sensors/imu")
        self._topic = address.topic
        self.retained = 0
        """Messages that the broker had kept from before we asked."""
        self._connection = Connection(address, SourceError, "The model hears nothing meanwhile",
                                      self._on_connected, self._on_message)

    def _start(self) -> None:
        self._connection.start()

    def _on_connected(self, connection: Connection) -> None:
        connection.subscribe(self._topic)
        if connection.reconnects:
            self._again()

    def _on_message(self, topic: str, payload: bytes, kept: bool) -> None:
        if kept:
            self.retained += 1
            return
        for line in payload.decode("utf-8", "replace").splitlines():
            self._came(line)

    @property
    def counts(self) -> dict[str, int]:
        """What the summary tells of the rows."""
        return {**super().counts, "retained": self.retained}

    @property
    def _defect(self) -> Exception | None:
        return self._connection.problem

    def close(self) -> None:
        """Take leave of the broker."""
        self._closed = True
        self._connection.close()
