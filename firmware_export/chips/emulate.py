"""Programs of emulated chips."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from edgernn.errors import BackendError
from firmware_export.chips.chip import Chip
from firmware_export.template import fill

HERE = resources.files("firmware_export") / "chips"
FLASH_SIZE, RAM_SIZE = "0x00080000", "0x00080000"
"""The least that one of the boards has."""
PACKAGES = {"qemu-system-arm": "qemu-system-arm", "qemu-system-riscv32": "qemu-system-misc",
            "gcc": "gcc"}
"""Of Debian, by what is in them."""


@dataclass(frozen=True)
class Run:
    """What a program did."""

    code: int
    """With which it ended."""
    printed: str
    output: bytes
    """What it wrote to its file."""


def missing(chip: Chip) -> tuple[str, ...]:
    """Debian's packages that building and running for a chip needs and that are not here."""
    wanted = {f"{chip.prefix}gcc": chip.package, chip.emulator: PACKAGES[chip.emulator]}
    return tuple(package for tool, package in wanted.items() if not shutil.which(tool))


def build(chip: Chip, sources: Sequence[Path], include: Sequence[Path], out: Path,
          flags: Sequence[str] = ("-O2",)) -> Path:
    """Compile and link a program that has ``int chip_main(void)``; see chip.h.

    Parameters
    ----------
    chip : Chip
    sources, include : sequence of path
    out : path
        The ELF file; ``out.map`` is beside it.
    flags : sequence of str
        More for the compiler.

    Raises
    ------
    BackendError
        If the tools are missing, or refuse the sources; with what they said.
    """
    lacking = missing(chip)
    if lacking:
        raise BackendError(f"there is no compiler or emulator for a {chip.name}. Install them: "
                           f"apt install {' '.join(lacking)}")
    script = out.with_suffix(".ld")
    script.write_text(fill((HERE / "chip.ld").read_text("utf-8"), {
        "name": chip.name, "entry": chip.entry, "flash": f"{chip.flash:#010x}",
        "ram": f"{chip.ram:#010x}", "flash_size": FLASH_SIZE, "ram_size": RAM_SIZE}))
    with resources.as_file(HERE) as here:
        done = subprocess.run(
            [f"{chip.prefix}gcc", *chip.flags, "-std=c99", "-ffreestanding", "-nostdlib",
             "-ffunction-sections", "-fdata-sections", *flags, f"-I{here}",
             *(f"-I{folder}" for folder in include), f"-T{script}", "-Wl,--gc-sections",
             f"-Wl,-Map={out.with_suffix('.map')}", "-o", str(out), str(here / "chip.c"),
             *map(str, sources), "-lgcc"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackendError(f"{chip.prefix}gcc refuses the sources for a {chip.name}: "
                           f"{done.stderr.strip()[:1500]}")
    return out


def run(chip: Chip, program: Path, given: bytes = b"", timeout_s: float = 120,
        plugin: Sequence[str] = ()) -> Run:
    """Run a program to its end.

    Parameters
    ----------
    chip : Chip
    program : path
        The ELF file.
    given : bytes
        What it reads from its file.
    timeout_s : float
    plugin : sequence of str
        More for QEMU.

    Raises
    ------
    BackendError
        If it does not end in time.
    """
    with tempfile.TemporaryDirectory(prefix="edgernn-") as name:
        folder = Path(name)
        (folder / "input").write_bytes(given)
        (folder / "output").touch()
        command = [chip.emulator, "-machine", chip.machine, *(("-cpu", chip.cpu) if chip.cpu
                   else ()), "-bios", "none", "-nographic", "-monitor", "none", "-serial", "none",
                   "-semihosting-config", "enable=on,target=native", *plugin, "-kernel",
                   str(program.absolute())]
        if chip.emulator == "qemu-system-arm":
            command[command.index("-bios"):command.index("-bios") + 2] = []
        try:
            done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired as problem:
            raise BackendError(f"{program.name} on a {chip.name} did not end within "
                               f"{timeout_s:g} s. Give it less to do") from problem
        return Run(done.returncode, done.stdout + done.stderr, (folder / "output").read_bytes())


def instructions(chip: Chip, program: Path, given: bytes = b"",
                 timeout_s: float = 120) -> list[int]:
    """Instructions of each passage from ``chip_begin()`` to ``chip_end()``, calls included.

    Parameters and errors are those of `run`.
    """
    at = symbols(chip, program)
    with tempfile.TemporaryDirectory(prefix="edgernn-") as name, resources.as_file(
            HERE) as here:
        plugin, counts = Path(name) / "counter.so", Path(name) / "counts"
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(plugin),
                        str(here / "counter.c")], check=True)
        found = run(chip, program, given, timeout_s, [
            "-plugin", f"{plugin},begin={at['chip_begin']:#x},end={at['chip_end']:#x},"
                       f"out={counts}"])
        if found.code or not counts.exists():
            raise BackendError(f"{program.name} on a {chip.name} ended with {found.code}: "
                               f"{found.printed[:500]}")
        return [int(line) for line in counts.read_text().split()]


def symbols(chip: Chip, program: Path) -> dict[str, int]:
    """Addresses by name, without the bit that says Thumb."""
    said = subprocess.run([f"{chip.prefix}nm", str(program)], capture_output=True, text=True,
                          check=True).stdout
    return {name: int(address, 16) & ~(chip.emulator == "qemu-system-arm")
            for address, name in re.findall(r"^([0-9a-f]+) [A-Za-z] (\S+)$", said, re.M)}


def sections(chip: Chip, objects: Sequence[Path]) -> dict[str, int]:
    """Bytes of flash (code and constants) and of RAM that objects take, as ``size`` says."""
    said = subprocess.run([f"{chip.prefix}size", *map(str, objects)], capture_output=True,
                          text=True, check=True).stdout
    text, data, bss = (sum(column) for column in zip(
        *(map(int, line.split()[:3]) for line in said.splitlines()[1:]), strict=True))
    return {"flash": text + data, "ram": data + bss}
