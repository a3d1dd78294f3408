"""Words in, phonemes out, from the command line."""

import json
import random
import subprocess
import sys

import pytest

from tests import transducers
from tests.test_transduce import made


def run(*arguments, text=None):
    done = subprocess.run([sys.executable, "-m", "edgernn", *map(str, arguments)], input=text,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def g2p(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "g2p.tflite"
    path.write_bytes(transducers.file(made("additive")))
    return path


def test_each_line_gives_one_line_and_a_bad_one_its_reason(g2p):
    done = run("stream", "--model", g2p, "--input", "-", "--backend", "emulator",
               text="abc\n\naXc\nbad\n")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["source"] for line in lines] == ["abc", "aXc", "bad"]
    assert set(lines[0]["target"]) <= set(transducers.SOUNDS)
    assert "'X'" in lines[1]["error"]
    assert "target" not in lines[1]


def test_info_shows_every_part(g2p):
    tree = json.loads(run("info", g2p, "--json").stdout)
    assert list(tree["parts"]) == ["backward", "keys", "decoder"]
    assert [len(tree["parts"][name]["context"]) for name in tree["parts"]] == [0, 0, 3]
    assert "part decoder" in run("info", g2p).stdout


@pytest.mark.slow
def test_train_quantize_and_stream_from_a_file_of_pairs(tmp_path):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    rng = random.Random(0)
    words = sorted({"".join(rng.choices("abc", k=rng.randint(1, 4))) for _ in range(300)})
    (tmp_path / "words.tsv").write_text("".join(
        f"{word}\t{' '.join(word.upper())}\n" for word in words))
    done = run("train", tmp_path / "words.tsv", "--task", "transduce", "--out", tmp_path / "run",
               "--units", "24", "--embedding", "8", "--epochs", "30", "--batch", "16",
               "--learning-rate", "0.01", "--dropout", "0")
    trained = json.loads(done.stdout.splitlines()[-1])
    done = run("quantize", tmp_path / "run", "--out", tmp_path / "spell.tflite")
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["float"]["greedy"] == pytest.approx(trained["test_float_greedy"])
    assert report["float"]["greedy"] < 0.3  # of a hundred pairs, seen for seconds
    assert abs(report["int8x16"]["greedy"] - report["float"]["greedy"]) < 0.1
    done = run("stream", "--model", tmp_path / "spell.tflite", "--input", "-", text="abc\n")
    assert json.loads(done.stdout)["target"]
