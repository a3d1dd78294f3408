"""A connection to an MQTT broker that lasts: for rows that come and detections that go.

The client is Eclipse's paho-mqtt, which has a thread of its own and connects again
by itself; here are addresses, messages, and what one may wait for.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from edgernn.errors import EdgernnError

PASSWORD = "EDGERNN_MQTT_PASSWORD"
"""Variable that holds the password, so that no list of processes shows it."""
PORTS = {"mqtt": 1883, "mqtts": 8883}
CONNECT_S = 5.0
"""Seconds that the start waits for the broker's first answer."""
KEEPALIVE_S = 30
"""Seconds of silence after which the broker is asked; twice that, and it is gone."""
LONGEST_WAIT_S = 30
"""Seconds between attempts to connect again; the first after 1, then twice as long each."""
CLOSE_S = 2.0
"""Seconds that an end waits for the client's thread."""


@dataclass(frozen=True)
class Address:
    """Where a broker is, who asks, and for what."""

    host: str
    port: int
    topic: str
    """Or its beginning, without a slash at either end; may be empty."""
    user: str
    password: str
    tls: bool

    @property
    def shown(self) -> str:
        """Without the password, for messages."""
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{user}{host}:{self.port}/{self.topic}"


def parse(url: str, kind: type[EdgernnError],
          environment: Mapping[str, str] = os.environ) -> Address:
    """Read ``mqtt[s]://[user[:password]@]host[:port]/topic``.

    Parameters
    ----------
    url : str
        Parts may be percent-encoded.  A topic may hold ``+``, ``#`` and ``?``.
    kind : type of EdgernnError
        What is raised.
    environment : mapping
        Its `PASSWORD` is taken where the address has none.

    Raises
    ------
    EdgernnError
        Of the kind wanted, if it is no such address.
    """
    from urllib.parse import unquote

    scheme, _, rest = url.partition("://")
    where, _, topic = rest.partition("/")
    login, _, place = where.rpartition("@")
    user, _, password = login.partition(":")
    if place.startswith("["):  # IPv6
        host, _, after = place[1:].partition("]")
        port = after.removeprefix(":")
    else:
        host, _, port = place.partition(":")
    if scheme not in PORTS or not host or (port and not port.isdecimal()) \
            or not 0 < int(port or PORTS[scheme]) < 65536:
        shown = url.replace(f":{password}@", ":...@") if password else url
        raise kind(f"{shown} is no address of a broker; mqtt://host/topic was needed, or "
                   f"mqtts://user@host:8883/topic. The password goes into {PASSWORD}")
    if password and not user:
        raise kind(f"the address of {host} has a password and no user; both were needed: "
                   "mqtt://user@host/topic")
    return Address(host, int(port or PORTS[scheme]), unquote(topic).strip("/"), unquote(user),
                   unquote(password) or environment.get(PASSWORD, ""), scheme == "mqtts")


class Connection:
    """A broker, connected to again whenever it was away.

    Each coming and going is told on stderr, once.

    Parameters
    ----------
    address : Address
    kind : type of EdgernnError
        What is raised.
    purpose : str
        What suffers while the broker is away, for the message of it.
    connected : callable
        Called with this after each connection, in the client's thread.
    message : callable, optional
        Called with topic, payload and whether the broker had kept it, in the client's thread.
    will : tuple of str, optional
        Topic and payload that the broker keeps when we are gone.

    Raises
    ------
    EdgernnError
        If paho-mqtt is not installed, or the address cannot work.
    """

    def __init__(self, address: Address, kind: type[EdgernnError], purpose: str,
                 connected: Callable[["Connection"], None],
                 message: Callable[[str, bytes, bool], None] | None = None,
                 will: tuple[str, str] | None = None) -> None:
        self.address, self._kind, self._purpose = address, kind, purpose
        self._connected = connected
        self._paho = _paho(kind)
        self.reconnects = 0
        """Connections after the first."""
        self.away_since_s: float | None = time.monotonic()
        """When the broker went away, by the steady clock; None while it is there."""
        self.problem: Exception | None = None
        """A defect in what is called in the client's thread, which would die of it in silence."""
        self._refused = ""
        self._told = self._ever = self._closed = False
        self._there, self._answered = threading.Event(), threading.Event()
        self._client = self._make(message, will)

    def _make(self, message: Callable[[str, bytes, bool], None] | None,
              will: tuple[str, str] | None) -> Any:
        paho, address = self._paho, self.address
        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.connect_timeout = CONNECT_S
        client.reconnect_delay_set(1, LONGEST_WAIT_S)
        if address.user:
            client.username_pw_set(address.user, address.password or None)
        if address.tls:
            # The system's authorities; OpenSSL takes others from SSL_CERT_FILE.
            client.tls_set()
        try:
            if will:
                client.will_set(*will, qos=1, retain=True)
            client.connect_async(address.host, address.port, KEEPALIVE_S)
        except ValueError as problem:
            raise self._kind(f"{address.shown} cannot be used ({problem})") from problem
        client.on_connect = self._guarded(self._on_connect)
        client.on_connect_fail = self._guarded(self._on_connect_fail)
        client.on_disconnect = self._guarded(self._on_disconnect)
        client.on_subscribe = self._guarded(self._on_subscribe)
        if message:
            client.on_message = self._guarded(
                lambda client, data, found: message(found.topic, found.payload, found.retain))
        return client

    def start(self) -> None:
        """Connect; wait `CONNECT_S` for it, and go on trying for ever after.

        Raises
        ------
        EdgernnError
            If the broker is there and refuses us.
        """
        self._client.loop_start()
        self._answered.wait(CONNECT_S)
        if self._refused:
            self.close()
            raise self._kind(f"{self.address.shown} refused us ({self._refused}). Check the user "
                             f"in the address and the password in {PASSWORD}")
        if not self.there:
            self._tell_away("no answer yet")

    @property
    def there(self) -> bool:
        """Whether the broker is connected."""
        return self._there.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for the broker; whether it is there."""
        return self._there.wait(seconds)

    def subscribe(self, topic: str) -> None:
        """Ask for what others send, at least once each."""
        self._client.subscribe(topic, qos=1)

    def publish(self, topic: str, payload: str, *, qos: int = 1, retain: bool = False) -> Any:
        """Send; gives what `wait_for_publish` can be asked of."""
        return self._client.publish(topic, payload, qos=qos, retain=retain)

    def close(self) -> None:
        """Take leave, within `CLOSE_S`; harmless when done twice."""
        if self._closed:
            return
        self._closed = True
        self._client.disconnect()
        # It joins the client's thread, which may be waiting for a host that does not answer.
        stop = threading.Thread(target=self._client.loop_stop, daemon=True)
        stop.start()
        stop.join(CLOSE_S)

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        if reason.is_failure:
            self._refused = str(reason)
            if self._answered.is_set():  # the first time `start` raises it
                self._tell_away(self._refused)
            self._answered.set()
            return
        away_s = time.monotonic() - (self.away_since_s or 0.0)
        if self._told:
            print(f"edgernn: {self.address.shown} is {'back' if self._ever else 'there'} after "
                  f"{away_s:.1f} s", file=sys.stderr)
        self.reconnects += self._ever
        self._ever, self._told, self._refused, self.away_since_s = True, False, "", None
        # What was not confirmed is sent anew by who waits for it, if it still does: the client
        # would send it however old it is.
        client.drop_out_messages()
        # Before anybody else may send: "offline" must not overtake "online".
        self._connected(self)
        self._there.set()
        self._answered.set()

    def _on_connect_fail(self, client: Any, data: Any) -> None:
        # Called while the client handles what kept it from connecting.
        problem = sys.exc_info()[1]
        self._tell_away(str(problem) or "no answer")
        self._answered.set()

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        if self.there:
            self.away_since_s = time.monotonic()
            self._there.clear()
            # The client calls whatever was no farewell unspecified.
            self._tell_away("the connection broke" if reason == "Unspecified error"
                            else str(reason))

    def _on_subscribe(self, client: Any, data: Any, number: int, reasons: Any, more: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            print(f"edgernn: {self.address.shown} refuses the topic ({reasons[0]}); nothing will "
                  "come of it. Permit it in the broker's access list", file=sys.stderr)

    def _tell_away(self, reason: str) -> None:
        if not self._told and not self._closed:
            self._told = True
            print(f"edgernn: {self.address.shown} is away ({reason}); trying again. "
                  f"{self._purpose}", file=sys.stderr)

    def _guarded(self, called: Callable[..., None]) -> Callable[..., None]:
        def call(*given: Any) -> None:
            try:
                called(*given)
            except Exception as problem:
                self.problem = problem

        return call


def _paho(kind: type[EdgernnError]) -> ModuleType:
    try:
        import paho.mqtt.client as paho
    except ImportError as problem:
        raise kind('MQTT needs paho-mqtt: pip install "edgernn[mqtt]"') from problem
    module: ModuleType = paho
    if not hasattr(module.Client, "drop_out_messages"):
        raise kind('paho-mqtt is older than version 2.2, which is needed: '
                   'pip install --upgrade "edgernn[mqtt]"')
    return module
