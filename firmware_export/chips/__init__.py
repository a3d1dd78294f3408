"""Emulated chips: build a program for one, run it, count its instructions, weigh it.

Bare metal: the start, the linker script and the way to the host's files are ours
(chip.c, chip.ld); QEMU is the chip.
"""

from firmware_export.chips.chip import CHIPS, Chip
from firmware_export.chips.emulate import Run, build, instructions, run, sections

__all__ = ["CHIPS", "Chip", "Run", "build", "instructions", "run", "sections"]
