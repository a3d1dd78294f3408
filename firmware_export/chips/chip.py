"""The chips that exports are proven on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    """A processor, the board of QEMU that has it, and its compiler."""

    name: str
    """As people call it: Cortex-M4."""
    machine: str
    """Of QEMU."""
    emulator: str
    prefix: str
    """Of the compiler and its tools."""
    flags: tuple[str, ...]
    flash: int
    """Address at which it starts."""
    ram: int
    entry: str
    package: str
    """Of Debian, for the compiler."""
    cpu: str = ""
    """Of QEMU, where the board has several."""


def _cortex(name: str, machine: str, *flags: str) -> Chip:
    return Chip(name, machine, "qemu-system-arm", "arm-none-eabi-", ("-mthumb", *flags),
                0x00000000, 0x20000000, "chip_start", "gcc-arm-none-eabi")


CHIPS = {
    "m3": _cortex("Cortex-M3", "mps2-an385", "-mcpu=cortex-m3"),
    "m4": _cortex("Cortex-M4F", "mps2-an386", "-mcpu=cortex-m4", "-mfloat-abi=hard",
                  "-mfpu=fpv4-sp-d16"),
    "m7": _cortex("Cortex-M7", "mps2-an500", "-mcpu=cortex-m7", "-mfloat-abi=hard",
                  "-mfpu=fpv5-d16"),
    "m55": _cortex("Cortex-M55", "mps3-an547", "-mcpu=cortex-m55", "-mfloat-abi=hard"),
    "riscv": Chip("RV32IMAC", "virt", "qemu-system-riscv32", "riscv64-unknown-elf-",
                  ("-march=rv32imac", "-mabi=ilp32", "-mcmodel=medany",
                   "--specs=picolibc.specs"), 0x80000000, 0x80400000,
                  "chip_reset", "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf", "rv32"),
}
"""By the names that commands give them."""
