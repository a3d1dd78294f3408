"""Labels from both sides, from the command line."""

import json

import pytest

from tests.cli.test_transduce import run

WORDS = (("the", "DET"), ("a", "DET"), ("dog", "NOUN"), ("runs", "VERB"), ("sleeps", "VERB"))


def sentences(path, count=60):
    lines = []
    for i in range(count):
        chosen = [WORDS[(i + k) % len(WORDS)] for k in range(2 + i % 4)]
        lines += [f"{n}\t{word}\t{word}\t{tag}\t_\t_\t0\t_\t_\t_"
                  for n, (word, tag) in enumerate(chosen, 1)] + [""]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.slow
def test_train_quantize_info_and_stream(tmp_path):
    pytest.importorskip("keras", reason="the extra `train` is not installed")
    data, model = sentences(tmp_path / "tags.conllu"), tmp_path / "tags.tflite"
    run("train", data, "--task", "label", "--bidirectional", "--chunk", "2", "--ahead", "1",
        "--unit", "word", "--units", "8", "--epochs", "8", "--learning-rate", "0.02",
        "--out", tmp_path / "run")
    report = json.loads(run("quantize", tmp_path / "run", "--out", model).stdout.splitlines()[-1])
    assert set(report["float"]) == set(report["int8x16"]) == {"chunked", "whole"}
    tree = json.loads(run("info", model, "--json").stdout)
    assert (tree["chunk"], tree["ahead"], list(tree["parts"])) == (2, 1, ["backward", "head"])
    assert "a chunk of 2 frames, 1 ahead" in run("info", model).stdout
    done = run("stream", "--model", model, "--input", "-", text="the dog runs\n\na dog\n")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(line["labels"]) for line in found] == [3, 2]


def test_audio_is_streamed_with_the_latency_said(tmp_path):
    import numpy as np
    import soundfile

    from tests.test_bidirectional import audio_model

    model = audio_model(tmp_path, chunk=5, ahead=3)
    soundfile.write(tmp_path / "x.wav",
                    np.random.default_rng(0).normal(0, 0.1, 16000), 16000, subtype="PCM_16")
    of_file = run("stream", "--model", model, "--input", tmp_path / "x.wav", "--scores")
    assert "each frame answered up to 140 ms late" in of_file.stderr
    times = [json.loads(line)["time_s"] for line in of_file.stdout.splitlines()
             if "scores" in line]
    assert times == [round((480 + 320 * i) / 16000, 3) for i in range(49)]


def test_sensor_rows_are_streamed(tmp_path):
    from edgernn.train import parts
    from tests.test_bidirectional import model_file

    model = tmp_path / "rows.tflite"
    model.write_bytes(parts.join(model_file(features=3, chunk=4, ahead=2)[0]))
    rows = "".join(f"{i % 3},{i % 5},0.5\n" for i in range(11))
    done = run("stream", "--model", model, "--input", "-", "--scores", text=rows)
    found = [json.loads(line) for line in done.stdout.splitlines() if "scores" in line]
    assert [line["time_s"] for line in found] == [float(i) for i in range(1, 12)]
