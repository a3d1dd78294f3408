"""The page's sink and its server, without a browser."""

import asyncio
import dataclasses
import http.client
import json
import socket
import threading
import time

import numpy as np
import pytest

from edgernn import bundle
from edgernn.cli.models import BUNDLED
from edgernn.detect import Detection, smoothed_steps
from edgernn.errors import ConfigError, OutputError
from edgernn.frames import Frame
from edgernn.sinks import web
from edgernn.step import StepModel
from edgernn.stream import Listener
from edgernn.web import server
from edgernn.web.access import Access

aiohttp = pytest.importorskip("aiohttp")

TOKEN = "correct horse battery"
TIMEOUT_S = 20


class Page(web.Web):
    """With the port that was free."""

    @property
    def port(self):
        return int(self.address.rstrip("/").rpartition(":")[2])


@pytest.fixture
def page():
    made = Page(Access("127.0.0.1", 0))
    yield made
    made.close()


@pytest.fixture
def listener(page):
    listening = Listener(StepModel.open(BUNDLED), on_scores=page.step)
    page.show(listening, BUNDLED, "the test", "it is the test's")
    return listening


def get(port, path="/", **headers):
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    asking.request("GET", path, headers=headers)
    answer = asking.getresponse()
    return answer, answer.read().decode()


def watched(page, act, until, **headers):
    """All that a browser is told, by name, while `act` acts, until it has what it waits for."""
    told = {}

    async def watch():
        async with aiohttp.ClientSession() as session, session.ws_connect(
                f"{page.address}stream", headers=headers) as stream:
            told.update(await stream.receive_json(timeout=TIMEOUT_S))
            while not page._watching:
                await asyncio.sleep(0.01)
            acting = asyncio.create_task(act(stream))
            while not until(told):
                for name, value in (await stream.receive_json(timeout=TIMEOUT_S)).items():
                    told[name] = told.get(name, []) + value if (
                        name in ("rows", "scores", "found")) else value
            await acting

    asyncio.run(asyncio.wait_for(watch(), TIMEOUT_S))
    return told


def test_a_browser_is_told_every_row_and_score_and_detection(page, listener):
    rng = np.random.default_rng(0)
    sound = rng.integers(-9000, 9000, 16000).astype(np.int16)
    want_rows, want_scores = [], []
    beside = Listener(StepModel.open(BUNDLED),
                      on_scores=lambda scores, at: want_scores.append((at, scores.copy())))
    beside.on_rows = lambda rows, at: want_rows.extend(
        (at + 0.02 * i, row.tolist()) for i, row in enumerate(rows))
    list(beside.push(Frame(sound, 0.0)))

    async def act(stream):
        for start in range(0, len(sound), 700):
            for _ in listener.push(Frame(sound[start:start + 700], start / 16000)):
                pass
        page.detection(Detection("alexa", 0.87654, 1.2345))

    told = watched(page, act, lambda told: "found" in told
                   and len(told.get("scores", ())) == len(want_scores))
    assert told["model"]["labels"] == ["_other_", "computer", "alexa"]
    assert told["model"]["thresholds"] == bundle.read(BUNDLED).spec.detector.thresholds
    assert [(pytest.approx(at), row) for at, row in want_rows] == [
        (at, row) for at, row in told["rows"]]
    # What the detector compares with its thresholds: the mean of some steps.
    n = smoothed_steps(bundle.read(BUNDLED).spec.detector, "alexa", 20)
    padded = np.concatenate([np.zeros((n - 1, 3)), [scores for _, scores in want_scores]])
    means = np.lib.stride_tricks.sliding_window_view(padded, n, axis=0).mean(axis=-1)
    assert np.allclose([scores for _, scores in told["scores"]], means, atol=1e-4)
    assert [at for at, _ in told["scores"]] == pytest.approx([at for at, _ in want_scores])
    assert told["found"] == [{"label": "alexa", "score": 0.8765, "time_s": 1.234}]


def test_thresholds_chosen_in_a_browser_are_taken_up_between_two_frames(page, listener):
    taken = []

    async def act(stream):
        await stream.send_json({"thresholds": {"alexa": 0.7}})
        while not taken:
            await asyncio.sleep(0.01)
            page.look_after(lambda chosen: (taken.append(dict(chosen)), listener.replace(
                listener.model, dataclasses.replace(
                    listener.detector.spec, thresholds={"computer": 0.5, **chosen}))),
                lambda: {"heard_s": 1.5})

    told = watched(page, act, lambda told: told["model"]["thresholds"].get("alexa") == 0.7
                   and told["counters"])
    assert taken == [{"alexa": 0.7}]
    assert told["counters"] == {"heard_s": 1.5}


@pytest.mark.parametrize(("asked", "problem"), [
    ({"thresholds": {"_other_": 0.5}}, "'_other_' has no threshold; computer, alexa has"),
    ({"thresholds": {"alexa": 0}}, "above 0"), ({"thresholds": {"alexa": 1.5}}, "is 1.5"),
    ({"thresholds": {"alexa": True}}, "is True"), ({"thresholds": {"alexa": "high"}}, "'high'"),
    ({"thresholds": {"alexa": float("nan")}}, "is nan"), ({"thresholds": 5}, "no message"),
    ({"save": ["alexa"]}, "no message"), ([], "no message"), ("{", "no message"),
    ("[" * 4000, "no message"), ({"save": {"alexa": 0.6}}, "it is the test's"),
])
def test_what_a_browser_may_not_ask_for_is_told_and_changes_nothing(asked, problem, page, listener):
    async def act(stream):
        await stream.send_str(asked if isinstance(asked, str) else json.dumps(asked))

    told = watched(page, act, lambda told: "problem" in told)
    assert problem in told["problem"]
    page.look_after(lambda chosen: pytest.fail(str(chosen)), dict)


@pytest.mark.slow
def test_a_browser_that_never_reads_holds_up_nothing_and_is_counted(page, listener):
    with socket.create_connection(("127.0.0.1", page.port)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                     b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     b"Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n")
        while not page._watching:
            time.sleep(0.01)
        rows = np.full((20, 400), 12345, np.int16)  # 5 MB a second: more than any buffer
        longest = 0.0
        end = time.monotonic() + TIMEOUT_S
        while not page.dropped and time.monotonic() < end:
            begin = time.perf_counter()
            page.rows(rows, 0.0)
            longest = max(longest, time.perf_counter() - begin)
            time.sleep(0.01)
        assert page.dropped
        assert longest < 0.5, "a slow machine may be, but no socket's buffer was waited for"


def test_a_page_whose_thread_hangs_drops_and_counts(page, listener, monkeypatch):
    held, hold = threading.Event(), threading.Event()

    def hang(told):
        held.set()
        assert hold.wait(TIMEOUT_S)
        return {"done": True}

    async def act(stream):
        monkeypatch.setattr(page, "_message", hang)
        while not held.is_set():
            await asyncio.sleep(0.01)
        page._items.clear()
        begin = time.monotonic()
        for number in range(web.WAITING + 7):
            page.step(np.zeros(3, np.float32), number / 50)
        assert time.monotonic() - begin < 1
        assert page.dropped == 7
        hold.set()

    watched(page, act, lambda told: "done" in told)


def test_nothing_is_kept_while_nobody_looks_on(page, listener):
    for number in range(3 * web.WAITING):
        page.step(np.zeros(3, np.float32), number / 50)
    assert (page.dropped, len(page._items)) == (0, 0)


def test_a_label_or_score_that_json_cannot_hold_does_not_end_the_page(page, listener):
    async def act(stream):
        page.step(np.array([np.nan, 0, 0], np.float32), 0.5)
        page.step(np.array([0, 0, 1], np.float32), 0.52)

    told = watched(page, act, lambda told: len(told.get("scores", ())) == 2)
    assert told["scores"][0] == [0.5, []]


def test_requests_that_come_by_another_name_or_from_another_page_are_refused(page):
    here = f"127.0.0.1:{page.port}"
    assert get(page.port)[0].status == 200
    for path in ("/", "/page.js", "/stream", "/nothing"):
        answer, text = get(page.port, path, Host=f"evil.example:{page.port}")
        assert (answer.status, "evil.example" in text) == (403, True)
        assert get(page.port, path, Host=here, Origin="http://evil.example")[0].status == 403
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        watched(page, None, None, Origin="http://evil.example")


def test_the_page_may_run_nothing_but_its_own_files(page):
    for path in ("/", "/page.js", "/page.css"):
        answer, _ = get(page.port, path)
        policy = answer.getheader("Content-Security-Policy")
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.getheader("X-Content-Type-Options") == "nosniff"
    text = get(page.port)[1]
    assert "<script>" not in text
    assert "style=" not in text
    assert "http://" not in text + get(page.port, "/page.js")[1] + get(page.port, "/page.css")[1]
    assert get(page.port, "/../sinks/web.py")[0].status == 404


def test_with_a_token_everything_needs_it_or_its_cookie(monkeypatch):
    monkeypatch.setattr(server, "WRONG_S", 0.05)
    page = Page(Access("127.0.0.1", 0, TOKEN))
    try:
        for path in ("/", "/page.js", "/stream", "/?token=wrong", "/?token="):
            answer, text = get(page.port, path)
            assert answer.status == 401
            assert TOKEN not in text
        answer, _ = get(page.port, "/?token=" + TOKEN.replace(" ", "%20"))
        assert (answer.status, answer.getheader("Location")) == (303, "/")
        cookie = answer.getheader("Set-Cookie")
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        cookie = cookie.partition(";")[0]
        assert get(page.port, Cookie=cookie)[0].status == 200
        assert get(page.port, Cookie=cookie + "0")[0].status == 401
        assert get(page.port, Cookie=cookie, Origin="http://evil.example")[0].status == 403
    finally:
        page.close()


def test_an_address_that_is_taken_is_an_error_at_once(page):
    with pytest.raises(OutputError, match="in use"):
        web.Web(Access("127.0.0.1", page.port))


def test_without_aiohttp_it_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(ConfigError, match=r"edgernn\[web\]"):
        web.Web(Access("127.0.0.1", 0))


def test_closing_ends_the_thread_and_frees_the_address(page):
    page.close()
    page.close()
    assert not page._thread.is_alive()
    again = web.Web(Access("127.0.0.1", page.port))
    again.close()
