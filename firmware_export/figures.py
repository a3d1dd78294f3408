"""What an exported project costs on emulated chips: instructions, flash, memory and stack.

The chips are emulated, so instructions are exact and cycles are not known.
"""

import statistics
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edgernn.errors import BackendError
from edgernn.spec import LogMelSpec
from firmware_export import chips
from firmware_export.chips.emulate import missing
from firmware_export.project import Source
from firmware_export.template import fill

STEPS = 16
"""Steps of which the mean is given; they differ by a few instructions."""

PROGRAM = """
#include "chip.h"
#include "@header@"

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
    int step, i, refused = 0;
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
        refused |= @name@_step(&state, features, scores);
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
    return refused != 0;
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


def figures(source: Source, name: str, files: Mapping[str, str | bytes],
            flags: tuple[str, ...] = ("-O2",),
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
    flags : tuple of str
        For the compiler: how it optimizes, and what else the project understands.
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
            return list(pool.map(lambda chip: _figures(source, name, root, flags, chip), wanted))


def _figures(source: Source, name: str, root: Path, flags: tuple[str, ...],
             chip: chips.Chip) -> Figures:
    def made(**parts: bool) -> Cost:
        which = "_".join([chip.machine, *parts])
        text = root / f"program_{which}.c"
        text.write_text(program(source, name, f"{name}_model.h", **parts))
        sources = [root / f"{name}_model.c", *sorted((root / "ernn").glob("*.c")), text]
        elf = root / f"{which}.elf"
        chips.build(chip, sources, [root, root / "ernn"], elf, flags)
        return cost(chip, elf, bool(parts))

    nothing, step = made(), made(step=True)
    frontend = made(audio=True) if isinstance(source.spec.frontend, LogMelSpec) else None
    return Figures(chip, without(step, nothing), frontend and without(frontend, nothing))


def without(cost: Cost, nothing: Cost) -> Cost:
    """What a program costs more than one that does nothing."""
    return Cost(cost.instructions, cost.flash - nothing.flash, cost.ram,
                cost.stack - nothing.stack)


def program(source: Source, name: str, header: str, step: bool = False,
            audio: bool = False) -> str:
    """C of a program that makes steps, or hears audio, or neither, for `cost` to look at."""
    numbers = getattr(source.spec.frontend, "numbers", 0)
    return fill(PROGRAM, {
        "name": name, "header": header, "step": int(step), "audio": int(audio), "steps": STEPS,
        "feature": f"1u + any() % {numbers - 1}u" if numbers else "(int32_t)any() >> 24"})


def cost(chip: chips.Chip, elf: Path, counted: bool) -> Cost:
    """Of the whole of such a program; `counted` are instructions if it does anything."""
    done = chips.run(chip, elf)
    if done.code:
        raise BackendError(f"the step of {elf.name} on a {chip.name} failed: {done.printed[:500]}")
    output = done.output
    stack, state, frontend = (int.from_bytes(output[i:i + 4], "little") for i in (0, 4, 8))
    counts = chips.instructions(chip, elf) if counted else [0]
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
        lines.append(f"| {one.chip.name} | {cells(one.step)} |")
        if one.frontend:
            lines.append(f"| {one.chip.name}, log-mel of a hop | {cells(one.frontend)} |")
    return "\n".join([*lines, "", "Bytes; compiled with gcc -O2. Flash is code and constants, "
                      "weights included. The chips are emulated\n(QEMU): instructions are exact, "
                      "cycles are not known.\n"])


def cells(cost: Cost) -> str:
    return (f"{cost.instructions:,.0f} | {cost.flash:,} | {cost.ram:,} | {cost.stack:,}")
