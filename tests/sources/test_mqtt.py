"""Sensor rows through a real broker."""

import shutil
import subprocess
import sys
import time

import pytest

from edgernn import mqtt
from edgernn.errors import SourceError
from edgernn.sources.mqtt import MqttRows
from edgernn.sources.row_text import RowText
from edgernn.sources.rows import RowFrames
from tests.broker import Broker, Watcher, until
from tests.sources.reading import Reading

pytest.importorskip("paho.mqtt.client", reason='pip install "edgernn[mqtt]"')


def listen(url, rate_hz=50.0, environment=None):
    frames = RowFrames(RowText(3, ("x", "y", "z")), rate_hz, "mqtt")
    return Reading(MqttRows(frames, mqtt.parse(url, SourceError, environment or {})))


class Talk:
    """What was said on stderr so far."""

    def __init__(self, capsys):
        self._capsys, self._text = capsys, ""

    def __contains__(self, words):
        self._text += self._capsys.readouterr().err
        return words in self._text


def test_rows_come_in_whatever_form_and_what_the_broker_kept_is_left_out(broker, watcher):
    watcher.say("sensors/imu", "9,9,9", retain=True)
    reading = listen(broker.url("sensors/imu"))
    until(lambda: reading.source.retained)
    for payload in ("1,2,3", '{"z":6,"y":5,"x":4}', "[[7,8,9],[10,11,12]]", "13,14,15\n16 17 18\n",
                    "no row"):
        watcher.say("sensors/imu", payload)
    watcher.say("sensors/other", "0,0,0")
    until(lambda: reading.source.dropped)
    reading.close()
    assert reading.rows == [[i, i + 1, i + 2] for i in range(1, 17, 3)]
    assert reading.source.counts["rows_bad"] == reading.source.counts["retained"] == 1


def test_a_broker_killed_and_started_again_is_told_once_each_and_rows_go_on(
        broker, watcher, capsys):
    watcher.say("imu", "0,0,0", retain=True)
    reading = listen(broker.url("+"))
    until(lambda: reading.source.retained)
    watcher.say("imu", "1,1,1")
    reading.until(1)
    broker.kill()
    time.sleep(0.3)
    broker.start()
    until(lambda: reading.source.reconnects)
    watcher.wait()
    # The subscription is asked for after the connection is made.
    for _ in range(100):
        watcher.say("imu", "2,2,2")
        if len(reading.frames) > 1:
            break
        time.sleep(0.05)
    reading.until(2)
    reading.close()
    assert reading.rows[:2] == [[1, 1, 1], [2, 2, 2]]
    assert reading.frames[1].gap >= 15, "0.3 s at 50 rows a second, by the clock"
    error = capsys.readouterr().err
    assert error.count("is away") == error.count("is back after") == 1


@pytest.mark.slow
def test_a_broker_that_is_not_there_yet_is_waited_for(broker, capsys):
    broker.kill()
    talk = Talk(capsys)
    reading = listen(broker.url("imu"))
    until(lambda: "is away" in talk)
    broker.start()
    until(lambda: "is there after" in talk)
    watcher = Watcher(broker)
    for _ in range(100):
        watcher.say("imu", "1,1,1")
        if reading.frames:
            break
        time.sleep(0.05)
    reading.until(1)
    reading.close()
    watcher.close()


def test_a_password_lets_us_in_and_a_wrong_one_is_an_error(tmp_path):
    broker = Broker(tmp_path, "anna", "geh:eim@")
    try:
        watcher = Watcher(broker, user="anna", password="geh:eim@")
        watcher.say("imu", "1,2,3", retain=True)
        for url, environment in (
                (broker.url("imu", "anna@"), {mqtt.PASSWORD: "geh:eim@"}),
                (broker.url("imu", "anna:geh%3Aeim%40@"), {})):
            reading = listen(url, environment=environment)
            until(lambda reading=reading: reading.source.retained)
            reading.close()
        for url in (broker.url("imu"), broker.url("imu", "anna:falsch@")):
            reading = listen(url)
            until(lambda reading=reading: reading.problem)
            assert isinstance(reading.problem, SourceError)
            assert "refused us" in str(reading.problem)
            assert "falsch" not in str(reading.problem)
            reading.close()
        watcher.close()
    finally:
        broker.kill()


def test_tls_is_spoken_and_a_stranger_is_not_trusted(tmp_path, monkeypatch, capsys):
    if not shutil.which("openssl"):
        pytest.skip("a certificate is made by openssl: sudo apt install openssl")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
                    "-keyout", key, "-out", certificate, "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    broker = Broker(tmp_path, tls=(certificate, key))
    url = broker.url("imu").replace("mqtt://", "mqtts://")
    try:
        reading = listen(url)
        talk = Talk(capsys)
        until(lambda: "certificate verify failed" in talk)
        reading.close()
        # Where OpenSSL looks for further authorities.
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        reading = listen(url)
        until(lambda: reading.source._connection.there)
        reading.close()
        assert reading.problem is None
    finally:
        broker.kill()


@pytest.mark.parametrize(("url", "shown"), [
    ("mqtt://broker/a/b", "mqtt://broker:1883/a/b"),
    ("mqtts://anna:secret@broker/a", "mqtts://anna@broker:8883/a"),
    ("mqtt://anna@10.0.0.1:99/+/imu/#", "mqtt://anna@10.0.0.1:99/+/imu/#"),
    ("mqtt://[::1]:99/a%20b", "mqtt://[::1]:99/a b"),
    ("mqtt://broker", "mqtt://broker:1883/")])
def test_an_address_is_read_and_shown_without_its_password(url, shown):
    assert mqtt.parse(url, SourceError).shown == shown


@pytest.mark.parametrize("url", ["mqtt://", "http://broker/a", "mqtt://a:secret@broker:x/a",
                                 "mqtt://broker:99999/a", "mqtt://:secret@broker/a"])
def test_what_is_no_address_is_refused_without_showing_a_password(url):
    with pytest.raises(SourceError, match="needed") as found:
        mqtt.parse(url, SourceError)
    assert "secret" not in str(found.value)


def test_a_topic_is_needed():
    with pytest.raises(SourceError, match="no topic"):
        MqttRows(RowFrames(RowText(3), 50.0, "mqtt"), mqtt.parse("mqtt://broker", SourceError))


def test_a_missing_package_says_which(monkeypatch):
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(SourceError, match=r"edgernn\[mqtt\]"):
        listen("mqtt://broker/imu")
