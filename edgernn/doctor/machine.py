"""Python, processor, permissions, power and disk."""

import os
import platform
import shutil
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from edgernn.doctor.finding import FAIL, INFO, OK, WARN, Finding

OLDEST, NEWEST = (3, 10), (3, 13)
LEAST_MB = 100
THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
PROBLEMS_NOW = {0: "the voltage is too low", 1: "the clock is capped", 2: "it is throttled",
                3: "it is near its limit of temperature"}
"""Bits of a Pi's get_throttled that speak of the present; 16 higher, of the time since start."""


def python() -> Iterator[Finding]:
    """Its version, and whether it is 32 bits on a 64-bit machine."""
    version = sys.version_info[:2]
    bits = 8 * struct.calcsize("P")
    found = f"{platform.python_version()}, {bits} bits, {platform.machine()}"
    if not OLDEST <= version <= NEWEST:
        yield Finding("Python", FAIL, found, "edgernn needs Python {}.{} to {}.{}: "
                      "apt install python3.11 python3.11-venv".format(*OLDEST, *NEWEST))
    else:
        yield Finding("Python", OK, found)


def kernels() -> Iterator[Finding]:
    """Which compiled kernels this processor gets."""
    from edgernn.native import kernels as native

    try:
        target = native.best().TARGET
    except ImportError:
        yield Finding("C kernels", WARN, "edgernn was installed without a compiler; it works, "
                      "with an interpreter, but several times slower",
                      "apt install gcc python3-dev, then: pip install --force-reinstall edgernn")
        return
    yield Finding("C kernels", OK, f"{target}, the best of "
                  f"{', '.join(native.compiled())}")


def permissions() -> Iterator[Finding]:
    """Sound cards and serial ports that are there but closed to us."""
    if platform.system() != "Linux":
        return
    cards = sorted(Path("/dev/snd").glob("pcm*c")) if Path("/dev/snd").is_dir() else []
    yield from _access("sound cards", cards, "audio")
    ports = [path for pattern in ("ttyACM*", "ttyUSB*", "ttyAMA*")
             for path in sorted(Path("/dev").glob(pattern))]
    yield from _access("serial ports", ports, "dialout")


def _access(what: str, paths: list[Path], group: str) -> Iterator[Finding]:
    closed = [str(path) for path in paths if not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        yield Finding(what, WARN, f"{', '.join(closed)} may not be opened",
                      f"sudo usermod -aG {group} $USER, then log in again")
    elif paths:
        yield Finding(what, OK, ", ".join(map(str, paths)))
    else:
        yield Finding(what, INFO, "none")


def power() -> Iterator[Finding]:
    """What slows a small computer down."""
    if THROTTLED.exists():
        bits = int(THROTTLED.read_text().strip(), 16)
        now = [text for bit, text in PROBLEMS_NOW.items() if bits >> bit & 1]
        past = [text for bit, text in PROBLEMS_NOW.items() if bits >> (bit + 16) & 1]
        if now or past:
            yield Finding("power", WARN, ("now: " + ", ".join(now) if now else
                                          "since it was started: " + ", ".join(past)),
                          "a power supply made for this Pi; a heat sink or a fan")
        else:
            yield Finding("power", OK, "never throttled since it was started")
    if GOVERNOR.exists():
        governor = GOVERNOR.read_text().strip()
        if governor == "powersave":
            yield Finding("clock", WARN, f"the governor is {governor!r}: the slowest there is",
                          "echo ondemand | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/"
                          "scaling_governor")
        else:
            yield Finding("clock", OK, f"the governor is {governor!r}")


def disk() -> Iterator[Finding]:
    """Room for logs and models where we are."""
    free = shutil.disk_usage(Path.cwd()).free / 1e6
    if free < LEAST_MB:
        yield Finding("disk", WARN, f"{free:,.0f} MB free in {Path.cwd()}",
                      "make room, or work elsewhere: logs and models need some")
    else:
        yield Finding("disk", OK, f"{free / 1000:,.1f} GB free")
