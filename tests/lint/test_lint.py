"""What targets are said to run, against what they do run."""

import itertools
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from edgernn import bundle, tflite
from edgernn.lint import REFUSED, RUNS, SLOWLY, TARGETS, lint
from edgernn.train.flatbuffer import GraphWriter
from tests import networks

TRIALS = Path(__file__).with_name("trials.py")
SCALES = {"LOGISTIC": {"int8": (1 / 256, -128), "int16": (1 / 32768, 0)},
          "TANH": {"int8": (1 / 128, 0), "int16": (1 / 32768, 0)},
          "SOFTMAX": {"int8": (1 / 256, -128), "int16": (1 / 32768, 0)}}
UNARY = ("LOGISTIC", "TANH", "SOFTMAX", "RSQRT", "QUANTIZE", "CAST")
BINARY = ("ADD", "SUB", "MUL")
DTYPES = ("int8", "int16", "float32", "int32", "uint8")


def one_op(op, sources, target):
    """A model of one op of these types; its scales are those the kernels want."""
    writer = GraphWriter("one op")
    # Of a code of 0, an RSQRT must not find the root.
    zero = -128 if op == "RSQRT" and sources[0] == "int8" else 0
    ins = [writer.tensor(f"x{i}", (1, 4), dtype, *_quantized(op, dtype, (0.25, zero)))
           for i, dtype in enumerate(sources)]
    y = writer.tensor("y", (1, 4), target,
                      *_quantized(op, target, SCALES.get(op, {}).get(target, (0.5, 0))))
    writer.op(op, ins, [y])
    return writer.finish(ins, [y])


def _quantized(op, dtype, quantization):
    scale, zero_point = quantization
    plain = ("float32",) if op == "QUANTIZE" else ("float32", "int32")
    return ((), 0) if dtype in plain else ((scale,), zero_point)


def tried(backend, models, folder):
    """Whether each runs; a process that dies has refused the model at which it died."""
    path, found = folder / "models", []
    path.write_bytes(pickle.dumps(models))
    while len(found) < len(models):
        done = subprocess.run([sys.executable, str(TRIALS), backend, str(path), str(len(found))],
                              capture_output=True, timeout=300)
        found += [answer == ord("1") for answer in done.stdout]
        if done.returncode:
            found.append(False)
        assert done.returncode or len(found) == len(models)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tflm", "litert"])
def test_every_combination_of_types_is_judged_as_the_interpreter_does(backend, tmp_path):
    pytest.importorskip("tflite_micro" if backend == "tflm" else "ai_edge_litert")
    cases = [(op, (x,), y) for op in UNARY for x, y in itertools.product(DTYPES, repeat=2)]
    cases += [(op, (a, b), y) for op in BINARY
              for a, b, y in itertools.product(DTYPES[:4], repeat=3) if a in (b, y)]
    models = [one_op(*case) for case in cases]
    counts = [len(sources) for _, sources, _ in cases]
    real = tried(backend, list(zip(models, counts, strict=True)), tmp_path)
    said = [lint(tflite.read(model, to_run=False), [backend])[0].state == RUNS
            for model in models]
    answers = list(zip(cases, real, said, strict=True))
    assert [case for case, runs, claimed in answers if claimed and not runs] == []
    # Where types are mixed some kernels do not look, and read one as the other; and uint8 is of
    # models of long ago.
    withheld = [case for case, runs, claimed in answers if runs and not claimed]
    assert [case for case in withheld if len({*case[1], case[2]}) == 1
            and "uint8" not in case[1]] == []
    assert sum(claimed for _, _, claimed in answers) > 25


@pytest.mark.parametrize("profile", ["", "-int8", "-int16x8"])
@pytest.mark.parametrize("name", [*networks.CELLS, *networks.STACKS])
def test_every_model_of_ours_runs_where_it_was_seen_to(model_files, name, profile):
    graph = tflite.read(bundle.read(model_files[name + profile]).flatbuffer)
    for target in ("tflm", "litert"):
        assert [each for each in lint(graph, [target]) if each.state != RUNS] == []
    assert {each.state for each in lint(graph, ["cmsis-nn"])} <= {RUNS, SLOWLY}


def test_the_edge_tpu_takes_what_has_eight_bits_throughout(model_files):
    for name in ("gru-int8", "simple_rnn-int8"):
        graph = tflite.read(bundle.read(model_files[name]).flatbuffer)
        assert {each.state for each in lint(graph, ["edgetpu"])} == {RUNS}
    for name in ("gru", "lstm-int8", "gru-int16x8"):
        graph = tflite.read(bundle.read(model_files[name]).flatbuffer)
        refused = [each for each in lint(graph, ["edgetpu"]) if each.state == REFUSED]
        assert refused
        assert all("int16" in each.why or "CAST" in each.why for each in refused)


def test_what_is_rewritten_for_esphome_is_what_it_takes(tmp_path):
    from edgernn.spec import MicrofrontendSpec
    from edgernn.train.architecture import Layer
    from firmware_export.esphome.rewrite import rewritten
    from firmware_export.project import Source
    from tests.models import write_model

    path = write_model(tmp_path / "m.tflite", Layer("gru", 8), frontend=MicrofrontendSpec())
    before = lint(tflite.read(bundle.flatbuffer(path)), ["esphome"])
    assert {each.op for each in before if each.state == REFUSED} >= {"TANH", "SUB", "SOFTMAX"}
    after = lint(tflite.read(rewritten(Source.read(path), "label1"), to_run=False), ["esphome"])
    assert [each for each in after if each.state == REFUSED] == []


def lint_command(*arguments):
    return subprocess.run([sys.executable, "-m", "edgernn", "lint", *map(str, arguments)],
                          capture_output=True, text=True)


def test_a_refusal_names_op_layer_reason_change_and_source(model_files):
    done = lint_command(model_files["lstm"], "--target", "esphome", "--json")
    assert done.returncode == 1
    refused = [each for each in json.loads(done.stdout)["verdicts"] if each["state"] == REFUSED]
    tanh = next(each for each in refused if each["op"] == "TANH")
    assert tanh["tensor"].startswith("lstm")
    assert "has no TANH" in tanh["why"]
    assert "edgernn export --target esphome" in tanh["change"]
    assert tanh["source"].endswith("streaming_model.cpp")


def test_people_get_few_lines_and_sources_if_they_ask(model_files):
    done = lint_command(model_files["gru"])
    assert done.returncode == 0  # none was asked for
    assert len(done.stdout.splitlines()) < 60
    for name in TARGETS:
        assert f"{name}: " in done.stdout
    assert "micro_mutable_op_resolver.h" not in done.stdout
    assert "kernels/tanh.cc" in lint_command(model_files["gru"], "--sources").stdout


def test_what_is_no_model_is_one_clear_error(tmp_path):
    path = tmp_path / "no.tflite"
    path.write_bytes(b"no model")
    done = lint_command(path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "TFL3" in done.stderr
