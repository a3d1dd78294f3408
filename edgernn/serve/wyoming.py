"""A wake word server that speaks Wyoming, the protocol of Home Assistant's voices.

A client sends `describe` and gets `info`; sends `detect`, `audio-start`, `audio-chunk`s and
`audio-stop`, and gets a `detection` for each wake word, or `not-detected` at the stop.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import edgernn
from edgernn.detect import Detection
from edgernn.errors import ConfigError, EdgernnError, SourceError
from edgernn.serve.convert import PcmFormat
from edgernn.serve.events import read_event
from edgernn.serve.hearing import Hearing
from edgernn.serve.wake_words import WakeWords

MOST_CLIENTS = 256
MOST_ERRORS = 20
"""Bad events after which a client is let go."""
KEEPALIVE_S = 60
"""Seconds of silence after which a client's machine is asked whether it still lives: one that
lost its power says no goodbye."""


class Server:
    """Listens for the clients of one address.

    Parameters
    ----------
    words : WakeWords
    uri : str
        ``tcp://HOST:PORT``, port 0 being any free one, or ``unix:///PATH``.
    on_detection : callable
        Told every detection, with the client in its `input`.  What it raises ends the server.

    Raises
    ------
    ConfigError
        If the wyoming package is not installed, or the address makes no sense.
    """

    def __init__(self, words: WakeWords, uri: str, on_detection: Callable[[Detection], None]
                 ) -> None:
        wyoming = _package()
        self.words, self.uri = words, uri
        self.clients = 0
        """Connected now."""
        self._on_detection = on_detection
        self._numbers = itertools.count(1)
        self._end = asyncio.Event()
        self._problem: Exception | None = None
        try:
            self._server: Any = wyoming.AsyncServer.from_uri(uri)
        except ValueError as problem:
            raise ConfigError(f"{uri!r} is no address to listen at; tcp://HOST:PORT or "
                              "unix:///PATH was needed") from problem
        self._handler = _handler(wyoming.AsyncEventHandler, self)

    async def start(self) -> str:
        """Begin to listen; give the address with the port that was free.

        Raises
        ------
        SourceError
            If the address cannot be had.
        """
        _check_path(self.uri)
        try:
            await self._server.start(self._handler)
        except OSError as problem:
            raise SourceError(f"{self.uri} cannot be listened at ({problem.strerror or problem}). "
                              "Choose another address, or end what listens there") from problem
        if not self.uri.startswith("tcp:"):
            return self.uri
        # The package keeps asyncio's server to itself, and that alone knows the port.
        host, port = self._server._server.sockets[0].getsockname()[:2]
        return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"

    async def until_ended(self) -> None:
        """Serve until `end`; then let all clients go.

        Raises
        ------
        Exception
            What a detection could not be told for.
        """
        await self._end.wait()
        await self._server.stop()
        if self._problem:
            raise self._problem

    def end(self) -> None:
        """Have `until_ended` return; harmless when done twice."""
        self._end.set()

    def detected(self, found: Detection) -> None:
        """Tell what a client's audio held."""
        try:
            self._on_detection(found)
        except Exception as problem:  # nobody reads our stdout any more: no client's fault
            self._problem = problem
            self.end()

    @contextlib.contextmanager
    def client(self, writer: asyncio.StreamWriter) -> Iterator[str]:
        """Count a client while it is there; give its name.

        Raises
        ------
        SourceError
            If there are too many.
        """
        peer = writer.get_extra_info("peername")
        name = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else f"client{next(self._numbers)}"
        _keep_alive(writer.get_extra_info("socket"))
        self.clients += 1
        try:
            yield name
        finally:
            self.clients -= 1


def _check_path(uri: str) -> None:
    """The package removes whatever has the path of a socket; it may only be a socket."""
    path = Path(uri.partition(":")[2].removeprefix("//"))
    if uri.startswith("unix:") and path.exists() and not path.is_socket():
        raise SourceError(f"{path} is there and is no socket; a free path was needed. Choose "
                          "another address")


def _package() -> Any:
    try:
        from wyoming import server
    except ImportError as problem:
        raise ConfigError("A Wyoming server needs the package wyoming: "
                          'pip install "edgernn[wyoming]"') from problem
    return server


def _handler(base: Any, server: Server) -> Any:
    """The class of what serves one connection: its base is in a package that may be missing."""

    class Handler(base):
        """Reads events until the client goes; whatever happens ends this connection alone."""

        async def handle_event(self, event: Any) -> bool:
            return await self.talk.take(event)

        async def run(self) -> None:
            with server.client(self.writer) as name:
                self.talk = Talk(server.words, name, self.write_event, server.detected)
                try:
                    await self._run()
                except (OSError, asyncio.IncompleteReadError):
                    _say(f"{name} is gone in the middle of an event")
                except Exception:  # a defect of ours; the other clients have no part in it
                    traceback.print_exc()
                    _say(f"{name} is let go: this is a defect of edgernn")
                finally:
                    self.writer.close()

        async def _run(self) -> None:
            if server.clients > MOST_CLIENTS:
                await self.talk.complain(f"{MOST_CLIENTS} clients are connected already, and no "
                                         "more are taken. Come back later")
                return
            try:
                while (event := await read_event(self.reader)) is not None:
                    if not await self.handle_event(event):
                        return
            except SourceError as problem:
                await self.talk.complain(str(problem))

    return Handler


class Talk:
    """What is said with one client: events in, events out.

    Parameters
    ----------
    words : WakeWords
    name : str
        Of the client, for messages and detections.
    send : coroutine function
        Takes an event for the client.
    on_detection : callable
        Told every detection.
    """

    def __init__(self, words: WakeWords, name: str, send: Callable[[Any], Awaitable[None]],
                 on_detection: Callable[[Detection], None]) -> None:
        self.name = name
        self._words, self._send, self._on_detection = words, send, on_detection
        self._wanted: list[str] | None = None
        self._hearing: Hearing | None = None
        self._detected = False
        self._errors = 0
        # Whatever else there is belongs to other services, or to a later version.
        self._takes = {"describe": self._describe, "ping": self._ping, "detect": self._detect,
                       "audio-start": self._start, "audio-chunk": self._chunk,
                       "audio-stop": self._stop}

    async def take(self, event: Any) -> bool:
        """Answer an event; whether the client may go on."""
        take = self._takes.get(event.type)
        if take is None:
            return True
        try:
            await take(event)
        except EdgernnError as problem:
            await self.complain(f"{event.type}: {problem}")
        return self._errors < MOST_ERRORS

    async def complain(self, problem: str) -> None:
        """Tell the client, and stderr, what is wrong."""
        from wyoming.error import Error

        self._errors += 1
        _say(f"{self.name}: {problem}")
        await self._send(Error(text=problem).event())

    async def _describe(self, event: Any) -> None:
        await self._send(info(self._words))

    async def _ping(self, event: Any) -> None:
        from wyoming.ping import Ping, Pong

        await self._send(Pong(text=Ping.from_event(event).text).event())

    async def _detect(self, event: Any) -> None:
        names = event.data.get("names")
        if names is not None and not (isinstance(names, list)
                                      and all(isinstance(name, str) for name in names)):
            raise SourceError(f"names is {names!r:.60}; a list of names was needed, or none")
        self._wanted, self._detected = names or None, False
        if self._hearing:  # again, on audio that goes on
            self._words.choose(self._hearing.ensemble, self._wanted)
        unknown = [name for name in names or () if name not in self._words.words]
        if unknown:
            raise SourceError(f"there is no wake word {unknown[0]!r:.60}; there are "
                              f"{', '.join(self._words.words)}. Ask for one of those")

    async def _start(self, event: Any) -> None:
        self._begin(_time_ms(event))
        _form(event)  # said wrong, it is complained of here already; each chunk says it again

    def _begin(self, time_ms: int | None) -> Hearing:
        self._detected = False
        self._hearing = Hearing(self._words.ensemble(self._wanted), self._words.rate_hz,
                                time_ms or 0)
        return self._hearing

    async def _chunk(self, event: Any) -> None:
        hearing, time_ms = self._hearing, _time_ms(event)
        if hearing is None:  # some clients send no audio-start
            hearing = self._begin(time_ms)
        await self._tell(hearing, hearing.push(event.payload or b"", _form(event), time_ms))

    async def _stop(self, event: Any) -> None:
        from wyoming.wake import NotDetected

        hearing, self._hearing = self._hearing, None
        if hearing is not None:
            await self._tell(hearing, hearing.flush())
        if not self._detected:
            await self._send(NotDetected().event())
        self._detected = False

    async def _tell(self, hearing: Hearing, heard: Iterator[Detection | None]) -> None:
        from wyoming.wake import Detection as Detected

        for found in heard:
            if found is None:
                await asyncio.sleep(0)  # the other clients' turn
                continue
            self._detected = True
            self._on_detection(dataclasses.replace(found, input=self.name))
            await self._send(Detected(name=self._words.name(found),
                                      timestamp=hearing.client_ms(found)).event())


def info(words: WakeWords) -> Any:
    """The event that says what wake words there are."""
    from wyoming.info import Attribution, Info, WakeModel, WakeProgram

    def model(name: str) -> Any:
        word = words.words[name]
        spec = words.models[word.model].spec
        told = spec.provenance
        languages = [each.strip() for each in told.get("languages", "").split(",")]
        return WakeModel(
            name=name, phrase=word.phrase, installed=True,
            description=f"{word.phrase} ({word.model})", version=spec.model_sha256[:12],
            languages=[each for each in languages if each],
            attribution=Attribution(name=told.get("author", word.model),
                                    url=told.get("website", "")))

    return Info(wake=[WakeProgram(
        name="edgernn", description="Streaming int8 recurrent wake words", installed=True,
        version=edgernn.__version__, attribution=Attribution(name="edgernn", url=""),
        models=[model(name) for name in words.words])]).event()


def _form(event: Any) -> PcmFormat:
    return PcmFormat(*(event.data.get(name) for name in ("rate", "width", "channels")))


def _time_ms(event: Any) -> int | None:
    found = event.data.get("timestamp")
    if found is None or (isinstance(found, (int, float)) and abs(found) < 2**53):
        return None if found is None else round(found)
    raise SourceError(f"timestamp is {found!r:.40}; milliseconds were needed, or none")


def _keep_alive(connection: Any) -> None:
    """Notice within minutes that a client's machine is no more."""
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", KEEPALIVE_S), ("TCP_KEEPINTVL", KEEPALIVE_S // 4),
                        ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _say(what: str) -> None:
    print(f"edgernn: {what}", file=sys.stderr, flush=True)
