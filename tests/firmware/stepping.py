"""Steps of an exported model, written out byte by byte, beside the emulator's."""

import subprocess
from pathlib import Path

import numpy as np

from edgernn.emulator import Emulator
from edgernn.spec import TokenSpec
from firmware_export.model import ModelText
from firmware_export.project import Source, c_project

STEPS = 2000
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic")

HARNESS = """
#include "m_model.h"
#include "harness.h"

static m_state state;

/* Frames in; after each, scores and states out. */
int harness(void)
{
    m_feature features[M_FEATURES];
    m_score scores[M_LABELS];
    const int wrong = m_selfcheck(&state);
    if (wrong != 0) {
        return wrong;
    }
    m_reset(&state);
    while (harness_read(features, sizeof features) != 0) {
        (void)m_step(&state, features, scores);
        harness_write(scores, sizeof scores);
WRITES
    }
    return 0;
}
"""

HEADER = """
#include <stddef.h>
int harness(void);
int harness_read(void *to, size_t bytes);
void harness_write(const void *from, size_t bytes);
"""

HOST = """
#include <stdio.h>
#include "harness.h"
int harness_read(void *to, size_t bytes) { return fread(to, 1, bytes, stdin) == bytes; }
void harness_write(const void *from, size_t bytes) { (void)fwrite(from, 1, bytes, stdout); }
int main(void) { return harness(); }
"""


def write(source: Source, folder: Path) -> list[Path]:
    """The project and a harness around it, whose I/O is still to be added; the C files."""
    writes = "\n".join(f"        harness_write(state.{field}, sizeof state.{field});"
                       for field in ModelText("m", source.plan).state_fields())
    files = c_project(source, "m", ["tests"])
    files |= {"harness.c": HARNESS.replace("WRITES", writes), "harness.h": HEADER}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text if isinstance(text, str) else text.decode())
    return [folder / name for name in files if name.endswith(".c") and name != "main.c"]


def build_for_host(source: Source, folder: Path, *flags: str, compiler: str = "gcc") -> Path:
    """The harness as a program of this machine."""
    sources = write(source, folder)
    (folder / "host.c").write_text(HOST)
    program = folder / "steps"
    subprocess.run([compiler, *FLAGS, *flags, f"-I{folder}", f"-I{folder / 'ernn'}", "-o",
                    str(program), str(folder / "host.c"), *map(str, sources)], check=True)
    return program


def frames(source: Source, steps: int = STEPS, seed: int = 3) -> np.ndarray:
    """Frames that wander over all codes, shape (steps, width)."""
    rng = np.random.default_rng(seed)
    shape = (steps, source.plan.x.count)
    if isinstance(source.spec.frontend, TokenSpec):
        return rng.integers(1, source.spec.frontend.numbers, shape).astype(np.int32)
    q = source.x
    found = rng.integers(q.low, q.high + 1, shape) // rng.choice([1, 2, 8], (steps, 1))
    return found.astype(q.dtype)


def differing(source: Source, given: np.ndarray, output: bytes) -> int:
    """Bytes in which what a harness wrote differs from the emulator's steps.

    The emulator makes every step from the states that the harness had before it: if all are
    equal, both went through the same states.
    """
    scores = source.plan.scores
    fields = [(source.spec.output, scores.dtype, scores.count)]
    outputs = {pair.input: pair.output for pair in source.spec.states}
    fields += [(outputs[value.name], value.dtype, value.count)
               for value, _ in source.plan.states]
    width = sum(np.dtype(dtype).itemsize * count for _, dtype, count in fields)
    assert len(output) == width * len(given), f"{len(output)} bytes, not {width * len(given)}"
    table = np.frombuffer(output, np.uint8).reshape(len(given), width)
    found, at = {}, 0
    for name, dtype, count in fields:
        size = np.dtype(dtype).itemsize * count
        found[name] = np.ascontiguousarray(table[:, at:at + size]).view(dtype)
        at += size
    inputs = {source.spec.input: given}
    for value, zero in source.plan.states:
        after = found[outputs[value.name]]
        before = np.concatenate([np.full_like(after[:1], zero), after[:-1]])
        inputs[value.name] = before.reshape(len(given), *source.graph.tensor(value.name).shape[1:])
    made = Emulator(source.graph).run(inputs)
    return sum(int(np.count_nonzero(made[name].reshape(len(given), -1) != found[name]))
               for name, _, _ in fields)
