"""A grid: its front, its points, and what happens to one that fails."""

import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.cli.models import BUNDLED
from edgernn.errors import ConfigError, OutputError
from edgernn.train import compare_plot
from edgernn.train.compare import (
    COSTS,
    MEASURED,
    Material,
    Point,
    _reason,
    _Workers,
    compare,
    mark,
    pareto,
)
from edgernn.train.config import make

numbers = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=9)


@given(numbers)
def test_the_front_holds_a_point_as_good_as_any_other(points):
    costs, gains = zip(*points, strict=True)
    front = pareto(costs, gains)
    assert any(front)
    for cost, gain in points:
        assert any(on and c <= cost and g >= gain
                   for on, c, g in zip(front, costs, gains, strict=True))


@given(numbers)
def test_no_point_of_the_front_is_beaten(points):
    costs, gains = zip(*points, strict=True)
    for on, cost, gain in zip(pareto(costs, gains), costs, gains, strict=True):
        beaten = any(c <= cost and g >= gain and (c < cost or g > gain)
                     for c, g in points)
        assert on is not beaten


def test_an_error_is_no_point_of_the_front():
    line = {"integer": {"carry": 0.9}, **dict.fromkeys(COSTS, 1)}
    failed = {"cell": "gru", "units": 4, "error": "no room"}
    marked = mark([failed, dict(line)])
    assert "pareto" not in marked[0]
    assert all(marked[1]["pareto"].values())


def edgernn(*arguments):
    """The command line, in a process of its own."""
    return subprocess.run([sys.executable, "-m", "edgernn", *arguments], text=True,
                          capture_output=True, timeout=600)


def test_on_the_front_lower_errors_are_better_where_the_metric_is_one():
    lines = [{"integer": {"carry": error}, **dict.fromkeys(COSTS, cost)}
             for cost, error in ((1, 9.0), (2, 5.0), (3, 7.0))]
    assert [line["pareto"]["bytes"] for line in mark(lines, higher=False)] == [True, True, False]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Thirty short sequences of two kinds."""
    path = tmp_path_factory.mktemp("grid") / "set.npz"
    rng = np.random.default_rng(0)
    y = np.arange(30) % 2
    np.savez(path, x=(rng.normal(size=(30, 8, 3)) + y[:, None, None]).astype(np.float32), y=y)
    return path


def test_a_stack_or_several_parts_are_refused_before_any_work(tmp_path):
    stack = [{"kind": "gru", "units": 4}]
    for config, word in ((make({"stack": stack}), "stack"), (make({"task": "transduce"}), "parts"),
                         (make({"task": "label", "bidirectional": True}), "bidirectional")):
        word = "transduce" if word == "parts" else word
        with pytest.raises(ConfigError, match=word):
            compare(Material((tmp_path,)), tmp_path / "out", [Point("gru", 4)], config, "int8", 1,
                    lambda p, line: None)
    assert not (tmp_path / "out").exists()


def nothing(material, out, **settings):
    """A grid of no points."""
    return compare(material, out, [], make(settings), "int8", 1, lambda p, line: None)


def test_points_of_other_settings_or_data_are_not_mixed_with_those_there(tmp_path):
    material = Material((tmp_path / "a.npz",))
    nothing(material, tmp_path / "grid", epochs=2)
    nothing(material, tmp_path / "grid", epochs=2, checkpoint_epochs=5)  # changes no weight
    with pytest.raises(OutputError, match="setting epochs was 2, and now it is 3"):
        nothing(material, tmp_path / "grid", epochs=3)
    with pytest.raises(OutputError, match="data was"):
        nothing(Material((tmp_path / "b.npz",)), tmp_path / "grid", epochs=2)
    with pytest.raises(OutputError, match="hold_out was"):
        nothing(Material(material.data, hold_out="ann"), tmp_path / "grid", epochs=2)


def test_a_grid_is_not_gone_on_with_when_its_data_changed(data, tmp_path):
    mine = tmp_path / data.name
    mine.write_bytes(data.read_bytes())
    for i in range(2):  # until a point was trained on it, it may change
        nothing(Material((mine,)), tmp_path / "grid")
        os.utime(mine, ns=(i, i))
    nothing(Material((mine,)), tmp_path / "grid")
    (tmp_path / "grid" / "gru-4" / "run").mkdir(parents=True)
    nothing(Material((mine,)), tmp_path / "grid")
    os.utime(mine, ns=(9, 9))
    with pytest.raises(OutputError, match=r"data content was 1 file \(\w+\), and now it is 1 file"):
        nothing(Material((mine,)), tmp_path / "grid")


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(OutputError, match="holds no grid"):
        nothing(Material((tmp_path,)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


@pytest.mark.parametrize("content", ["[]", "{}", '{"metric": "accuracy", "bytes": 4000}'])
def test_what_is_in_the_place_of_a_point_and_is_none_is_said(tmp_path, content):
    material, point = Material((tmp_path / "a.npz",)), Point("gru", 4)
    nothing(material, tmp_path / "grid")
    folder = tmp_path / "grid" / point.name
    folder.mkdir()
    (folder / "int8.json").write_text(content)
    (folder / "int8.tflite").write_bytes(b"")
    lines = compare(material, tmp_path / "grid", [point], make({}), "int8", 1,
                    lambda p, line: None)
    assert "int8.json cannot be read (it has not all of metric" in lines[0]["error"]


@pytest.mark.parametrize("kept", [0, 100])
def test_a_model_that_was_cut_off_is_a_point_that_fails_and_no_end_of_the_others(tmp_path, kept):
    material, point = Material((tmp_path / "a.npz",)), Point("gru", 4)
    nothing(material, tmp_path / "grid")
    folder = tmp_path / "grid" / point.name
    folder.mkdir()
    (folder / "int8.json").write_text(json.dumps(dict.fromkeys(MEASURED, 1)))
    (folder / "int8.tflite").write_bytes(BUNDLED.read_bytes()[:kept])
    lines = compare(material, tmp_path / "grid", [point], make({}), "int8", 1,
                    lambda p, line: None)
    assert "int8.tflite cannot be read" in lines[0]["error"]


def test_a_file_in_the_place_of_the_grid_that_is_none_is_said(tmp_path):
    (tmp_path / "grid").mkdir()
    (tmp_path / "grid" / "grid.json").write_text("[]")
    with pytest.raises(OutputError, match=r"grid.json holds no grid. Choose another --out"):
        nothing(Material((tmp_path / "a.npz",)), tmp_path / "grid")


def test_what_is_in_the_way_of_reading_a_point_is_said(tmp_path):
    material, point = Material((tmp_path / "a.npz",)), Point("gru", 4)
    nothing(material, tmp_path / "grid")
    folder = tmp_path / "grid" / point.name
    folder.mkdir()
    (folder / "int8.json").write_text("{")
    (folder / "int8.tflite").write_bytes(b"")
    lines = compare(material, tmp_path / "grid", [point], make({}), "int8", 1,
                    lambda p, line: None)
    assert "int8.json cannot be read" in lines[0]["error"]


def test_stopping_ends_what_runs_and_begins_no_more(tmp_path):
    never = tmp_path / "never"
    os.mkfifo(never)  # nobody writes into it
    workers = _Workers()
    ended = []
    thread = threading.Thread(target=lambda: ended.append(
        workers.run("stream", "--input", str(never))))
    thread.start()
    while not workers.live:
        time.sleep(0.01)
    workers.stop()
    thread.join(60)
    assert ended[0].returncode != 0
    assert not workers.live
    assert workers.run("--version").stderr == "stopped"


def test_one_told_to_stop_in_the_middle_leaves_no_process_and_trains_no_more(tmp_path, monkeypatch):
    """As Ctrl-C does, which comes where we wait for points."""
    ran = []

    def run(self, *arguments):
        ran.append(arguments)
        return subprocess.CompletedProcess(arguments, 1, "", "edgernn: no room")

    monkeypatch.setattr(_Workers, "run", run)

    def tell(point, line):
        raise KeyboardInterrupt

    points = [Point("gru", units) for units in range(1, 200)]
    with pytest.raises(KeyboardInterrupt):
        compare(Material((tmp_path,)), tmp_path / "grid", points, make({}), "int8", 1, tell)
    assert len(ran) < len(points)


def test_what_training_leaves_out_is_told_once_of_all_points(tmp_path, monkeypatch):
    talk = "skipped a.wav: broken: no audio\n\nedgernn: no room"
    monkeypatch.setattr(_Workers, "run", lambda self, *arguments: subprocess.CompletedProcess(
        arguments, 1, "", talk))
    told = []
    lines = compare(Material((tmp_path,)), tmp_path / "grid", [Point("gru", 4), Point("gru", 5)],
                    make({}), "int8", 1, lambda p, line: None, talk=told.append)
    assert told == ["skipped a.wav: broken: no audio"]
    assert [line["error"] for line in lines] == ["no room", "no room"]
    assert "left_out" not in lines[0]


def test_a_process_that_was_killed_is_named_with_its_signal():
    done = subprocess.CompletedProcess(("train",), -9, "", "some warning")
    assert "train was ended by SIGKILL" in _reason(done)
    assert "--jobs" in _reason(done)


coordinates = st.tuples(st.integers(1, 10**6), st.floats(0, 1))


@settings(max_examples=8, deadline=None)
@given(st.lists(coordinates, min_size=1, max_size=14), st.booleans())
def test_labels_never_lie_over_each_other_or_beyond_the_panel(points, higher):
    pytest.importorskip("matplotlib", reason="the extra `train` is not installed")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = mark([{"cell": "gru" if i % 2 else "simple_rnn", "units": 8 * i + 8, "bytes": cost,
                   "macs": cost, "state_bytes": cost, "integer": {"carry": gain}}
                  for i, (cost, gain) in enumerate(points)], higher)
    figure = Figure(figsize=(4.3, 4.8))
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    compare_plot._panel(panel, lines, ["simple_rnn", "gru"], "bytes")
    figure.draw_without_rendering()
    compare_plot._label(panel, lines, ["simple_rnn", "gru"], "bytes")
    boxes = [text.get_window_extent() for text in panel.texts]
    edge = panel.get_window_extent()
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert edge.x0 <= box.x0 <= box.x1 <= edge.x1
        assert edge.y0 <= box.y0 <= box.y1 <= edge.y1


@pytest.mark.slow
def test_a_grid_is_trained_once_and_drawn(data, tmp_path):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    out = tmp_path / "grid"
    arguments = ["compare", str(data), "--cells", "gru,rnn", "--hidden", "4,6", "--epochs", "2",
                 "--profile", "int8", "--out", str(out)]
    first = edgernn(*arguments)
    assert first.returncode == 0, first.stderr
    lines = [json.loads(line) for line in first.stdout.splitlines()]
    assert [(line["cell"], line["units"]) for line in lines] == [
        ("gru", 4), ("gru", 6), ("simple_rnn", 4), ("simple_rnn", 6)]
    assert all(0 <= line[kind][mode] <= 1 for line in lines for kind in ("float", "integer")
               for mode in ("reset", "carry"))
    assert lines[0]["macs"] == 3 * (3 * 4 + 4 * 4) + 4 * 2
    assert lines[3]["macs"] == 3 * 6 + 6 * 6 + 6 * 2
    assert min(line["step_ratio"] for line in lines) == 1
    assert any(line["pareto"]["bytes"] for line in lines)
    assert (out / "compare.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (out / "compare.svg").read_bytes()
    for word in ("simple_rnn", "Pareto front", "compare.png"):
        assert word in first.stderr

    weights = {path: path.stat().st_mtime_ns for path in out.glob("*/run/weights.npz")}
    assert len(weights) == 4
    again = edgernn(*arguments)
    known = ("cell", "units", "integer", "bytes", "macs", "pareto")
    assert [[json.loads(line)[key] for key in known] for line in again.stdout.splitlines()] == [
        [line[key] for key in known] for line in lines]
    other = edgernn(*arguments[:-3], "int16x8", *arguments[-2:])
    assert other.returncode == 0, other.stderr
    assert len(list(out.glob("*/int16x8.tflite"))) == 4
    assert weights == {path: path.stat().st_mtime_ns for path in weights}


@pytest.mark.slow
def test_a_point_that_fails_is_named_and_does_not_stop_the_others(data, tmp_path):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("cell: simple_rnn\nactivation: relu\nepochs: 1\n")
    done = edgernn("compare", str(data), "--cells", "gru,rnn", "--hidden", "3", "--config",
                   str(recipe), "--out", str(tmp_path / "grid"))
    assert done.returncode == 1
    failed, good = (json.loads(line) for line in done.stdout.splitlines())
    assert "which it does not have" in failed["error"]  # a GRU has no relu
    assert all(good["pareto"].values())
    assert "gru-3: " in done.stderr
    assert "1 of 2 points failed" in done.stderr


def test_cells_and_widths_that_are_none_are_refused_by_name(data):
    for flags, words in ((["--cells", "gru,gur"], ["gur is no cell", "rnn", "min_gru"]),
                         (["--hidden", "16,big"], ["16,big", "1 to 1024"])):
        done = edgernn("compare", str(data), *flags)
        assert done.returncode == 2
        assert all(word in done.stderr for word in words)
