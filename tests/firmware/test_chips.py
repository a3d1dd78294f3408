"""Emulated chips: what they run is what the emulator computes."""

import pytest

from edgernn.train.profile import PROFILES
from firmware_export import chips
from firmware_export.chips.emulate import missing
from tests.firmware import stepping

HELLO = """
#include "chip.h"
int chip_main(void)
{
    char text[8];
    const size_t got = chip_read(text, sizeof text);
    chip_print("hello\\n");
    chip_write(text, got);
    return 7;
}
"""

COUNTED = """
#include "chip.h"
int chip_main(void)
{
    int i;
    for (i = 1; i <= 3; i++) {
        chip_begin();
        __asm__ volatile(LOOP : : "r"(100 * i) : TEMPORARY, "cc");
        chip_end();
    }
    return 0;
}
"""
LOOPS = {"arm": ('"mov r3, %0\\n1: subs r3, #1\\nbne 1b"', '"r3"'),
         "riscv": ('"mv t0, %0\\n1: addi t0, t0, -1\\nbnez t0, 1b"', '"t0"')}

EVERY_CHIP = [
    pytest.param(chip, id=name, marks=[pytest.mark.slow, pytest.mark.skipif(
        bool(missing(chip)), reason=f"needs apt install {' '.join(missing(chip))}")])
    for name, chip in chips.CHIPS.items()]


def build(chip, tmp_path, text):
    (tmp_path / "main.c").write_text(text)
    return chips.build(chip, [tmp_path / "main.c"], [], tmp_path / "main.elf")


@pytest.mark.parametrize("chip", EVERY_CHIP)
def test_a_program_reads_writes_prints_and_ends(chip, tmp_path):
    done = chips.run(chip, build(chip, tmp_path, HELLO), b"12345")
    assert (done.code, done.printed, done.output) == (7, "hello\n", b"12345")


@pytest.mark.parametrize("chip", EVERY_CHIP)
def test_instructions_of_a_loop_of_two_are_counted(chip, tmp_path):
    loop, temporary = LOOPS["riscv" if "riscv" in chip.prefix else "arm"]
    text = COUNTED.replace("LOOP", loop).replace("TEMPORARY", temporary)
    counts = chips.instructions(chip, build(chip, tmp_path, text))
    # Around the loop are a return and a call; they are the same each time.
    assert counts[1] - counts[0] == counts[2] - counts[1] == 200
    assert 200 < counts[0] < 215


@pytest.mark.parametrize("chip", EVERY_CHIP)
@pytest.mark.parametrize("profile", PROFILES)
def test_every_byte_of_two_thousand_steps_is_the_emulators(chip, profile, tmp_path):
    """Of every cell, with the kernels that the chip's instructions choose."""
    of = stepping.sources(tmp_path, profile)
    program = stepping.build_for_chip(of, tmp_path, chip)
    steps = stepping.STEPS.to_bytes(4, "little")
    done = chips.run(chip, program, steps + stepping.given(of), timeout_s=300)
    assert done.code == 0, done.printed
    assert set(stepping.differing(of, done.output[:-4]).values()) == {0}
    assert int.from_bytes(done.output[-4:], "little") < 2048  # bytes of stack, harness included


@pytest.mark.parametrize("chip", EVERY_CHIP)
def test_plain_c_computes_the_same(chip, tmp_path):
    of = stepping.sources(tmp_path, "int8x16")
    program = stepping.build_for_chip(of, tmp_path, chip, "-Os", "-DERNN_PORTABLE")
    steps = 200
    done = chips.run(chip, program, steps.to_bytes(4, "little") + stepping.given(of, steps))
    assert done.code == 0, done.printed
    assert set(stepping.differing(of, done.output[:-4], steps).values()) == {0}
