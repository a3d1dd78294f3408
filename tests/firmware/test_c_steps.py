"""The exported C against the emulator, byte for byte, on this machine."""

import shutil
import subprocess

import pytest

from edgernn.train.profile import PROFILES
from tests.firmware import stepping

SANITIZED = ("-O1", "-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")

needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc: apt install gcc")
needs_clang = pytest.mark.skipif(not shutil.which("clang"),
                                 reason="needs clang: apt install clang")


def run(program, of):
    return subprocess.run([str(program), str(stepping.STEPS)], input=stepping.given(of),
                          stdout=subprocess.PIPE, check=True).stdout


@needs_gcc
@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
def test_every_byte_of_two_thousand_steps_is_the_emulators(tmp_path, profile):
    """Of every cell; plain C, and nothing undefined happens."""
    of = stepping.sources(tmp_path, profile)
    program = stepping.build_for_host(of, tmp_path, *SANITIZED, "-DERNN_PORTABLE")
    assert set(stepping.differing(of, run(program, of)).values()) == {0}


@needs_clang
@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
def test_clang_has_nothing_to_say_and_computes_the_same(tmp_path, profile):
    of = stepping.sources(tmp_path, profile)
    program = stepping.build_for_host(of, tmp_path, "-O2", "-DERNN_PORTABLE", "-Weverything",
                                      "-Wno-declaration-after-statement", "-Wno-padded",
                                      "-Wno-missing-prototypes", compiler=["clang"])
    assert set(stepping.differing(of, run(program, of)).values()) == {0}
