"""A page that shows a stream as it goes: rows, scores, detections, counters, thresholds."""

import asyncio
import itertools
import queue
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgernn import thresholds
from edgernn.detect import Detection, smoothed_steps
from edgernn.errors import ConfigError, OutputError
from edgernn.sinks.jsonl import detection_tree
from edgernn.spec import LogMelSpec
from edgernn.stream import Listener
from edgernn.web.access import Access
from edgernn.web.server import PageServer

WAITING = 2000
"""Rows, scores and detections that may wait for the page: twenty seconds at 20 ms."""
TICK_S = 0.05
"""Seconds from one message to the next."""
COUNT_S = 0.5
"""Seconds from one look at the counters to the next."""
END_S = 3.0
"""Seconds that the page's thread may take to end."""


class Web:
    """Serves the page from a thread of its own; the stream never waits for it.

    What finds `WAITING` items waiting is dropped and counted, as is what a slow browser
    does not take.  Nothing is kept while no browser looks on.

    Parameters
    ----------
    access : Access
        Where, and for whom.

    Attributes
    ----------
    address : str
        Of the page.

    Raises
    ------
    ConfigError
        If aiohttp is not installed.
    OutputError
        If the address cannot be had.
    """

    def __init__(self, access: Access) -> None:
        self._server = PageServer(access, self._greeting, self._take)
        self._items: deque[tuple[str, Any]] = deque()
        self._watching = False
        self._lost = self._late = 0  # written by the stream's thread, and by the page's
        self._listener: Listener | None = None
        self._fixed: dict[str, str] = {}
        self._model: dict[str, Any] = {}
        self._counters: dict[str, Any] = {}
        self._counted_s = 0.0
        self._save: Callable[[dict[str, float]], str] = _nothing_to_save
        self._chosen: dict[str, float] = {}
        self._choosing = threading.Lock()  # guards the thresholds that wait to be taken up
        self._smooth = _Smoother([])
        begun: queue.SimpleQueue[str | Exception] = queue.SimpleQueue()
        self._stop: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(begun)),
                                        name="--web", daemon=True)
        self._thread.start()
        found = begun.get()
        if isinstance(found, OSError):
            raise OutputError(f"the page cannot be at {access.host}:{access.port} "
                              f"({found.strerror or found}). Choose another --web") from found
        if isinstance(found, Exception):
            raise found
        self.address = found

    # The stream's side: none of these waits.

    def show(self, listener: Listener, path: Path, heard: str, keep: str = "") -> None:
        """Begin to show what a listener hears.

        Parameters
        ----------
        listener : Listener
            Its `on_rows` is taken.
        path : Path
            Where its thresholds are saved.
        heard : str
            What the input is called.
        keep : str
            Why they cannot be saved there; empty if they can.
        """
        self._listener = listener
        listener.on_rows = self.rows

        def save(chosen: dict[str, float]) -> str:
            if keep:
                raise ConfigError(keep)
            thresholds.store(path, chosen, listener.model.spec.model_sha256)
            return path.name

        self._save = save
        self._fixed = {"name": path.name, "input": "stdin" if heard == "-" else heard, "keep": keep}
        self._model = self._describe(listener)

    def rows(self, rows: NDArray[Any], time_s: float) -> None:
        """Take rows of a frontend, shape (n, width); `time_s` is when the first one ends."""
        self._put("rows", rows, time_s)

    def step(self, scores: NDArray[np.float32], time_s: float) -> None:
        """Take the scores of a step."""
        self._put("step", scores, time_s)

    def detection(self, found: Detection) -> None:
        """Take a detection."""
        if self._watching:
            self._append("found", detection_tree(found))

    def scores(self, scores: NDArray[np.float32], time_s: float) -> None:
        """Nothing: the page is told every step by `step`, printed or not."""

    def look_after(self, choose: Callable[[Mapping[str, float]], None],
                   count: Callable[[], dict[str, Any]]) -> None:
        """Do what is due between two frames.

        Parameters
        ----------
        choose : callable
            Gives the listener other thresholds.
        count : callable
            Gives the counters.
        """
        if self._chosen:
            with self._choosing:
                chosen, self._chosen = self._chosen, {}
            choose(chosen)
            self._counted_s = 0.0  # the page waits to see it
        now = time.monotonic()
        if now - self._counted_s >= COUNT_S and self._listener is not None:
            self._counted_s = now
            self._counters = count()
            self._model = self._describe(self._listener)

    @property
    def dropped(self) -> int:
        """Rows, scores and detections, or messages of them, that a page never got."""
        return self._lost + self._late

    def drain(self) -> None:
        """Nothing: the page shows what goes on, and that is over."""

    def close(self) -> None:
        """End the page; harmless when done twice."""
        self._stop()
        self._thread.join(END_S)

    def _put(self, kind: str, values: NDArray[Any], time_s: float) -> None:
        if self._watching:
            self._append(kind, (time_s, values.copy()))  # the next ones may be written over it

    def _append(self, kind: str, item: Any) -> None:
        if len(self._items) >= WAITING:
            self._lost += 1
        else:
            self._items.append((kind, item))

    def _describe(self, listener: Listener) -> dict[str, Any]:
        """What the page must know of the model; made anew when the model may be another."""
        spec, detector = listener.model.spec, listener.detector
        axis = spec.frontend
        step_ms = 1000 * listener.frontend.hop / listener.rate_hz
        return {
            **self._fixed, "backend": listener.model.runtime.name, "labels": list(detector.labels),
            "thresholds": dict(detector.spec.thresholds),
            "stored": dict(spec.detector.thresholds) if spec.detector else {},
            "hop_s": listener.frontend.hop / listener.rate_hz, "width": axis.width,
            "hz": [axis.low_hz, axis.high_hz] if isinstance(axis, LogMelSpec) else None,
            "smoothed_steps": [smoothed_steps(detector.spec, label, step_ms)
                               for label in detector.labels]}

    # The page's side: all of these run in its thread.

    async def _serve(self, begun: "queue.SimpleQueue[str | Exception]") -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        try:
            address = await self._server.start()
        except Exception as problem:  # told where the page was asked for
            begun.put(problem)
            return

        def end() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(stop.set)

        self._stop = end
        begun.put(address)
        telling = asyncio.create_task(self._tell_on())
        await stop.wait()
        telling.cancel()
        await self._server.stop()

    async def _tell_on(self) -> None:
        told: dict[str, Any] = {}
        while True:
            await asyncio.sleep(TICK_S)
            self._watching = self._server.viewers > 0
            try:
                message = self._message(told)
                if message and self._server.viewers:
                    self._late += self._server.tell(message)
            except Exception:  # a defect of the page is no reason to stop listening
                traceback.print_exc()
                print("edgernn: the page of --web is not told this: a defect of edgernn",
                      file=sys.stderr)

    def _message(self, told: dict[str, Any]) -> dict[str, Any]:
        """All that waits, and of model and counters what has changed since `told`."""
        model = self._model
        self._smooth = self._smooth.of(model.get("smoothed_steps", []),
                                       bool(model.get("thresholds")))
        message: dict[str, Any] = {}
        for kind, item in self._taken():
            if kind == "found":
                message.setdefault("found", []).append(item)
                continue
            time_s, values = item
            if kind == "step":
                message.setdefault("scores", []).append(
                    [round(time_s, 6), _plain(self._smooth.push(values))])
                continue
            for number, row in enumerate(values):
                at = time_s + number * model["hop_s"]
                message.setdefault("rows", []).append([round(at, 6), _plain(row)])
        for name, value in (("model", model), ("counters", self._counters)):
            if value != told.get(name):
                told[name] = message[name] = value
        return message

    def _taken(self) -> list[tuple[str, Any]]:
        # Only this thread takes, so that what is counted is there.
        return [self._items.popleft() for _ in itertools.repeat(None, len(self._items))]

    def _greeting(self) -> dict[str, Any]:
        return {"model": self._model, "counters": self._counters, "hello": True}

    async def _take(self, asked: Any) -> dict[str, Any] | None:
        """What a browser asks for: other thresholds, or to save them."""
        if not isinstance(asked, dict):
            raise ValueError
        if "thresholds" in asked:
            chosen = self._checked(asked["thresholds"])
            with self._choosing:
                self._chosen = {**self._chosen, **chosen}
        if "save" in asked:
            chosen = self._checked(asked["save"])
            name = await asyncio.to_thread(self._save, chosen)
            return {"saved": name, "stored": chosen}
        return None

    def _checked(self, asked: Any) -> dict[str, float]:
        if not isinstance(asked, dict):
            raise ValueError
        has = self._model.get("thresholds", {})
        for label, p in asked.items():
            if label not in has:
                raise ConfigError(f"{label!r:.60} has no threshold; {', '.join(has) or 'none'} has")
            if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0 < p <= 1:
                raise ConfigError(f"the threshold of {label!r:.60} is {p!r:.40}; a score above 0 "
                                  "and up to 1 was needed")
        return {label: float(p) for label, p in asked.items()}


class _Smoother:
    """The mean of each label's last n steps' scores, as a detector takes it."""

    def __init__(self, n: list[int]) -> None:
        self._n = n
        self._last: deque[NDArray[np.float32]] = deque(maxlen=max(n, default=1))

    def of(self, n: list[int], detects: bool) -> "_Smoother":
        """Itself, if those are its n, or another; without thresholds nothing is averaged."""
        n = n if detects else [1] * len(n)
        return self if n == self._n else _Smoother(n)

    def push(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(self._n) != len(scores):  # of a model that nothing is known of yet
            return scores
        self._last.append(scores)
        columns = np.array(self._last).T
        return np.array([column[-n:].sum() / n for column, n
                         in zip(columns, self._n, strict=True)], np.float32)


def _plain(values: NDArray[Any]) -> list[float]:
    found: list[float] = (values if values.dtype.kind in "iu" else values.round(4)).tolist()
    # JSON has no NaN; a model that gives one is drawn with a hole there.
    return found if values.dtype.kind in "iu" or np.isfinite(values).all() else []


def _nothing_to_save(chosen: dict[str, float]) -> str:
    raise ConfigError("the stream has not begun; there is no model to save to yet")
