"""Models of notes, texts and numbers on the command line."""

import json

import pytest

from tests import models
from tests.cli.test_cli import edgernn, fails


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("made")


def test_a_model_of_notes_goes_on_in_json_lines(folder):
    begin = folder / "begin.json"
    model = models.write_model(folder / "piano.tflite", models.Layer("gru", 8), features=4,
                               labels=4, head="sigmoid", task="next",
                               names=("60", "62", "64", "65"))
    begin.write_text("[[60, 64], [62]]")
    done = edgernn("generate", "--model", model, "--begin", begin, "--steps", 5, "--top-k", 2)
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert [step["step"] for step in steps] == list(range(5))
    assert all(set(step["notes"]) <= {60, 62, 64, 65} for step in steps)
    begin.write_text("[[61]]")
    fails(edgernn("generate", "--model", model, "--begin", begin), 1, "begin.json", "60 to 65")
    fails(edgernn("generate", "--model", model, "--begin", folder / "none.json"), 1, "none.json")


def test_a_model_without_notes_makes_no_music(folder):
    fails(edgernn("generate", "--model", models.next_rows(folder)), 1, "label0", "MIDI note")
    fails(edgernn("generate", "--model", models.numbers(folder)), 1, "regress", "--task next")
    fails(edgernn("generate", "--model", folder / "no.tflite"), 1, "no.tflite")


def test_a_model_of_letters_goes_on_from_a_text(folder):
    model = models.next_tokens(folder)
    done = edgernn("generate", "--model", model, "--begin", "ab", "--steps", 4)
    assert done.returncode == 0, done.stderr
    assert all(json.loads(line)["text"] in "abcd" for line in done.stdout.splitlines())
    fails(edgernn("generate", "--model", model), 1, "--begin")
    fails(edgernn("generate", "--model", model, "--begin", "a", "--out", folder / "x.mid"), 1,
          "--out")


def test_each_line_of_text_is_answered_on_stdout(folder):
    done = edgernn("stream", "--model", models.texts(folder), "--input", "-", data=b"abba\n\xff\n")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [set(one) for one in found] == [{"label", "score", "text"}] * 2
    fails(edgernn("stream", "--model", models.texts(folder), "--input", folder / "no.txt"), 1,
          "no.txt")
    fails(edgernn("stream", "--model", models.texts(folder)), 2, "reads text")


def test_a_model_of_numbers_prints_every_row(folder):
    done = edgernn("stream", "--model", models.numbers(folder), "--input", "-",
                   data=b"1,2,3\n4,5,6\n")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [set(one["scores"]) for one in found] == [{"label0", "label1"}] * 2
    assert b"giving label0, label1" in done.stderr


def test_a_run_is_fine_tuned_and_one_that_is_none_is_refused(tmp_path):
    from tests.train.test_finetune import tuner, write_run

    run = write_run(tmp_path / "run", tuner(models.Layer("gru", 4)))
    done = edgernn("finetune", run, "--out", tmp_path / "tuned", "--epochs", 1)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert {"before", "after", "profile"} <= set(said)
    assert (tmp_path / "tuned" / "weights.npz").exists()
    fails(edgernn("finetune", run, "--out", tmp_path / "tuned"), 1, "there already")
    empty = tmp_path / "empty"
    empty.mkdir()
    fails(edgernn("finetune", empty, "--out", tmp_path / "more"), 1, "architecture.json")
