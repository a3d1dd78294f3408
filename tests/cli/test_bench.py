"""`edgernn bench`: figures that fit together; how large they are fails no test."""

import json
import subprocess
import sys

import pytest

from edgernn.cli.bench import _us
from edgernn.interpreter import available

pytestmark = pytest.mark.slow


def bench(*arguments):
    return subprocess.run([sys.executable, "-m", "edgernn", "bench", *map(str, arguments)],
                          capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def tree(model_files):
    done = bench(model_files["gru"], model_files["gru-int8"], "--steps", 200, "--seconds", 30,
                 "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def rising(times):
    return 0 < times["p50"] <= times["p99"] <= times["p99.9"] <= times["max"]


def test_every_model_is_measured_in_every_interpreter_beside_its_own_calls(tree):
    assert [(run["profile"], run["backend"]) for run in tree["runs"]] == [
        (profile, name) for profile in ("int8x16", "int8") for name in (*available(), "emulator")]
    for run in tree["runs"]:
        assert rising(run["step_us"])
        assert run["ratio"] == pytest.approx(run["step_us"]["p50"] / run["calls_us"]["p50"],
                                             rel=0.02)
        assert run["steps"] == (100 if run["backend"] == "emulator" else 200)


def test_the_stages_of_a_frame_add_up_to_it(tree):
    for run in tree["runs"]:
        path = run["path"]
        assert list(path["stages"]) == ["frontend", "quantize", "invoke", "detector"]
        assert rising(path["frame"])
        assert sum(stage["mean"] for stage in path["stages"].values()) == pytest.approx(
            path["frame"]["mean"], abs=0.05)
        assert sum(bar["count"] for bar in path["histogram"]) == path["frames"]
        assert path["histogram"][-1]["from_us"] <= path["frame"]["max"] * 1.001
        assert path["frame"]["max"] <= path["histogram"][-1]["to_us"] * 1.001


def test_a_fresh_process_is_measured_from_the_import_to_the_first_scores_and_on(tree):
    for run in tree["runs"]:
        moments = list(run["startup"].values())
        seconds = [moment["seconds"] for moment in moments]
        assert seconds == sorted(seconds)
        # A Python with numpy is at least this large; less would be another process's figure.
        assert moments[0]["megabytes"] > 10
        assert moments[0]["megabytes"] < moments[1]["megabytes"] <= moments[-1]["megabytes"] + 1


def test_other_packages_are_measured_beside_it_where_they_are_installed(tree, model_files):
    for name in ("onnxruntime", "pymicro-wakeword"):
        assert tree["others"].get(name) is None or rising(tree["others"][name]["frame"])
    pytest.importorskip("pymicro_wakeword")
    tree = json.loads(bench(model_files["kws"], "--steps", 100, "--seconds", 1, "--backend",
                            "emulator", "--json").stdout)
    assert "10 ms" in tree["others"]["pymicro-wakeword"]["what"]


def test_people_get_a_table_and_a_picture(model_files, tmp_path):
    pytest.importorskip("matplotlib")
    done = bench(model_files["lstm"], "--steps", 100, "--seconds", 1, "--backend", "emulator",
                 "--plot", tmp_path / "bench.png")
    assert done.returncode == 0, done.stderr
    for word in ("emulator", "ratio", "frontend", "blocks", "MB", "p99.9", "jitter"):
        assert word in done.stdout
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("microseconds", "said"), [
    (3.14, "3.1"), (99.94, "99.9"), (99.96, "100"), (2227.2, "2,227"), (9999.4, "9,999"),
    (9999.6, "10 ms"), (27_640.0, "28 ms")])
def test_no_time_is_wider_than_its_column(microseconds, said):
    assert _us(microseconds) == said
    assert len(said) <= 5


def test_a_picture_that_cannot_be_drawn_is_refused_before_anything_is_measured(tmp_path):
    done = bench("--plot", tmp_path / "bench.txt")
    assert (done.returncode, done.stdout) == (1, "")
    assert ".png, .svg or .pdf" in done.stderr


def test_live_streams_are_driven_at_their_own_pace(model_files):
    if "c" not in available():
        pytest.skip("edgernn was installed without a compiler")
    done = bench(model_files["kws"], "--streams", 7, "--seconds", 1, "--json")
    assert done.returncode == 0, done.stderr
    tree = json.loads(done.stdout)
    assert (tree["streams"], tree["ticks"], tree["steps"]) == (7, 50, 350)
    assert 0 < tree["busy"] < 1
    done = bench(model_files["gru"], "--streams", 7)
    assert (done.returncode, done.stdout) == (1, "")
    assert "log-mel" in done.stderr


def test_a_missing_model_or_interpreter_is_one_clear_error(tmp_path, model_files):
    done = bench(tmp_path / "none.tflite")
    assert (done.returncode, done.stdout) == (1, "")
    assert "none.tflite cannot be read" in done.stderr
    code = ("import sys\n"
            "sys.modules['tflite_runtime'] = None\n"
            "from edgernn.cli.main import main\n"
            f"main(['bench', {str(model_files['gru'])!r}, '--backend', 'tflite-runtime'])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install tflite-runtime" in done.stderr


def test_of_a_model_of_several_parts_the_steps_of_one_are_timed(tmp_path):
    from tests import transducers

    chosen = transducers.config()
    model = tmp_path / "spell.tflite"
    model.write_bytes(transducers.file(transducers.networks(chosen, transducers.weights(chosen))))
    done = bench(model, "--steps", 100, "--backend", "emulator", "--part", "decoder", "--json")
    tree = json.loads(done.stdout)
    (run,) = tree["runs"]
    assert (run["part"], run["parts"]) == ("decoder", ["main", "backward", "decoder"])
    assert rising(run["step_us"])
    assert "path" not in run
    done = bench(model, "--part", "head")
    assert (done.returncode, done.stdout) == (1, "")
    assert "it has backward, decoder" in done.stderr
