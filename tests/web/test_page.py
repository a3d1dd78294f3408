"""The page in a real browser, over a real stream."""

import contextlib
import dataclasses
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from edgernn import bundle
from edgernn.cli.models import BUNDLED

pytest.importorskip("aiohttp")
soundfile = pytest.importorskip("soundfile")
playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = os.environ.get("EDGERNN_CHROMIUM") or shutil.which("chromium")
pytestmark = [pytest.mark.slow,
              pytest.mark.skipif(CHROMIUM is None,
                                 reason="no chromium: apt install chromium, or EDGERNN_CHROMIUM=")]

SOUND, RATE = soundfile.read(BUNDLED.with_name("demo.wav"), dtype="int16")
BLOCK = 320
SPEED = 4
"""Times real time at which it is heard."""
TIMEOUT_MS = 20_000
WIDTHS = {"wide": 1240, "phone": 375, "small phone": 320}
NASTY = "<img src=x onerror=window.hacked=1>\"'&amp;</script><script>window.hacked=2</script>"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as running:
        # Without a sandbox of its own, since containers give it none.
        opened = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "kws.tflite"
    path.write_bytes(BUNDLED.read_bytes())
    return path


@pytest.fixture
def look(browser):
    """Opens pages; fails if one of them says anything on its console."""
    said, contexts = [], []

    def open_page(url, width=1240, **how):
        context = browser.new_context(viewport={"width": width, "height": 800}, **how)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda problem: said.append(str(problem)))
        page.goto(url)
        return page

    open_page.said = said
    yield open_page
    for context in contexts:
        context.close()
    assert said == []


class Stream:
    """`edgernn stream --web` on raw audio that comes in time."""

    def __init__(self, *arguments, port=0):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edgernn", "stream", "--input", "-", "--web", str(port),
             *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, bufsize=0)
        line = self.process.stderr.readline().decode()
        assert "the page is http://" in line, line + self.process.stderr.read().decode()
        self.url = line.split()[4].partition("?")[0]
        self.port = int(self.url.rstrip("/").rpartition(":")[2])

    def hear(self, sound=SOUND):
        """Play it to the end, at `SPEED`."""
        begin = time.monotonic()
        for start in range(0, len(sound), BLOCK):
            self.process.stdin.write(sound[start:start + BLOCK].tobytes())
            time.sleep(max(0, begin + start / RATE / SPEED - time.monotonic()))

    @contextlib.contextmanager
    def hearing(self, sound=SOUND):
        """Play it again and again meanwhile."""
        ended = threading.Event()

        def play():
            while not ended.is_set():
                self.hear(sound)

        thread = threading.Thread(target=play)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def end(self):
        """Detections, and what was said at the end."""
        self.process.stdin.close()
        self.process.stdin = None
        out, told = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, told
        return [json.loads(line) for line in out.splitlines()], told.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def until(page, true):
    """Wait for a condition of the page; by ourselves, since its policy forbids `eval`."""
    end = time.monotonic() + TIMEOUT_MS / 1000
    while not page.evaluate(true):
        assert time.monotonic() < end, true
        page.wait_for_timeout(20)


def connected(page):
    until(page, "document.getElementById('what').textContent")


def painted(page, canvas):
    """How many different colours a canvas shows."""
    return page.evaluate("""(id) => {
        const canvas = document.getElementById(id);
        const copy = Object.assign(document.createElement("canvas"),
                                   { width: canvas.width, height: canvas.height });
        const pen = copy.getContext("2d", { willReadFrequently: true });
        pen.drawImage(canvas, 0, 0);
        const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size;
    }""", canvas)


def test_the_page_shows_what_the_stream_hears_while_it_hears_it(look, model):
    with Stream("--model", model) as stream:
        page = look(stream.url)
        connected(page)
        assert page.inner_text("#what") == "kws.tflite · stdin · c"
        assert page.is_visible("#none")
        before = painted(page, "rows"), painted(page, "scores")
        sound = np.concatenate([SOUND, np.zeros(3 * RATE, np.int16)])
        stream.hear(sound)
        page.wait_for_selector("#found tr:nth-child(2)")
        assert page.inner_text("#status") == "live"
        shown = [row.split("\t") for row in page.inner_text("#found").splitlines() if row]
        assert painted(page, "rows") > before[0] + 100
        assert painted(page, "scores") > before[1] + 10
        # They are counted twice a second, which here are two seconds of sound.
        until(page, "parseInt(document.querySelector('dd').textContent) >= 7")
        counters = dict(zip(page.locator("dt").all_inner_texts(),
                            page.locator("dd").all_inner_texts(), strict=True))
        # The step it shows last is the last one that there was.
        until(page, f"newest === {1 + (len(sound) - 480) // 320}")
        holes = page.evaluate("""[...Array(newest - 10).keys()].filter(
            (step) => Number.isNaN(rows[(step + 10) * model.width])
                   || Number.isNaN(scores[(step + 10) * model.labels.length])).length""")
        assert holes == 0
        found, told = stream.end()
    assert [each["label"] for each in found] == ["computer", "alexa"]
    assert shown == [[f"{each['time_s']:.2f} s", each["label"], f"{each['score']:.2f}"]
                     for each in reversed(found)]
    assert counters["Detections"] == "2"
    assert {counters[name] for name in ("Overflows", "Samples dropped", "Dropped by sinks",
                                        "Steps held", "Resets")} == {"0"}
    assert "µs" in counters["Step, median"]
    assert '"sinks_dropped": 0' in told


def test_a_threshold_moved_on_the_page_is_the_streams_and_saved_the_files(look, model):
    before = bundle.read(model)
    with Stream("--model", model) as stream:
        page = look(stream.url)
        connected(page)
        assert page.is_disabled("#save")
        with stream.hearing(SOUND[:2 * RATE]):  # one "computer" each
            page.wait_for_selector("#found tr")
            slider = page.get_by_label("threshold of computer")
            slider.focus()
            for _ in range(round((0.9 - before.spec.detector.thresholds["computer"]) / 0.01)):
                slider.press("ArrowRight")
            assert page.inner_text("#thresholds li:first-child .limit") == "0.90"
            until(page, "model.thresholds.computer === 0.9")
            assert bundle.read(model).spec == before.spec, "not saved yet"
            page.click("#save")
            until(page, "document.getElementById('saved').textContent")
            assert page.inner_text("#saved") == "Saved to kws.tflite."
            assert page.is_disabled("#save")
            count = page.locator("#found tr").count()
            page.wait_for_selector(f"#found tr:nth-child({count + 2})")
        found, _ = stream.end()
    assert found[0]["score"] < 0.85
    assert found[-1]["score"] >= 0.89999, "it fires later, where it is as high as that"
    after = bundle.read(model)
    assert after.spec.detector.thresholds == {**before.spec.detector.thresholds, "computer": 0.9}
    assert after.flatbuffer == before.flatbuffer


def test_undo_takes_the_stored_thresholds_again(look, model):
    stored = bundle.read(model).spec.detector.thresholds
    with Stream("--model", model, "--threshold", "alexa=0.9") as stream:
        page = look(stream.url)
        connected(page)
        assert page.locator(".limit").all_inner_texts() == [f"{stored['computer']:.2f}", "0.90"]
        page.click("#undo")
        with stream.hearing(SOUND[:RATE]):
            until(page, f"model.thresholds.alexa === {stored['alexa']}")
        assert page.is_disabled("#undo")
        stream.end()
    assert bundle.read(model).spec.detector.thresholds == stored


def test_two_pages_show_the_same_thresholds(look, model):
    with Stream("--model", model) as stream:
        one, other = look(stream.url), look(stream.url)
        connected(one)
        connected(other)
        one.get_by_label("threshold of alexa").press("ArrowRight")
        moved = f"{bundle.read(model).spec.detector.thresholds['alexa'] + 0.01:.2f}"
        with stream.hearing(SOUND[:RATE]):
            until(other, f"document.querySelectorAll('.limit')[1].textContent === '{moved}'")
        stream.end()


def test_the_bundled_model_is_not_changed_and_the_page_says_so(look):
    before = BUNDLED.read_bytes()
    with Stream() as stream:
        page = look(stream.url)
        connected(page)
        assert page.is_hidden("#save")
        assert "copy the model and give --model" in page.inner_text("#saved")
        page.evaluate("send({ save: { alexa: 0.6 } })")
        until(page, "document.getElementById('saved').dataset.is === 'bad'")
        stream.hear(SOUND[:RATE])
        stream.end()
    assert BUNDLED.read_bytes() == before


def nasty(path):
    """A model whose labels are markup."""
    found = bundle.read(path)
    detector = dataclasses.replace(found.spec.detector, thresholds={NASTY: 0.5, "alexa" * 20: 0.5})
    spec = dataclasses.replace(found.spec, labels=(NASTY[::-1], NASTY, "alexa" * 20),
                               detector=detector)
    path = path.with_name("<b>kws<b>.tflite")
    bundle.write(path, bundle.attach(found.flatbuffer, spec))
    return path


def test_labels_and_names_are_text_whatever_they_hold(look, model):
    with Stream("--model", nasty(model)) as stream:
        page = look(stream.url)
        connected(page)
        stream.hear(SOUND[:3 * RATE])
        page.wait_for_selector("#found tr")
        assert page.inner_text("#found td:nth-child(2)") == NASTY
        assert page.inner_text("#thresholds li:first-child .name") == NASTY
        assert page.inner_text("#legend") == NASTY[::-1]
        assert "<b>kws<b>.tflite" in page.inner_text("#what")
        assert page.locator("img, b:not(.score, .limit), body script").count() == 0
        assert page.evaluate("window.hacked") is None
        stream.end()


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_nothing_sticks_out_at_any_width(width, look, model):
    with Stream("--model", nasty(model)) as stream:
        page = look(stream.url, width)
        connected(page)
        stream.hear(SOUND[:3 * RATE])
        page.wait_for_selector("#found tr")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        out = page.evaluate("""[...document.querySelectorAll("main *, header *")].filter((each) => {
            const box = each.getBoundingClientRect();
            return box.width && (box.left < 0 || box.right > innerWidth + 0.5);
        }).map((each) => each.outerHTML)""")
        assert out == []
        # The plots have one time axis.
        assert page.evaluate("""['rows', 'scores'].map((id) => {
            const box = document.getElementById(id).getBoundingClientRect();
            return [box.left, box.right];
        }).every((edges, i, all) => String(edges) === String(all[0]))""")
        stream.end()


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
              for c in (int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5))]
    return np.dot(linear, (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_colour_of_text_and_lines_can_be_told_from_what_is_behind_it(scheme, look, model):
    with Stream("--model", model) as stream:
        page = look(stream.url, color_scheme=scheme)
        connected(page)

        def contrast(one, other):
            light, dark = sorted((luminance(page.evaluate("css", f"--{name}"))
                                  for name in (one, other)), reverse=True)
            return (light + 0.05) / (dark + 0.05)

        # As WCAG 2 asks: 4.5 for text, which detections are drawn in their label's colour as.
        for name in ("ink", "quiet", "good", "bad", "warn", *(f"label-{i}" for i in range(8))):
            assert contrast(name, "card") >= 4.5, name
        assert contrast("quiet", "paper") >= 4.5
        assert contrast("accent-ink", "accent") >= 4.5
        assert (luminance(page.evaluate("css", "--card")) > 0.5) == (scheme == "light")
        stream.hear(SOUND[:RATE])
        stream.end()


def test_the_page_finds_a_stream_that_was_started_again(look, model):
    with Stream("--model", model) as stream:
        page = look(stream.url)
        connected(page)
        stream.hear(SOUND[:3 * RATE])
        page.wait_for_selector("#found tr")
        stream.process.send_signal(signal.SIGTERM)
        page.wait_for_selector("#status[data-is=gone]")
        assert page.inner_text("#status") == "the stream has ended"
        stream.process.wait(20)
        with Stream("--model", model, port=stream.port) as again:
            page.wait_for_selector("#status[data-is=wait]")
            again.hear(SOUND[:3 * RATE])
            page.wait_for_selector("#status[data-is=live]")
            until(page, "document.querySelectorAll('#found tr').length === 1")
            again.end()
        # That it could not connect for a while is the browser's to say.
        look.said[:] = [each for each in look.said if "ERR_CONNECTION_REFUSED" not in each]


def test_a_token_opens_the_page_once_and_stands_in_no_address(look, model):
    token = "a token for the test"
    with Stream("--model", model, "--web-token", token) as stream:
        page = look(f"{stream.url}?token={token}")
        connected(page)
        assert page.url == stream.url
        assert page.evaluate("document.cookie") == "", "no script sees it"
        page.reload()
        connected(page)
        stranger = look(stream.url)
        assert "needs its token" in stranger.inner_text("body")
        look.said[:] = [each for each in look.said if "401" not in each]
        stream.hear(SOUND[:RATE])
        _, told = stream.end()
        assert token not in told


class Other(http.server.BaseHTTPRequestHandler):
    """Some other page of this machine."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>other</title><link rel=icon href=data:,>")

    def log_message(self, *_):
        pass


def test_another_page_of_the_same_browser_gets_nothing(look, model):
    with Stream("--model", model) as stream, \
            http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever).start()
        page = look(f"http://127.0.0.1:{other.server_port}/")
        heard = page.evaluate("""(port) => new Promise((done) => {
            const socket = new WebSocket(`ws://127.0.0.1:${port}/stream`);
            socket.onmessage = (event) => done(event.data);
            socket.onerror = () => done("refused");
        })""", stream.port)
        assert heard == "refused"
        assert len(look.said) == 1
        assert "403" in look.said.pop()
        other.shutdown()
        stream.hear(SOUND[:RATE])
        stream.end()


def fails(*arguments):
    done = subprocess.run([sys.executable, "-m", "edgernn", "stream", *map(str, arguments)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert (done.returncode in (1, 2), done.stdout) == (True, "")
    return done.stderr


def test_what_cannot_be_shown_says_why(tmp_path):
    demo = BUNDLED.with_name("demo.wav")
    assert "ffmpeg" in fails("--input", demo, "--web", 0)
    assert "PORT or HOST:PORT" in fails("--input", "-", "--web", "page")
    assert "PORT or HOST:PORT" in fails("--input", "-", "--web", "127.0.0.1:99999")
    assert "--web-token" in fails("--input", "-", "--web", "0.0.0.0:0")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "in use" in fails("--input", "-", "--web", taken.getsockname()[1])
    other = tmp_path / "other.tflite"
    other.write_bytes(BUNDLED.read_bytes())
    assert "--web" in fails("--input", "-", "--web", 0, "--model", BUNDLED, "--model", other)
