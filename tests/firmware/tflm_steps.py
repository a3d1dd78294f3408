"""Steps of exports for TensorFlow Lite Micro, written out byte by byte."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from firmware_export.project import Source
from firmware_export.tflm import TARGETS, tflm_project
from firmware_export.tflm.project import state_fields
from tests.firmware import stepping

AMPLE = 300_000
"""Bytes of an arena that is enough for every test's model."""
CXX = ("-std=c++17", "-Wall", "-Wextra", "-Werror", "-fno-rtti", "-fno-exceptions",
       "-DTF_LITE_STATIC_MEMORY")


def tflm() -> tuple[list[str], str]:
    """Folders of headers and the library of the TensorFlow Lite Micro that is here."""
    folders, library = (os.environ.get(name, "") for name in ("TFLM_INCLUDE_DIRS", "TFLM_LIBRARY"))
    if not folders or not library:
        pytest.skip("needs a TensorFlow Lite Micro built for this machine: set TFLM_INCLUDE_DIRS "
                    "(folders with ; between) and TFLM_LIBRARY (libtensorflow-microlite.a)")
    return folders.split(";"), library


def write(of: Mapping[str, Source], folder: Path) -> list[Path]:
    """Exports side by side and a harness around them, whose I/O is to be added."""
    files: dict[str, str | bytes] = {"harness.h": stepping.HEADER}
    for name, source in of.items():
        fields = state_fields(source)
        writes = "\n".join(f"        harness_write(state.{field}, sizeof state.{field});"
                           for field in (fields[value.name] for value, _ in source.plan.states))
        project = tflm_project(source, name, ["tests"], TARGETS["tflm"], AMPLE)
        files |= {path.removeprefix("src/"): text for path, text in project.items()
                  if path.startswith("src/")}
        files[f"harness_{name}.c"] = stepping.HARNESS.replace("@_model.h", "@.h").replace(
            "WRITES", writes).replace("WIDTH", f"{name.upper()}_FEATURES").replace("@", name)
    files["harness.c"] = stepping.one_after_another(of)
    for name, text in files.items():
        (folder / name).write_text(text if isinstance(text, str) else text.decode())
    return [folder / name for name in files if name.endswith((".c", ".cc"))]


def build(of: Mapping[str, Source], folder: Path) -> Path:
    """The harness as a program of this machine."""
    folders, library = tflm()
    sources = [*write(of, folder), folder / "host.c"]
    (folder / "host.c").write_text(stepping.HOST)
    objects = []
    for source in sources:
        words = ("g++", *CXX, *(f"-isystem{path}" for path in folders)) if (
            source.suffix == ".cc") else ("gcc", *stepping.FLAGS)
        objects.append(source.with_suffix(f"{source.suffix}.o"))
        subprocess.run([*words, "-O1", f"-I{folder}", "-c", "-o", str(objects[-1]), str(source)],
                       check=True)
    program = folder / "steps"
    subprocess.run(["g++", "-o", str(program), *map(str, objects), library], check=True)
    return program
