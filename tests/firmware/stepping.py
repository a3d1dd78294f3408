"""Steps of exported models, written out byte by byte, beside the emulator's."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgernn.emulator import Emulator
from edgernn.spec import TokenSpec
from edgernn.train.profile import PROFILES
from firmware_export import chips
from firmware_export.model import ModelText
from firmware_export.project import Source, c_project
from tests import models, networks

STEPS = 2000
NETWORKS = {name: (layer,) for name, layer in networks.CELLS.items()} | networks.STACKS
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic")

HARNESS = """
#include "@_model.h"
#include "harness.h"

/* The self-check; then frames in, and after each the scores and the states out. */
int harness_@(int steps)
{
    static @_state state;
    @_feature features[WIDTH];
    @_score scores[sizeof state.scores / sizeof state.scores[0]];
    const int wrong = @_selfcheck(&state);
    if (wrong != 0) {
        return wrong;
    }
    @_reset(&state);
    for (; steps > 0; steps--) {
        harness_read(features, sizeof features);
        harness_begin();
        (void)@_step(&state, features, scores);
        harness_end();
        harness_write(scores, sizeof scores);
WRITES
    }
    return 0;
}
"""

HEADER = """
#include <stddef.h>
int harness(int steps);
void harness_read(void *to, size_t bytes);
void harness_write(const void *from, size_t bytes);
void harness_begin(void);
void harness_end(void);
"""

HOST = """
#include <stdio.h>
#include <stdlib.h>
#include "harness.h"
void harness_read(void *to, size_t bytes) { if (fread(to, 1, bytes, stdin) != bytes) { exit(9); } }
void harness_write(const void *from, size_t bytes) { (void)fwrite(from, 1, bytes, stdout); }
void harness_begin(void) { (void)0; }
void harness_end(void) { (void)0; }
int main(int count, char **arguments) { return count == 2 ? harness(atoi(arguments[1])) : 9; }
"""

CHIP = """
#include "chip.h"
#include "harness.h"
void harness_read(void *to, size_t bytes) { (void)chip_read(to, bytes); }
void harness_write(const void *from, size_t bytes) { chip_write(from, bytes); }
void harness_begin(void) { chip_begin(); }
void harness_end(void) { chip_end(); }
int chip_main(void)
{
    int steps, wrong;
    size_t used;
    (void)chip_read(&steps, sizeof steps);
    wrong = harness(steps);
    used = chip_stack_used();
    chip_write(&used, sizeof used);
    return wrong;
}
"""


def sources(folder: Path, profile: str) -> dict[str, Source]:
    """A model of every cell, of each stack of layers, and one of tokens."""
    found = {name: Source.read(models.write_model(folder / f"{name}_{profile}.tflite", *layers,
                                                  profile=profile))
             for name, layers in NETWORKS.items()}
    if profile == next(iter(PROFILES)):
        found["tokens"] = Source.read(models.texts(folder))
    return found


def write(of: Mapping[str, Source], folder: Path) -> list[Path]:
    """Projects side by side and a harness around them, whose I/O is to be added; the C files."""
    files: dict[str, str | bytes] = {"harness.h": HEADER}
    for name, source in of.items():
        writes = "\n".join(f"        harness_write(state.{field}, sizeof state.{field});"
                           for field in ModelText(name, source.plan).state_fields())
        files |= {file: text for file, text in c_project(source, name, ["tests"]).items()
                  if file.startswith(("ernn/", f"{name}_model"))}
        files[f"harness_{name}.c"] = HARNESS.replace("WRITES", writes).replace(
            "WIDTH", f"{name.upper()}_FEATURES").replace("@", name)
    files["harness.c"] = one_after_another(of)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text if isinstance(text, str) else text.decode())
    return [folder / name for name in files if name.endswith(".c")]


def one_after_another(of: Mapping[str, Source]) -> str:
    """harness.c: all harnesses, until one finds something wrong."""
    declared = "".join(f"int harness_{name}(int steps);\n" for name in of)
    calls = "".join(f"    if (wrong == 0) {{\n        wrong = harness_{name}(steps);\n    }}\n"
                    for name in of)
    return (f'#include "harness.h"\n{declared}int harness(int steps)\n{{\n'
            f"    int wrong = 0;\n{calls}    return wrong;\n}}\n")


def build_for_host(of: Mapping[str, Source], folder: Path, *flags: str,
                   compiler: Sequence[str] = ("gcc",)) -> Path:
    """The harness as a program of this machine."""
    files = write(of, folder)
    (folder / "host.c").write_text(HOST)
    program = folder / "steps"
    subprocess.run([*compiler, *FLAGS, *flags, f"-I{folder}", f"-I{folder / 'ernn'}", "-o",
                    str(program), str(folder / "host.c"), *map(str, files)], check=True)
    return program


def build_for_chip(of: Mapping[str, Source], folder: Path, chip: chips.Chip, *flags: str) -> Path:
    """The harness as a program of an emulated chip."""
    files = write(of, folder)
    (folder / "main_of_chip.c").write_text(CHIP)
    return chips.build(chip, [*files, folder / "main_of_chip.c"], [folder, folder / "ernn"],
                       folder / "steps.elf", flags or ("-O2",))


def frames(source: Source, steps: int = STEPS, seed: int = 3) -> np.ndarray:
    """Frames that wander over all codes, shape (steps, width)."""
    rng = np.random.default_rng(seed)
    shape = (steps, source.plan.x.count)
    if isinstance(source.spec.frontend, TokenSpec):
        return rng.integers(1, source.spec.frontend.numbers, shape).astype(np.int32)
    q = source.x
    found = rng.integers(q.low, q.high + 1, shape) // rng.choice([1, 2, 8], (steps, 1))
    return found.astype(q.dtype)


def given(of: Mapping[str, Source], steps: int = STEPS) -> bytes:
    """What the harness of these models reads."""
    return b"".join(frames(source, steps).tobytes() for source in of.values())


def differing(of: Mapping[str, Source], output: bytes, steps: int = STEPS,
              old_scales: bool = False) -> dict[str, int]:
    """In how many values what a harness wrote differs from the emulator's, for each model."""
    found, at = {}, 0
    for name, source in of.items():
        end = at + steps * _width(source)
        found[name] = _differing(source, frames(source, steps), output[at:end], old_scales)
        at = end
    assert at == len(output), f"{len(output)} bytes came, not {at}"
    return found


def _fields(source: Source) -> list[tuple[str, str, int]]:
    """Tensors that a harness writes after a step: name, type, count."""
    outputs = {pair.input: pair.output for pair in source.spec.states}
    return [(source.spec.output, source.plan.scores.dtype, source.plan.scores.count),
            *((outputs[value.name], value.dtype, value.count) for value, _ in source.plan.states)]


def _width(source: Source) -> int:
    return sum(np.dtype(dtype).itemsize * count for _, dtype, count in _fields(source))


def _differing(source: Source, given: np.ndarray, output: bytes, old_scales: bool) -> int:
    """The emulator makes every step from the states that the harness had before it.

    If all are equal, both went through the same states.
    """
    steps = len(given)
    table = np.frombuffer(output, np.uint8).reshape(steps, _width(source))
    found, at = {}, 0
    for name, dtype, count in _fields(source):
        size = np.dtype(dtype).itemsize * count
        found[name] = np.ascontiguousarray(table[:, at:at + size]).view(dtype)
        at += size
    outputs = {pair.input: pair.output for pair in source.spec.states}
    inputs = {source.spec.input: given}
    for value, zero in source.plan.states:
        after = found[outputs[value.name]]
        before = np.concatenate([np.full_like(after[:1], zero), after[:-1]])
        inputs[value.name] = before.reshape(steps, *source.graph.tensor(value.name).shape[1:])
    made = Emulator(source.graph, old_scales).run(inputs)
    return sum(int(np.count_nonzero(made[name].reshape(steps, -1) != values))
               for name, values in found.items())
