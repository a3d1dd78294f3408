"""Sequences into sequences, on the device's side."""

import dataclasses
import shutil
import subprocess

import pytest

from edgernn import bundle
from edgernn.errors import FeatureError, ModelError
from edgernn.interpreter import available
from edgernn.step import StepModel
from edgernn.train.profile import PROFILES
from edgernn.train.transducer import Transducer as Batch
from edgernn.transduce import Transducer
from tests import transducers

SHAPES = [("none", False), ("dot", True), ("additive", False), ("additive", True)]


def made(attention="dot", bidirectional=True):
    chosen = transducers.config(attention, bidirectional)
    return transducers.networks(chosen, transducers.weights(chosen))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    whole = tmp_path_factory.mktemp("model") / "g2p.tflite"
    whole.write_bytes(transducers.file(made()))
    return whole


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("attention", "bidirectional"), SHAPES)
def test_one_step_at_a_time_gives_what_was_measured(tmp_path, attention, bidirectional, profile):
    networks = made(attention, bidirectional)
    files, models = transducers.emitted(networks, profile)
    path = tmp_path / "g2p.tflite"
    path.write_bytes(transducers.join(files))
    pairs = transducers.data().pairs[:20]
    batch = Batch.of_integers(networks, models).run(transducers.data().sources(pairs))
    wanted = [[transducers.SOUNDS[n - 2] for n in row] for row in batch]
    for backend in ("emulator", *({"c", "tflm"} & set(available()))):
        device = Transducer.open(path, backend)
        assert [device.run(pair.source) for pair in pairs] == wanted


@pytest.mark.parametrize("backend", sorted({"litert", "tflite-runtime"} & set(available())))
@pytest.mark.parametrize(("attention", "bidirectional"), SHAPES)
def test_every_interpreter_runs_every_part(tmp_path, attention, bidirectional, backend):
    path = tmp_path / "g2p.tflite"
    path.write_bytes(transducers.file(made(attention, bidirectional)))
    device, oracle = Transducer.open(path, backend), Transducer.open(path, "emulator")
    pairs = transducers.data().pairs[:20]
    # A step of the integer here and there turns a token of random weights, not many.
    same = [device.run(pair.source) == oracle.run(pair.source) for pair in pairs]
    assert sum(same) > len(same) // 2


@pytest.mark.skipif(not shutil.which("unzip"), reason="unzip is not installed")
def test_a_part_can_be_taken_out_and_opened_alone(path, tmp_path):
    subprocess.run(["unzip", "-q", path, "decoder.tflite", "-d", tmp_path], check=True)
    part = StepModel.open(tmp_path / "decoder.tflite", "emulator")
    assert part.labels == ("", *transducers.SOUNDS)
    assert set(part.spec.context) == {"memory", "mask"}


@pytest.mark.parametrize(("source", "what"), [
    ("", "0 tokens"), ("abcdefgabc", "10 tokens"), ("abX", "'X'"), (["a", "?!"], "'?!'")])
def test_a_source_that_the_model_cannot_read_says_why(path, source, what):
    device = Transducer.open(path, "emulator")
    with pytest.raises(FeatureError, match=what.replace("?", r"\?")):
        device.run(source)
    assert device.run("abc") == device.run("abc")


def test_a_target_is_bounded_and_has_no_end_in_it(path):
    device = Transducer.open(path, "emulator")
    for pair in transducers.data().pairs:
        found = device.run(pair.source)
        assert len(found) <= device.longest_target
        assert set(found) <= set(transducers.SOUNDS)


def test_a_missing_part_is_named(path):
    whole = bundle.read(path)
    alone = bundle.attach(whole.flatbuffer, whole.spec, {})
    assert bundle.parse(alone).parts == {}
    spec = dataclasses.replace(whole.spec, parts={})
    data = path.read_bytes().replace(b"decoder.tflite", b"decoded.tflite")
    with pytest.raises(ModelError, match="lacks its part 'decoder'"):
        bundle.parse(data)
    with pytest.raises(ModelError, match="task 'transduce' with the parts none"):
        Transducer(bundle.Bundle(path, whole.flatbuffer, spec))


def test_a_damaged_part_is_found(path):
    data = bytearray(path.read_bytes())
    at = data.rindex(b"TFL3") + 200
    for offset in range(0, 4000, 97):
        damaged = bytearray(data)
        damaged[at + offset] ^= 1
        with pytest.raises(ModelError):
            bundle.parse(bytes(damaged))


def test_parts_of_two_models_do_not_go_together(path):
    files, _ = transducers.emitted(made(), "int8")
    whole = bundle.read(path)
    mixed = dataclasses.replace(whole, parts={**whole.parts, "decoder": bundle.parse(
        bundle.attach(*files["decoder"]))})
    with pytest.raises(ModelError, match="must be equal"):
        Transducer(mixed, "emulator")


def test_a_context_of_another_shape_is_refused(path):
    decoder = Transducer.open(path, "emulator").decoder
    memory = decoder.state()[decoder.spec.context["memory"]][0]
    decoder.set_context("memory", memory)
    for name, codes in (("memory", memory[1:]), ("memory", memory.astype("int32")),
                        ("melody", memory)):
        with pytest.raises(ModelError, match=name):
            decoder.set_context(name, codes)
