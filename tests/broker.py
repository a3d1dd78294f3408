"""A mosquitto of a test's own, and a client that is not ours to look at it."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

NEEDS = "sudo apt install mosquitto"


class Broker:
    """Listens on a free port, keeps its files in a folder, knows no other broker.

    Parameters
    ----------
    folder : Path
    user, password : str
        Who may come; nobody said: anyone.
    tls : tuple of Path
        Certificate and key.
    """

    def __init__(self, folder, user="", password="", tls=()):
        # Debian keeps it out of a user's PATH.
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if not program:
            pytest.skip(f"the MQTT tests need mosquitto: {NEEDS}")
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        lines = [f"listener {self.port} 127.0.0.1", "persistence false",
                 f"allow_anonymous {'false' if user else 'true'}"]
        if user:
            passwords = folder / "passwords"
            subprocess.run(["mosquitto_passwd", "-c", "-b", passwords, user, password], check=True)
            # mosquitto started as root reads it as another user.
            passwords.chmod(0o644)
            lines += [f"password_file {passwords}"]
        if tls:
            lines += [f"certfile {tls[0]}", f"keyfile {tls[1]}"]
        if os.getuid() == 0:
            lines += ["user root"]
        (folder / "conf").write_text("\n".join(lines) + "\n")
        self._log = folder / "log"
        self._command = [program, "-c", str(folder / "conf")]
        self._process = None
        self.start()

    def start(self):
        """Start, or start again: it remembers nothing."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        for _ in range(200):
            with contextlib.suppress(OSError), \
                    socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self._process.poll() is None, self._log.read_text()[-800:]
            time.sleep(0.05)
        raise AssertionError(f"mosquitto did not start: {self._log.read_text()[-800:]}")

    def kill(self):
        """End it as a power cut does."""
        self._process.kill()
        self._process.wait()

    def stop(self):
        """Let it hang: its connections stay open."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self):
        """Wake it up."""
        self._process.send_signal(signal.SIGCONT)

    def url(self, topic="", login=""):
        """Its address."""
        return f"mqtt://{login}127.0.0.1:{self.port}/{topic}"


class Watcher:
    """A client that writes down what passes, and says what it is told."""

    def __init__(self, broker, topic="#", user=None, password=None):
        paho = pytest.importorskip("paho.mqtt.client", reason='pip install "edgernn[mqtt]"')
        self.heard = []
        self._subscribed = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(1, 1)
        if user:
            self._client.username_pw_set(user, password)
        self._client.on_connect = lambda *given: self._client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *given: self._subscribed.set()
        self._client.on_disconnect = lambda *given: self._subscribed.clear()
        self._client.on_message = lambda client, data, found: self.heard.append(
            (found.topic, found.payload.decode(), found.retain))
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        self.wait()

    def wait(self):
        """Wait until it is subscribed, again after the broker was away."""
        assert self._subscribed.wait(20)

    def say(self, topic, payload, retain=False):
        """Publish, and wait until the broker has it."""
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(20)

    def of(self, topic):
        """Payloads heard so far under a topic."""
        return [payload for found, payload, _ in list(self.heard) if found == topic]

    def until(self, wanted, seconds=20):
        """Wait until something was heard."""
        until(lambda: wanted(self), seconds)

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


def until(holds, seconds=20):
    """Wait for what another thread or process does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
