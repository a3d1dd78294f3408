"""The HTTP side of the page: its three files, and a WebSocket that carries what is live."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from importlib import resources
from pathlib import Path
from typing import Any

from edgernn.errors import ConfigError, EdgernnError
from edgernn.web.access import Access

ASSETS = Path(str(resources.files("edgernn") / "web" / "assets"))
FILES = {"/": ("page.html", "text/html"), "/page.css": ("page.css", "text/css"),
         "/page.js": ("page.js", "text/javascript")}
HEADERS = {
    # Nothing but our own files runs, whatever a label holds; and nobody frames the page.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
                               "connect-src 'self'; img-src data:; base-uri 'none'; "
                               "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
WAITING = 40
"""Messages that may wait for a slow browser, two seconds of them."""
MOST_VIEWERS = 16
LONGEST = 4096
"""Bytes of a message from a browser."""
WRONG_S = 1.0
"""Seconds that the answer to a wrong token takes."""


class PageServer:
    """Serves the page; runs in an event loop, in whichever thread.

    Parameters
    ----------
    access : Access
    greet : callable
        Gives what a browser is told first.
    take : coroutine function
        Takes what a browser asks for, a dict, and gives the answer, a dict or None.  An
        `EdgernnError` of it is told to the browser.

    Raises
    ------
    ConfigError
        If aiohttp is not installed.
    """

    def __init__(self, access: Access, greet: Callable[[], dict[str, Any]],
                 take: Callable[[Any], Awaitable[dict[str, Any] | None]]) -> None:
        self._web = _package()
        self.access = access
        self._greet, self._take = greet, take
        self._viewers: dict[Any, asyncio.Queue[str]] = {}
        self._files = {path: ((ASSETS / name).read_text(encoding="utf-8"), kind)
                       for path, (name, kind) in FILES.items()}
        self._runner: Any = None

    async def start(self) -> str:
        """Begin to listen; give the page's address.

        Raises
        ------
        OSError
            If the address cannot be had.
        """
        web = self._web

        @web.middleware
        async def guard(request: Any, handler: Any) -> Any:
            return await self._guard(request, handler)

        app = web.Application(middlewares=[guard])
        for path in self._files:
            app.router.add_get(path, self._file)
        app.router.add_get("/stream", self._socket)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.access.host, self.access.port).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    async def stop(self) -> None:
        """Let all browsers go."""
        for viewer in list(self._viewers):
            with contextlib.suppress(Exception):  # it may be gone
                await asyncio.wait_for(viewer.close(message=b"the stream has ended"), 0.5)
        if self._runner:
            await self._runner.cleanup()

    @property
    def viewers(self) -> int:
        """How many browsers look on."""
        return len(self._viewers)

    def tell(self, tree: dict[str, Any]) -> int:
        """Send all browsers a message; give how many were too slow to get it."""
        message = json.dumps(tree, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        late = 0
        for waiting in self._viewers.values():
            try:
                waiting.put_nowait(message)
            except asyncio.QueueFull:
                late += 1
        return late

    async def _guard(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Whom the page is for; see `Access`."""
        web, access = self._web, self.access
        misled = access.misled(request.headers.get("Host"), request.headers.get("Origin"))
        if misled:
            return web.Response(status=403, text=f"{misled}\n", headers=HEADERS)
        if not access.admits(request.cookies.get(access.cookie)):
            return await self._ask(request)
        return await handler(request)

    async def _ask(self, request: Any) -> Any:
        """Take the token of an address once, for a cookie: it then stands in no history."""
        web, access = self._web, self.access
        given = request.query.get("token")
        if given is not None and access.knows(given):
            answer = web.Response(status=303, headers={**HEADERS, "Location": request.path})
            answer.set_cookie(access.cookie, access.pass_word, httponly=True, samesite="Strict")
            return answer
        await asyncio.sleep(WRONG_S if given is not None else 0)
        return web.Response(status=401, headers=HEADERS,
                            text="This page needs its token: open it with ?token=TOKEN, where "
                                 "TOKEN is what --web-token was given.\n")

    async def _file(self, request: Any) -> Any:
        text, kind = self._files[request.path]
        return self._web.Response(text=text, content_type=kind, headers=HEADERS)

    async def _socket(self, request: Any) -> Any:
        if self.viewers >= MOST_VIEWERS:
            return self._web.Response(status=503, text=f"{MOST_VIEWERS} browsers look on already\n")
        socket = self._web.WebSocketResponse(heartbeat=20, max_msg_size=LONGEST)
        await socket.prepare(request)
        waiting: asyncio.Queue[str] = asyncio.Queue(WAITING)
        waiting.put_nowait(json.dumps(self._greet()))
        self._viewers[socket] = waiting
        writing = asyncio.create_task(_write(socket, waiting))
        try:
            async for message in socket:
                await self._answer(socket, message)
        finally:
            del self._viewers[socket]
            writing.cancel()
        return socket

    async def _answer(self, socket: Any, message: Any) -> None:
        try:
            answer = await self._take(json.loads(message.data))
        except (EdgernnError, OSError) as problem:
            answer = {"problem": str(problem)}
        except (ValueError, TypeError, RecursionError):
            answer = {"problem": "that was no message of this page"}
        if answer is not None and not socket.closed:
            with contextlib.suppress(ConnectionError):
                await socket.send_str(json.dumps(answer))


async def _write(socket: Any, waiting: "asyncio.Queue[str]") -> None:
    """Send what waits, in order, as fast as the browser takes it."""
    with contextlib.suppress(ConnectionError):
        while True:
            await socket.send_str(await waiting.get())


def _package() -> Any:
    try:
        from aiohttp import web
    except ImportError as problem:
        raise ConfigError('The page of --web needs aiohttp: pip install "edgernn[web]"'
                          ) from problem
    return web
