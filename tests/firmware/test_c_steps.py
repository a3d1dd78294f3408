"""The exported C against the emulator, byte for byte."""

import shutil
import subprocess

import pytest

from edgernn.train.profile import PROFILES
from firmware_export.project import Source
from tests import models, networks
from tests.firmware import stepping

NETWORKS = {name: (layer,) for name, layer in networks.CELLS.items()} | networks.STACKS
SANITIZED = ("-O1", "-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")

needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc: apt install gcc")


def run(program, given):
    return subprocess.run([str(program)], input=given.tobytes(), stdout=subprocess.PIPE,
                          check=True).stdout


def a_model(path, name, profile):
    if name == "text":
        return Source.read(models.texts(path))
    return Source.read(models.write_model(path / "m.tflite", *NETWORKS[name], profile=profile))


@needs_gcc
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_byte_of_two_thousand_steps_is_the_emulators(tmp_path, name, profile):
    source = a_model(tmp_path, name, profile)
    given = stepping.frames(source)
    program = stepping.build_for_host(source, tmp_path, *SANITIZED)
    assert stepping.differing(source, given, run(program, given)) == 0


@needs_gcc
def test_every_byte_of_a_model_of_tokens_is_the_emulators(tmp_path):
    source = a_model(tmp_path, "text", "")
    given = stepping.frames(source)
    program = stepping.build_for_host(source, tmp_path, *SANITIZED)
    assert stepping.differing(source, given, run(program, given)) == 0


@pytest.mark.skipif(not shutil.which("clang"), reason="needs clang: apt install clang")
@pytest.mark.parametrize("profile", PROFILES)
def test_clang_has_nothing_to_say_and_computes_the_same(tmp_path, profile):
    source = a_model(tmp_path, "gru", profile)
    given = stepping.frames(source)
    program = stepping.build_for_host(source, tmp_path, "-O2", "-Weverything",
                                      "-Wno-declaration-after-statement", "-Wno-padded",
                                      "-Wno-missing-prototypes", compiler="clang")
    assert stepping.differing(source, given, run(program, given)) == 0
