"""Exports for TensorFlow Lite Micro: what they hold computes, and what they refuse."""

import dataclasses
import re
import shutil
import subprocess
from functools import partial

import numpy as np
import pytest

from edgernn.errors import ModelError
from edgernn.interpreter import open_runtime
from edgernn.spec import ModelSpec
from edgernn.train.architecture import Layer
from edgernn.train.emit import emit
from edgernn.train.profile import PROFILES
from firmware_export.project import Source
from firmware_export.tflm import TARGETS, arena, tflm_project
from firmware_export.tflm.ops import ADDERS
from firmware_export.tflm.project import state_fields
from tests import models
from tests.firmware import stepping

ARENA = 100_000
STEPS = 200
tflm = partial(tflm_project, name="kws", command=["tests"], target=TARGETS["tflm"],
               arena_bytes=ARENA)


def a_source(folder, *layers, **options):
    return Source.read(models.write_model(folder / "kws.tflite", *layers, **options))


def array_bytes(text):
    """The bytes of the one array of C text, and its name."""
    found = re.search(r"alignas\(16\) const unsigned char (\w+)\[\] = \{(.*?)\};", text, re.S)
    return found.group(1), bytes(int(byte, 16) for byte in re.findall("0x(..)", found.group(2)))


def numbers(text, name):
    """The values of a constant array of C text."""
    found = re.search(rf" {name}(?:\[\d+\])+ = \{{(.*?)\}};", text, re.S).group(1)
    return np.array([int(n) for n in re.findall(r"-?\d+", re.sub(r"/\*.*?\*/", "", found))])


def in_tflm(flatbuffer, source, frames):
    """Every step of the interpreter of tflite-micro, its states carried: outputs by name."""
    graph = source.graph
    runtime = open_runtime("tflm", flatbuffer, graph, source.spec)
    outputs = [graph.tensors[i].name for i in graph.outputs]
    states = {pair.input: np.full(graph.tensor(pair.input).shape,
                                  graph.tensor(pair.input).qtype.zero_point,
                                  graph.tensor(pair.input).dtype) for pair in source.spec.states}
    for frame in frames:
        given = {source.spec.input: frame[None], **states}
        made = dict(zip(outputs, runtime.invoke(
            [np.ascontiguousarray(given[graph.tensors[i].name]) for i in graph.inputs]),
            strict=True))
        states = {pair.input: made[pair.output] for pair in source.spec.states}
        yield made


@pytest.mark.parametrize("name", ["gru", "lstm", "crnn", "transformer"])
@pytest.mark.parametrize("profile", PROFILES)
def test_the_bytes_in_the_array_compute_in_tflm_what_the_emulator_computes(
        tmp_path, name, profile):
    source = a_source(tmp_path, *stepping.NETWORKS[name], profile=profile)
    flatbuffer = array_bytes(tflm(source)["src/kws_model_data.cc"])[1]
    written = b""
    for made in in_tflm(flatbuffer, source, stepping.frames(source, STEPS)):
        written += made[source.spec.output].tobytes()
        outputs = {pair.input: pair.output for pair in source.spec.states}
        written += b"".join(made[outputs[value.name]].tobytes() for value, _ in source.plan.states)
    assert stepping.differing({"m": source}, written, STEPS) == {"m": 0}


@pytest.mark.parametrize("name", ["gru", "ln_lstm", "tokens"])
def test_golden_frames_make_the_golden_scores_and_states_in_tflm(tmp_path, name):
    source = Source.read(models.texts(tmp_path)) if name == "tokens" else (
        a_source(tmp_path, *stepping.NETWORKS[name]))
    text = tflm(source)["src/kws_golden.h"]
    x = source.graph.tensor(source.spec.input)
    frames = numbers(text, "golden_features").reshape(-1, x.shape[-1]).astype(x.dtype)
    assert len(frames) >= 3
    assert len(np.unique(frames)) > 3  # not trivial
    made = list(in_tflm(source.flatbuffer, source, frames))
    scores = np.concatenate([one[source.spec.output].reshape(-1) for one in made])
    assert np.array_equal(scores, numbers(text, "golden_scores"))
    for pair in source.spec.states:
        field = state_fields(source)[pair.input]
        assert np.array_equal(made[-1][pair.output].reshape(-1), numbers(text, f"golden_{field}"))


def test_states_are_copied_between_the_places_that_the_names_have(tmp_path):
    """Two layers, so that a wrong order would still fit."""
    source = a_source(tmp_path, Layer("gru", 16), Layer("gru", 16))
    text, graph, fields = tflm(source)["src/kws.cc"], source.graph, state_fields(source)
    found = {verb: dict(re.findall(rf"{verb}\((\d), state->(\w+)", text))
             for verb in ("give", "take")}
    places = {verb: {name: str(i) for i, name in enumerate(graph.tensors[j].name for j in of)}
              for verb, of in (("give", graph.inputs), ("take", graph.outputs))}
    assert len(source.spec.states) == 2
    for pair in source.spec.states:
        assert found["give"][places["give"][pair.input]] == fields[pair.input]
        assert found["take"][places["take"][pair.output]] == fields[pair.input]


def test_the_resolver_has_exactly_the_ops_of_the_model(tmp_path):
    source = a_source(tmp_path, Layer("lstm", 8))
    text = tflm(source)["src/kws.cc"]
    added = re.findall(r"resolver\.(Add\w+)\(\)", text)
    assert sorted(added) == sorted({ADDERS[op.name] for op in source.graph.ops})
    assert re.findall(r"MicroMutableOpResolver<(\d+)>", text) == [str(len(added))]


@pytest.mark.slow
def test_the_measured_arena_is_enough_and_the_next_smaller_is_not(tmp_path):
    source = a_source(tmp_path)
    found = arena.measure(source.flatbuffer, source.graph)
    assert found.margin > 0
    assert arena._run(source.flatbuffer, found.used).returncode == 0
    assert arena._run(source.flatbuffer, found.used - arena.GRAIN).returncode != 0
    text = tflm(source, arena_bytes=0)["src/kws.h"]
    assert f"#define KWS_ARENA_BYTES {found.used + found.margin}\n" in text
    assert f"{found.used:,} bytes" in text
    assert f"{found.margin:,} more" in text


def test_the_model_is_written_without_its_json(tmp_path):
    source = a_source(tmp_path)
    name, data = array_bytes(tflm(source)["src/kws_model_data.cc"])
    assert name == "g_kws_model_data"
    assert data == source.flatbuffer
    assert b"edgernn.json" not in data
    assert f"g_kws_model_data_size = {len(data)};" in tflm(source)["src/kws_model_data.cc"]


@pytest.mark.parametrize(("file", "name"), [
    ("kws.tflite", "kws_tflite"), ("my-model 2.tflite", "my_model_2_tflite"),
    ("8k.tflite", "__8k_tflite")])
def test_names_are_those_of_xxd_on_request(tmp_path, file, name):
    a_source(tmp_path).path.rename(tmp_path / file)
    files = tflm(Source.read(tmp_path / file), xxd=True)
    assert array_bytes(files["src/kws_model_data.cc"])[0] == name
    assert f"{name}_len = " in files["src/kws_model_data.cc"]
    assert f"tflite::GetModel({name})" in files["src/kws.cc"]


# ---- what is refused ------------------------------------------------------------------


def test_a_name_that_is_no_identifier_is_refused(tmp_path):
    source = a_source(tmp_path)
    for name in ("my-kws", "2kws", "int", "class", "", "k" * 40, "ernn", "a b"):
        with pytest.raises(ModelError, match="--name kws"):
            tflm(source, name=name)


def test_an_op_that_edgernn_does_not_emit_is_named_with_its_layer(tmp_path):
    source = a_source(tmp_path)
    ops = list(source.graph.ops)
    at = next(i for i, op in enumerate(ops) if op.name == "TANH")
    ops[at] = dataclasses.replace(ops[at], name="OP_117")
    strange = dataclasses.replace(source, graph=dataclasses.replace(source.graph, ops=tuple(ops)))
    with pytest.raises(ModelError, match=r"OP_117, which makes 'gru0_new' of the layer 'gru0'.*"
                                         r"edgernn quantize"):
        tflm(strange)


@pytest.mark.parametrize(("layer", "op", "at"), [
    ("transformer", "RSQRT", "transformer1"), ("crnn", "BATCH_MATMUL", "attention_pool3"),
    ("ln_gru", "RSQRT", "ln_gru0")])
def test_an_op_that_a_targets_runtime_lacks_is_named_with_its_layer(
        tmp_path, one_scale, layer, op, at):
    source = a_source(tmp_path, *stepping.NETWORKS[layer])
    with pytest.raises(ModelError, match=rf"{op}, which makes '\w+' of the layer '{at}'; the "
                                         r"library Chirale.*--target c"):
        tflm(source, target=TARGETS["arduino"])
    assert tflm(source)


@pytest.fixture
def one_scale(monkeypatch):
    """Models are made with ``--weights per-tensor``."""
    monkeypatch.setattr(models, "emit", partial(emit, per_channel=False))


@pytest.mark.parametrize(("target", "profile"), [
    ("arduino", "int8"), ("platformio", "int8x16"), ("esp-idf", "int16x8")])
def test_scales_that_a_targets_runtime_would_not_look_at_are_refused(tmp_path, target, profile):
    source = a_source(tmp_path, profile=profile)
    with pytest.raises(ModelError, match=r"FULLY_CONNECTED, which makes 'gru0_.*--weights "
                                         r"per-tensor"):
        tflm(source, target=TARGETS[target])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_with_one_scale_is_written_for_every_target(
        tmp_path, target, profile, one_scale):
    assert tflm(a_source(tmp_path, profile=profile), target=TARGETS[target])


# ---- labels ---------------------------------------------------------------------------

NASTY = ('"', "\\", "new\nline", "*/ int x;", "??/", "größer", "\x01", "%s%n", '\\"); system("')

PRINTER = """
#include <stdio.h>
#include <string.h>
#include "kws.h"
int main(void)
{
    int i;
    for (i = 0; i < KWS_LABELS; i++) {
        (void)fwrite(kws_labels[i], 1, strlen(kws_labels[i]) + 1u, stdout);
    }
    return 0;
}
"""


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc: apt install gcc")
def test_any_label_survives_the_compiler(tmp_path):
    source = a_source(tmp_path, labels=len(NASTY))
    spec: ModelSpec = dataclasses.replace(source.spec, labels=NASTY, detector=None)
    files = tflm(dataclasses.replace(source, spec=spec))
    written = [tmp_path / "main.c"]
    written[0].write_text(PRINTER)
    for path, text in files.items():
        if path.startswith("src/") and path.endswith((".c", ".h")):
            (tmp_path / path.removeprefix("src/")).write_text(text)
            written += [tmp_path / path.removeprefix("src/")] * path.endswith(".c")
    subprocess.run(["gcc", *stepping.FLAGS, f"-I{tmp_path}", "-o", str(tmp_path / "labels"),
                    *map(str, written)], check=True)
    said = subprocess.run([str(tmp_path / "labels")], capture_output=True, check=True).stdout
    assert said.split(b"\0")[:-1] == [label.encode() for label in NASTY]
