"""Matmuls by Arm's CMSIS-NN, where its sources are: every byte is the emulator's."""

import os
import subprocess
from pathlib import Path

import pytest

from edgernn.train.profile import PROFILES
from firmware_export import chips
from firmware_export.chips.emulate import missing
from tests.firmware import stepping
from tests.firmware.compiling import FLAGS, C

ARM_CHIPS = [
    pytest.param(chips.CHIPS[name], id=name, marks=[pytest.mark.slow, pytest.mark.skipif(
        bool(missing(chips.CHIPS[name])),
        reason=f"needs apt install {' '.join(missing(chips.CHIPS[name]))}")])
    for name in ("m3", "m4", "m55")]
USED = ("FullyConnectedFunctions/arm_fully_connected_per_channel_s8.c",
        "NNSupportFunctions/arm_nn_vec_mat_mult_t_per_ch_s8.c")


def cmsis_nn():
    """The folder of its sources."""
    found = os.environ.get("CMSIS_NN", "")
    if not found:
        pytest.skip("needs the sources of CMSIS-NN, version 7 or newer: set CMSIS_NN to the "
                    "folder that has its Include and Source")
    return Path(found)


def words(chip, folder):
    """For the compiler, besides our own files: what is asked for, and the library."""
    include = f"-I{cmsis_nn() / 'Include'}"
    objects = []
    for source in USED:
        objects.append(str(folder / Path(source).with_suffix(".o").name))
        subprocess.run([f"{chip.prefix}gcc", *chip.flags, "-O2", include, "-c", "-o", objects[-1],
                        str(cmsis_nn() / "Source" / source)], check=True)
    return ("-O2", "-DERNN_CMSIS_NN", include, *objects)


@pytest.mark.parametrize("chip", ARM_CHIPS)
@pytest.mark.parametrize("profile", PROFILES)
def test_every_byte_of_two_thousand_steps_is_the_emulators(chip, profile, tmp_path):
    flags = words(chip, tmp_path)
    of = stepping.sources(tmp_path, profile)
    program = stepping.build_for_chip(of, tmp_path, chip, *flags)
    given = stepping.STEPS.to_bytes(4, "little") + stepping.given(of)
    done = chips.run(chip, program, given, timeout_s=300)
    assert done.code == 0, done.printed
    assert set(stepping.differing(of, done.output[:-4]).values()) == {0}


@pytest.mark.parametrize("chip", ARM_CHIPS)
def test_the_compiler_has_nothing_to_say(chip, tmp_path):
    """But for the headers of CMSIS-NN itself."""
    subprocess.run([f"{chip.prefix}gcc", *chip.flags, *FLAGS, "-O2", "-DERNN_CMSIS_NN", "-isystem",
                    str(cmsis_nn() / "Include"), "-c", "-o", str(tmp_path / "fc.o"),
                    str(C / "ernn_fc_cmsis_nn.c")], check=True)
