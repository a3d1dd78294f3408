"""The wake word server, asked by the real package's client."""

import asyncio
import contextlib
import dataclasses
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgernn import bundle
from edgernn.cli.models import BUNDLED
from edgernn.errors import ConfigError, OutputError, SourceError
from edgernn.serve import wyoming as server_side
from edgernn.serve.wake_words import WakeWords
from edgernn.serve.wyoming import MOST_ERRORS, Server
from edgernn.spec import DriftSpec
from edgernn.step import StepModel

pytest.importorskip("wyoming")
soundfile = pytest.importorskip("soundfile")

from wyoming.audio import AudioChunk, AudioStart, AudioStop  # noqa: E402
from wyoming.client import AsyncClient, AsyncTcpClient  # noqa: E402
from wyoming.error import Error  # noqa: E402
from wyoming.event import Event  # noqa: E402
from wyoming.info import Describe, Info  # noqa: E402
from wyoming.ping import Ping, Pong  # noqa: E402
from wyoming.wake import Detect, Detection, NotDetected  # noqa: E402

DEMO = BUNDLED.with_name("demo.wav")
RATE = 16000
SOUND, _ = soundfile.read(DEMO, dtype="int16")
TIMEOUT_S = 20


@pytest.fixture(scope="module")
def streamed():
    """What `edgernn stream` detects in the same recording."""
    done = subprocess.run([sys.executable, "-m", "edgernn", "stream", "--input", DEMO],
                          capture_output=True, text=True, timeout=60, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["label"] for each in found] == ["computer", "alexa"]
    return found


def ms(streamed):
    return [(each["label"], round(1000 * each["time_s"])) for each in streamed]


def wake_words(**paths):
    models = {name: StepModel.open(path) for name, path in (paths or {"kws": BUNDLED}).items()}
    return WakeWords(models, {name: model.spec.detector for name, model in models.items()},
                     dict.fromkeys(models, DriftSpec()))


@pytest.fixture(scope="module")
def words():
    return wake_words()


@contextlib.asynccontextmanager
async def serving(words):
    """A server; gives it, with the `port` it has and a list of what it `told`."""
    told = []
    server = Server(words, "tcp://127.0.0.1:0", told.append)
    server.port, server.told = int((await server.start()).rpartition(":")[2]), told
    running = asyncio.create_task(server.until_ended())
    try:
        yield server
    finally:
        server.end()
        await asyncio.wait_for(running, TIMEOUT_S)


def client(server):
    return AsyncTcpClient("127.0.0.1", server.port)


async def send(to, samples, rate=RATE, width=2, channels=1, block=1024, begin_ms=0, pause=None,
               stamped=True):
    """Audio from start to stop."""
    await to.write_event(AudioStart(rate, width, channels, begin_ms).event())
    data, step = np.ascontiguousarray(samples).tobytes(), block * width * channels
    for at in range(0, len(data), step):
        when = begin_ms + round(1000 * at / (width * channels * rate))
        await to.write_event(AudioChunk(rate, width, channels, data[at:at + step],
                                        when if stamped else None).event())
        if pause is not None:
            await asyncio.sleep(pause)
    await to.write_event(AudioStop().event())


async def answers(of):
    """What comes until the server has heard all; as (name, timestamp), or the event."""
    await of.write_event(Ping(text="all heard").event())
    found = []
    while not Pong.is_type((event := await of.read_event()).type):
        detected = Detection.is_type(event.type) and Detection.from_event(event)
        found.append((detected.name, detected.timestamp) if detected else event)
    assert Pong.from_event(event).text == "all heard"
    return found


async def heard(server, samples, names=None, **how):
    async with client(server) as asking:
        await asking.write_event(Detect(names=names).event())
        await send(asking, samples, **how)
        return await answers(asking)


def run(test):
    asyncio.run(asyncio.wait_for(test, 3 * TIMEOUT_S))


def is_not_detected(found):
    return len(found) == 1 and NotDetected.is_type(found[0].type)


def test_describe_tells_every_wake_word_of_every_model(tmp_path):
    model = bundle.read(BUNDLED)
    other = dataclasses.replace(
        model.spec, labels=("_other_", "okay_nabu", "alexa"),
        detector=dataclasses.replace(model.spec.detector,
                                     thresholds={"okay_nabu": 0.5, "alexa": 0.5}),
        provenance={"author": "A. N. Other", "website": "their site", "languages": "en, nl"})
    path = tmp_path / "other.tflite"
    bundle.write(path, bundle.attach(model.flatbuffer, other))

    async def test():
        async with serving(wake_words(kws=BUNDLED, other=path)) as server, \
                client(server) as asking:
            await asking.write_event(Describe().event())
            (program,) = Info.from_event(await asking.read_event()).wake
        assert program.installed
        assert [(word.name, word.phrase) for word in program.models] == [
            ("computer", "computer"), ("kws/alexa", "alexa"), ("okay_nabu", "okay nabu"),
            ("other/alexa", "alexa")]
        word = program.models[2]
        assert (word.attribution.name, word.attribution.url) == ("A. N. Other", "their site")
        assert word.languages == ["en", "nl"]
        assert word.version == model.spec.model_sha256[:12]

    run(test())


@pytest.mark.parametrize("block", [160, 1024, len(SOUND)])
def test_detections_are_those_of_edgernn_stream_however_the_audio_is_cut(block, words, streamed):
    async def test():
        async with serving(words) as server:
            assert await heard(server, SOUND, block=block) == ms(streamed)
            assert [(each.label, round(each.score, 4), round(each.time_s, 3))
                    for each in server.told] == [
                (each["label"], each["score"], each["time_s"]) for each in streamed]

    run(test())


def test_a_detection_comes_before_the_audio_after_it_is_sent(words, streamed):
    async def test():
        async with serving(words) as server, client(server) as asking:
            end = round(RATE * streamed[0]["time_s"])
            await asking.write_event(AudioStart(RATE, 2, 1).event())
            await asking.write_event(AudioChunk(RATE, 2, 1, SOUND[:end - 1].tobytes()).event())
            assert await answers(asking) == []
            await asking.write_event(AudioChunk(RATE, 2, 1, SOUND[end - 1:end].tobytes()).event())
            assert await answers(asking) == ms(streamed)[:1]

    run(test())


@pytest.mark.parametrize("stamped", [True, False])
def test_times_are_on_the_clock_of_the_client(stamped, words, streamed):
    async def test():
        async with serving(words) as server:
            found = await heard(server, SOUND, begin_ms=1_700_000_000_000, stamped=stamped)
        # A client's own milliseconds are whole.
        assert [(name, pytest.approx(when + 1_700_000_000_000, abs=1))
                for name, when in ms(streamed)] == found

    run(test())


def test_only_the_words_asked_for_are_detected(words, streamed):
    async def test():
        async with serving(words) as server:
            assert await heard(server, SOUND, ["alexa"]) == ms(streamed)[1:]
            assert await heard(server, SOUND, ["computer"]) == ms(streamed)[:1]
            assert await heard(server, SOUND, []) == ms(streamed)
            error, none = await heard(server, SOUND, ["jarvis"])
        assert "'jarvis'; there are computer, alexa" in Error.from_event(error).text
        assert NotDetected.is_type(none.type)
        assert {each.label for each in server.told[:1]} == {"alexa"}

    run(test())


def test_detect_again_on_audio_that_goes_on_changes_the_words(words, streamed):
    """As a satellite does after each detection."""
    async def test():
        async with serving(words) as server, client(server) as asking:
            middle = 3 * RATE
            await asking.write_event(Detect(names=["alexa"]).event())
            await asking.write_event(AudioStart(RATE, 2, 1).event())
            await asking.write_event(AudioChunk(RATE, 2, 1, SOUND[:middle].tobytes()).event())
            await asking.write_event(Detect().event())
            await asking.write_event(AudioChunk(RATE, 2, 1, SOUND[middle:].tobytes()).event())
            assert await answers(asking) == ms(streamed)[1:]
            await asking.write_event(Detect().event())
            await asking.write_event(AudioStop().event())
            assert is_not_detected(await answers(asking)), "since that detect"

    run(test())


def test_silence_is_not_detected_and_each_start_begins_anew(words, streamed):
    async def test():
        async with serving(words) as server, client(server) as asking:
            await send(asking, np.zeros(2 * RATE, np.int16))
            assert is_not_detected(await answers(asking))
            await send(asking, SOUND)
            assert await answers(asking) == ms(streamed)
            await send(asking, SOUND)
            assert await answers(asking) == ms(streamed)
            await asking.write_event(AudioStop().event())
            assert is_not_detected(await answers(asking)), "no audio at all"

    run(test())


def test_several_clients_at_once_are_each_heard_alone(words, streamed):
    late = np.concatenate([np.zeros(RATE, np.int16), SOUND])

    async def test():
        async with serving(words) as server:
            sounds = {"demo": SOUND, "silence": np.zeros(3 * RATE, np.int16), "late": late,
                      "half": SOUND[:3 * RATE], "backward": SOUND[::-1], "demo again": SOUND}
            found = dict(zip(sounds, await asyncio.gather(*(
                # Blocks of any length: unstamped, since stamps are whole milliseconds.
                heard(server, sound, block=320 + 7 * i, pause=0, stamped=False)
                for i, sound in enumerate(sounds.values()))), strict=True))
            alone = {name: await heard(server, sound) for name, sound in sounds.items()}
            apart = {each.input for each in server.told}
        assert found["demo"] == found["demo again"] == ms(streamed)
        assert found["half"] == ms(streamed)[:1]
        assert is_not_detected(found["silence"])
        # The second of silence before is a context of its own: a step more or less.
        assert [name for name, _ in found["late"]] == ["computer", "alexa"]
        assert [when for _, when in found["late"]] == pytest.approx(
            [when + 1000 for _, when in ms(streamed)], abs=60)
        assert {name: str(each) for name, each in found.items()} == {
            name: str(each) for name, each in alone.items()}
        assert len(apart) >= 8, "each says which client"

    run(test())


@pytest.mark.parametrize(("rate", "width", "channels"), [
    (48000, 2, 1), (44100, 4, 2), (22050, 3, 1), (16000, 4, 2), (16000, 3, 1)])
def test_audio_of_another_kind_is_converted(rate, width, channels, words, streamed):
    soxr = pytest.importorskip("soxr")
    real = soxr.resample(SOUND / 32768, RATE, rate) if rate != RATE else SOUND / 32768
    wide = np.rint(np.clip(real, -1, 1 - 2**-15) * 2**31).astype("<i4")
    samples = np.repeat(wide[:, None], channels, 1).view(np.uint8).reshape(-1, 4)[:, 4 - width:]

    async def test():
        async with serving(words) as server:
            found = await heard(server, samples, rate=rate, width=width, channels=channels)
        if rate == RATE:
            assert found == ms(streamed)
        else:
            assert [name for name, _ in found] == ["computer", "alexa"]
            # Twice resampled it is not the same sound: a step of 20 ms more or less.
            assert [when for _, when in found] == pytest.approx(
                [when for _, when in ms(streamed)], abs=21)

    run(test())


def test_the_format_may_change_in_mid_stream(words, streamed):
    soxr = pytest.importorskip("soxr")
    fast = np.rint(soxr.resample(SOUND[3 * RATE:] / 1.0, RATE, 48000)).astype("<i2")

    async def test():
        async with serving(words) as server, client(server) as asking:
            await asking.write_event(AudioChunk(RATE, 2, 1, SOUND[:3 * RATE].tobytes()).event())
            await asking.write_event(AudioChunk(48000, 2, 1, fast.tobytes()).event())
            await asking.write_event(AudioStop().event())
            (first, at), (second, then) = await answers(asking)
        assert (first, at) == ms(streamed)[0]
        assert second == "alexa"
        assert then == pytest.approx(ms(streamed)[1][1], abs=21)

    run(test())


def test_without_soxr_the_client_is_told_what_to_install(words, streamed, monkeypatch):
    monkeypatch.setitem(sys.modules, "soxr", None)

    async def test():
        async with serving(words) as server:
            error, none = await heard(server, SOUND[:999], rate=8000)
            assert 'pip install "edgernn[audio]"' in Error.from_event(error).text
            assert NotDetected.is_type(none.type)
            assert await heard(server, SOUND) == ms(streamed)

    run(test())


CHUNK = AudioChunk(RATE, 2, 1, bytes(64)).event()
BAD = {
    "half a sample": Event("audio-chunk", CHUNK.data, bytes(63)),
    "no rate": Event("audio-chunk", {"width": 2, "channels": 1}, bytes(64)),
    "a rate of words": Event("audio-chunk", {**CHUNK.data, "rate": "fast"}, bytes(64)),
    "a billion channels": Event("audio-chunk", {**CHUNK.data, "channels": 10**9}, bytes(64)),
    "a time of words": Event("audio-chunk", {**CHUNK.data, "timestamp": "noon"}, bytes(64)),
    "a time that is none": Event("audio-chunk", {**CHUNK.data, "timestamp": float("nan")}, b""),
    "a start of nothing": Event("audio-start", {}),
    "names that are no list": Event("detect", {"names": "alexa"}),
    "names that are no names": Event("detect", {"names": [1, {}]}),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_event_is_told_and_the_client_may_go_on(bad, words, streamed, capsys):
    async def test():
        async with serving(words) as server, client(server) as asking:
            await asking.write_event(bad)
            (error,) = await answers(asking)
            assert Error.from_event(error).text.startswith(f"{bad.type}: ")
            assert "needed" in Error.from_event(error).text
            await send(asking, SOUND)
            assert await answers(asking) == ms(streamed)
            assert Error.from_event(error).text in capsys.readouterr().err

    run(test())


def test_a_client_that_sends_only_bad_events_is_let_go(words):
    async def test():
        async with serving(words) as server, client(server) as asking:
            for _ in range(MOST_ERRORS):
                await asking.write_event(BAD["no rate"])
            found = [await asking.read_event() for _ in range(MOST_ERRORS + 1)]
            assert [each and each.type for each in found] == ["error"] * MOST_ERRORS + [None]

    run(test())


def test_events_of_other_services_are_ignored(words):
    async def test():
        async with serving(words) as server, client(server) as asking:
            for kind in ("transcribe", "select-program", "run-pipeline", "no such thing"):
                await asking.write_event(Event(kind, {"name": 1}, b"payload"))
            assert await answers(asking) == []

    run(test())


GARBAGE = {
    "noise": np.random.default_rng(0).bytes(5000) + b"\n",
    "a line without end": b"x" * 200_000,
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a list": b"[1, 2]\n",
    "a number": b"5\n",
    "no type": b"{}\n",
    "a type that is no name": b'{"type": 5}\n',
    "data that is a list": b'{"type": "ping", "data": [1]}\n',
    "nested without end": b"[" * 60_000 + b"\n",
    "a length of words": b'{"type": "ping", "data_length": "long"}\n',
    "a length below nothing": b'{"type": "ping", "payload_length": -1}\n',
    "more than anyone has": b'{"type": "audio-chunk", "payload_length": 99999999999999}\n',
    "bad data": b'{"type": "ping", "data_length": 3}\n{{{',
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_told_and_ends_that_connection_alone(garbage, words, streamed, capsys):
    async def test():
        async with serving(words) as server, client(server) as other:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            # The server lets go while the longest is still being written.
            with contextlib.suppress(ConnectionError):
                writer.write(garbage)
                await writer.drain()
                said = await asyncio.wait_for(reader.read(), TIMEOUT_S)
                assert b'"error"' in said
                assert b"is no Wyoming event" in said
            writer.close()
            await send(other, SOUND)
            assert await answers(other) == ms(streamed)
            assert "is no Wyoming event" in capsys.readouterr().err

    run(test())


@pytest.mark.parametrize("how", ["closed", "reset", "in an event"])
def test_a_client_that_vanishes_in_mid_stream_leaves_nothing_behind(how, words, streamed):
    async def test():
        async with serving(words) as server:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            chunk = json.dumps({"type": "audio-chunk", "data": CHUNK.data,
                                "payload_length": 2 * RATE}).encode() + b"\n"
            writer.write(chunk + SOUND[:RATE].tobytes())
            if how == "in an event":
                writer.write(chunk + b"and no more")
            await writer.drain()
            while not server.clients:
                await asyncio.sleep(0.01)
            if how == "reset":  # no goodbye, as of a machine that fell over
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.close()
            while server.clients:
                await asyncio.sleep(0.01)
            assert await heard(server, SOUND) == ms(streamed)

    run(test())


def test_a_client_that_never_reads_holds_up_no_other(words, streamed):
    async def test():
        async with serving(words) as server:
            _, deaf = await asyncio.open_connection("127.0.0.1", server.port)
            ask = b'{"type": "describe"}\n' * 20_000  # answers of 20 MB, more than any buffer
            deaf.write(ask)
            assert await heard(server, SOUND) == ms(streamed)
            deaf.transport.abort()

    run(test())


def test_too_many_clients_are_told_so(words, streamed, monkeypatch):
    monkeypatch.setattr(server_side, "MOST_CLIENTS", 2)

    async def test():
        async with serving(words) as server, client(server) as one:
            assert await answers(one) == []
            async with client(server) as two, client(server) as three:
                assert await answers(two) == []
                refused = await three.read_event()
                assert "2 clients are connected" in Error.from_event(refused).text
                assert await three.read_event() is None
                assert await answers(one) == []
            while server.clients > 1:
                await asyncio.sleep(0.01)
            assert await heard(server, SOUND) == ms(streamed)

    run(test())


def test_a_detection_that_cannot_be_told_ends_the_server(words):
    async def test():
        def fail(found):
            raise OutputError("no room")

        server = Server(words, "tcp://127.0.0.1:0", fail)
        server.port = int((await server.start()).rpartition(":")[2])
        ended = asyncio.create_task(server.until_ended())
        with contextlib.suppress(Exception):  # its connection may end first
            await heard(server, SOUND)
        with pytest.raises(OutputError, match="no room"):
            await asyncio.wait_for(ended, TIMEOUT_S)

    run(test())


def test_a_unix_socket_serves_too_and_takes_the_place_of_no_file(words, streamed, tmp_path):
    async def test():
        path = tmp_path / "socket"
        server = Server(words, f"unix://{path}", print)
        assert await server.start() == f"unix://{path}"
        running = asyncio.create_task(server.until_ended())
        async with AsyncClient.from_uri(f"unix://{path}") as asking:
            await send(asking, SOUND)
            assert await answers(asking) == ms(streamed)
        server.end()
        await running
        path.write_text("precious")
        with pytest.raises(SourceError, match="no socket"):
            await Server(words, f"unix://{path}", print).start()
        assert path.read_text() == "precious"

    run(test())


def test_without_the_package_it_says_what_to_install(words, monkeypatch):
    monkeypatch.setitem(sys.modules, "wyoming", None)
    with pytest.raises(ConfigError, match=r"edgernn\[wyoming\]"):
        Server(words, "tcp://127.0.0.1:0", print)


def serve(*arguments, **how):
    return subprocess.Popen([sys.executable, "-m", "edgernn", "serve", *map(str, arguments)],
                            stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **how)


def fails(*arguments):
    with serve(*arguments) as process:
        out, told = process.communicate(timeout=60)
    assert (out, process.returncode in (1, 2)) == ("", True)
    return told


def test_the_command_prints_what_stream_prints_and_ends_at_a_signal(streamed, tmp_path):
    log = tmp_path / "log"
    with serve("--wyoming", "tcp://localhost:0", "--log", log) as process:
        begin = process.stderr.readline()
        assert "listening for computer, alexa" in begin
        address = begin.split()[2].rstrip(",")

        async def test():
            async with AsyncClient.from_uri(address) as asking:
                await send(asking, SOUND)
                return asking._writer.get_extra_info("sockname"), await answers(asking)

        (host, port, *_), found = asyncio.run(test())
        assert found == ms(streamed)
        process.send_signal(signal.SIGTERM)
        out, told = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert {each.pop("input") for each in lines} == {f"{host}:{port}"}
    assert lines == streamed
    assert len(log.read_text().splitlines()) == 2
    assert '"detections": 2' in told


def test_an_address_that_others_reach_needs_a_word_that_wyoming_has_no_passwords():
    for uri in ("tcp://0.0.0.0:0", "tcp://[::]:0"):
        assert "neither passwords nor encryption" in fails("--wyoming", uri)
    with serve("--wyoming", "tcp://0.0.0.0:0", "--any-network") as process:
        assert "neither passwords nor encryption" in process.stderr.readline()
        assert "serving tcp://0.0.0.0:" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0


def test_wake_words_of_another_package_are_served_with_what_their_manifest_says():
    theirs = pytest.importorskip("pymicro_wakeword")
    path = Path(theirs.__file__).parent / "models" / "alexa.json"
    tree = json.loads(path.read_text())

    async def test(words):
        async with serving(words) as server, client(server) as asking:
            await asking.write_event(Describe().event())
            (word,) = Info.from_event(await asking.read_event()).wake[0].models
            assert (word.name, word.languages) == (tree["wake_word"], tree["trained_languages"])
            assert (word.attribution.name, word.attribution.url) == (tree["author"],
                                                                    tree["website"])
            await send(asking, np.zeros(RATE, np.int16))
            assert is_not_detected(await answers(asking))

    run(test(wake_words(alexa=path)))


def test_what_cannot_be_served_says_why(model_files, tmp_path):
    for uri in ("10400", "http://127.0.0.1:80", "tcp://127.0.0.1", "tcp://127.0.0.1:none"):
        assert "tcp://HOST:PORT or unix:///PATH was needed" in fails("--wyoming", uri)
    assert "audio was needed" in fails("--wyoming", "tcp://127.0.0.1:0",
                                       "--model", model_files["gru"])
    model, path = bundle.read(BUNDLED), tmp_path / "parts.tflite"
    bundle.write(path, bundle.attach(model.flatbuffer, model.spec, {"more": BUNDLED.read_bytes()}))
    assert "a model of one part" in fails("--wyoming", "tcp://127.0.0.1:0", "--model", path)
    assert "--web shows one stream" in fails("--wyoming", "tcp://127.0.0.1:0", "--web", 0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = fails("--wyoming", f"tcp://127.0.0.1:{taken.getsockname()[1]}")
    assert "in use" in told
