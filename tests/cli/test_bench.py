"""`edgernn bench`: figures that fit together; how large they are fails no test."""

import json
import subprocess
import sys

import pytest

from edgernn.interpreter import available


def bench(*arguments):
    return subprocess.run([sys.executable, "-m", "edgernn", "bench", *map(str, arguments)],
                          capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def tree(model_files):
    done = bench(model_files["gru"], "--steps", 300, "--seconds", 30, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_installed_interpreter_is_measured_beside_its_own_calls(tree):
    assert set(tree["backends"]) == {*available(), "emulator"}
    for cost in tree["backends"].values():
        assert 0 < cost["step_us"]["p50"] <= cost["step_us"]["p99"] <= cost["step_us"]["max"]
        assert cost["ratio"] == pytest.approx(cost["step_us"]["p50"] / cost["calls_us"]["p50"],
                                              rel=0.01)
    assert tree["backends"]["emulator"]["steps"] == 100


def test_the_whole_path_and_the_import_are_measured(tree):
    assert all(speed["one_hop"] > 0 and speed["blocks"] > 0
               for speed in tree["times_real_time"].values())
    # A Python with numpy is at least this large; less would be another process's figure.
    assert 10 < tree["import"]["megabytes"] <= tree["import"]["loaded_megabytes"]
    assert 0 < tree["import"]["seconds"] <= tree["import"]["loaded_seconds"]


def test_people_get_a_table(model_files):
    done = bench(model_files["lstm"], "--steps", 100, "--seconds", 1, "--backend", "emulator")
    assert done.returncode == 0, done.stderr
    for word in ("emulator", "ratio", "frontend", "x real time", "MB resident"):
        assert word in done.stdout


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
    assert (tree["part"], tree["parts"]) == ("decoder", ["main", "backward", "decoder"])
    assert set(tree) == {"model", "machine", "backends", "part", "parts"}
    done = bench(model, "--part", "head")
    assert (done.returncode, done.stdout) == (1, "")
    assert "it has backward, decoder" in done.stderr
