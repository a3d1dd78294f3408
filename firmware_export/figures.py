"""What an exported project costs on emulated chips: instructions, flash, memory and stack.

The chips are emulated, so instructions are exact and cycles are not known.
"""

import statistics
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edgernn.spec import LogMelSpec
from firmware_export import chips
from firmware_export.chips.emulate import missing
from firmware_export.project import Source
from firmware_export.template import fill

STEPS = 16
"""Steps of which the mean is given; they differ by a few instructions."""

PROGRAM = """
#include "chip.h"
#include "@name@_model.h"

static uint32_t seed = 1u;

static uint32_t any(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

#if @step@
static @name@_state state;
static @name@_feature features[@NAME@_FEATURES];
static @name@_score scores[@NAME@_LABELS];
#endif
#if @audio@
static @name@_logmel frontend;
static int16_t samples[@NAME@_HOP], codes[@NAME@_FEATURES];
#endif

int chip_main(void)
{
    int step, i;
    uint32_t found[3];
    (void)i;
#if @audio@
    @name@_logmel_reset(&frontend);
#endif
#if @step@
    @name@_reset(&state);
#endif
    for (step = 0; step < @steps@; step++) {
#if @audio@
        size_t used = 0;
        int ready;
        for (i = 0; i < @NAME@_HOP; i++) {
            samples[i] = (int16_t)((int32_t)any() >> 18);
        }
        chip_begin();
        while (used < @NAME@_HOP) {
            used += @name@_logmel_push(&frontend, &samples[used], @NAME@_HOP - used, codes, &ready);
        }
        chip_end();
#endif
#if @step@
        for (i = 0; i < @NAME@_FEATURES; i++) {
            features[i] = (@name@_feature)(@feature@);
        }
        chip_begin();
        (void)@name@_step(&state, features, scores);
        chip_end();
#endif
    }
    found[0] = (uint32_t)chip_stack_used();
#if @step@
    found[1] = sizeof(@name@_state);
#else
    found[1] = 0u;
#endif
#if @audio@
    found[2] = sizeof(@name@_logmel);
#else
    found[2] = 0u;
#endif
    chip_write(found, sizeof found);
    (void)any();
    return 0;
}
"""


@dataclass(frozen=True)
class Cost:
    """Of one part of a project, the step or the frontend, on one chip."""

    instructions: float
    """Per step, calls included."""
    flash: int
    """Bytes of code and constants that it adds to a program."""
    ram: int
    """Bytes of its state, scratch included."""
    stack: int
    """Bytes of stack below the caller's."""


@dataclass(frozen=True)
class Figures:
    """Of a project on one chip."""

    chip: chips.Chip
    step: Cost
    frontend: Cost | None
    """Of audio: the log-mel energies of one hop."""


def figures(source: Source, name: str, files: Mapping[str, str | bytes], flag: str = "-O2",
            keys: tuple[str, ...] = tuple(chips.CHIPS)) -> list[Figures]:
    """Measure a project on every emulated chip whose tools are here.

    Parameters
    ----------
    source : Source
        The model.
    name : str
        What the project's functions begin with.
    files : mapping
        The project.
    flag : str
        How the compiler optimizes.
    keys : tuple of str
        Of `chips.CHIPS`.

    Returns
    -------
    list of Figures
        Empty without the tools.
    """
    wanted = [chips.CHIPS[key] for key in keys if not missing(chips.CHIPS[key])]
    with tempfile.TemporaryDirectory(prefix="edgernn-") as folder:
        root = Path(folder)
        for path, text in files.items():
            if path.endswith((".c", ".h")) and path != "main.c":
                (root / path).parent.mkdir(exist_ok=True)
                (root / path).write_text(text if isinstance(text, str) else text.decode())
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda chip: _figures(source, name, root, flag, chip), wanted))


def _figures(source: Source, name: str, root: Path, flag: str, chip: chips.Chip) -> Figures:
    audio = isinstance(source.spec.frontend, LogMelSpec)
    nothing = _cost(source, name, root, flag, chip)
    step = _cost(source, name, root, flag, chip, step=True)
    frontend = _cost(source, name, root, flag, chip, audio=True) if audio else None
    return Figures(chip, _without(step, nothing), frontend and _without(frontend, nothing))


def _without(cost: Cost, nothing: Cost) -> Cost:
    return Cost(cost.instructions, cost.flash - nothing.flash, cost.ram,
                cost.stack - nothing.stack)


def _cost(source: Source, name: str, root: Path, flag: str, chip: chips.Chip,
          step: bool = False, audio: bool = False) -> Cost:
    """Of a program that makes steps, or hears audio, or neither."""
    numbers = getattr(source.spec.frontend, "numbers", 0)
    which = f"{chip.machine}_{step:d}{audio:d}"
    program = root / f"program_{which}.c"
    program.write_text(fill(PROGRAM, {
        "name": name, "step": int(step), "audio": int(audio), "steps": STEPS,
        "feature": f"1u + any() % {numbers - 1}u" if numbers else "(int32_t)any() >> 24"}))
    sources = [root / f"{name}_model.c", *sorted((root / "ernn").glob("*.c")), program]
    elf = chips.build(chip, sources, [root, root / "ernn"], root / f"{which}.elf", (flag,))
    output = chips.run(chip, elf).output
    stack, state, frontend = (int.from_bytes(output[i:i + 4], "little") for i in (0, 4, 8))
    counts = chips.instructions(chip, elf) if step or audio else [0]
    # The first hop of a stream completes no window.
    return Cost(statistics.mean(counts[len(counts) // 2:]), chips.sections(chip, [elf])["flash"],
                state + frontend, stack)


def table(found: list[Figures]) -> str:
    """Figures as a Markdown table; without any, a sentence that says how to get them."""
    if not found:
        return ("Not measured: the compilers and emulators of the chips were not there when this "
                "was written.\nInstall them (`apt install gcc-arm-none-eabi qemu-system-arm "
                "gcc-riscv64-unknown-elf\npicolibc-riscv64-unknown-elf qemu-system-misc`) and "
                "export again.\n")
    lines = ["| emulated chip | instructions per step | flash | state and scratch | stack |",
             "|---|---|---|---|---|"]
    for one in found:
        lines.append(f"| {one.chip.name} | {_cells(one.step)} |")
        if one.frontend:
            lines.append(f"| {one.chip.name}, log-mel of a hop | {_cells(one.frontend)} |")
    return "\n".join([*lines, "", "Bytes; compiled with gcc -O2. Flash is code and constants, "
                      "weights included. The chips are emulated\n(QEMU): instructions are exact, "
                      "cycles are not known.\n"])


def _cells(cost: Cost) -> str:
    return (f"{cost.instructions:,.0f} | {cost.flash:,} | {cost.ram:,} | {cost.stack:,}")
