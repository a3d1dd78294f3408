"""Interpreters: whether each really runs a model, and what a step costs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from edgernn.doctor.finding import FAIL, INFO, OK, WARN, Finding

TIMEOUT_S = 60.0
NEAR = 0.05
"""Largest difference of a score from the emulator's that a good runtime has over so few steps."""
EXACT = ("c", "tflm")

# In a process of its own: a wheel for another processor, or another numpy, ends it with a signal.
TRIAL = """
import json, sys, time
import numpy as np
from edgernn.cli.models import BUNDLED
from edgernn.step import StepModel
model, oracle = StepModel.open(BUNDLED, sys.argv[1]), StepModel.open(BUNDLED, "emulator")
x = model.graph.tensor(model.spec.input).qtype
rows = np.random.default_rng(0).integers(x.low, x.high + 1, (300, model.width)).astype(x.dtype)
far = max(float(np.abs(model.step(row) - oracle.step(row)).max()) for row in rows[:100])
took = []
for row in rows:
    begin = time.perf_counter()
    model.step(row)
    took.append(time.perf_counter() - begin)
print(json.dumps([far, 1e6 * float(np.median(took))]))
"""


def runtimes() -> Iterator[Finding]:
    """Have every interpreter run the bundled model, beside the emulator."""
    from edgernn.interpreter import available

    found = available()
    if not found:
        yield Finding("interpreters", FAIL, "none; a model needs one to run",
                      'pip install "edgernn[device]"')
    for name, version in found.items():
        yield _trial(name, version)


def _trial(name: str, version: str) -> Finding:
    what, remedy = f"interpreter {name}", f"use another: --backend; or install {name} anew"
    try:
        done = subprocess.run([sys.executable, "-c", TRIAL, name], capture_output=True, text=True,
                              timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return Finding(what, FAIL, f"{version} did not answer within {TIMEOUT_S:g} s", remedy)
    if done.returncode:
        ended = (f"was ended by signal {-done.returncode}" if done.returncode < 0
                 else (done.stderr.strip().splitlines() or ["no message"])[-1])
        return Finding(what, FAIL, f"{version}: {ended:.200}", remedy)
    far, median_us = json.loads(done.stdout)
    said = f"{version}, {median_us:.1f} us a step of the bundled model"
    if name in EXACT and far:
        return Finding(what, FAIL, f"{said}; its scores differ from the emulator's by {far:.4f}, "
                       "and should not", "please report this, with the processor's name")
    if far > NEAR:
        return Finding(what, WARN, f"{said}; its scores differ from the emulator's by {far:.3f}",
                       remedy)
    return Finding(what, OK, f"{said}, " + ("exact" if not far else f"within {far:.4f}"))


def coral() -> Iterator[Finding]:
    """A Coral, on USB or PCIe, and the library that drives it."""
    from ctypes.util import find_library

    usb = {("1a6e", "089a"), ("18d1", "9302")}
    sticks = [folder for folder in Path("/sys/bus/usb/devices").glob("*")
              if (_text(folder / "idVendor"), _text(folder / "idProduct")) in usb]
    cards = list(Path("/dev").glob("apex_*"))
    library = find_library("edgetpu")
    if not sticks and not cards:
        yield Finding("Coral", INFO, "none is connected")
    elif library is None:
        yield Finding("Coral", WARN, "connected, but libedgetpu is not installed",
                      "install libedgetpu1-std from coral.ai")
    else:
        yield Finding("Coral", OK, f"{len(sticks) + len(cards)} connected, {library}")


def _text(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""
