"""An exported project, built for this machine and run: the same detections before any board."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from edgernn.errors import BackendError, ModelError

BUILD_S = 300
"""A compiler that takes longer hangs."""


class Simulation:
    """The program of an exported C project, on this machine.

    Parameters
    ----------
    folder : path
        What ``edgernn export --target c`` wrote.

    Attributes
    ----------
    name : str
        What its functions begin with.
    sample_rate : int or None
        Samples per second that it hears; None if it hears none.

    Raises
    ------
    ModelError
        If the folder holds no such project.
    """

    def __init__(self, folder: Path) -> None:
        models = sorted(folder.glob("*_model.h"))
        if len(models) != 1 or not (folder / "Makefile").exists():
            raise ModelError(f"{folder} holds {len(models)} files *_model.h; a project that "
                             "edgernn export --target c wrote was needed, which has one. Write one")
        self.folder, self.name = folder, models[0].name.removesuffix("_model.h")
        rate = re.search(r"#define \w+_SAMPLE_RATE (\d+)", models[0].read_text("utf-8"))
        self.sample_rate = int(rate.group(1)) if rate else None

    def build(self, into: Path, flags: str = "-O2 -march=native") -> Path:
        """Build it in the folder `into`, the project untouched; give the program.

        Raises
        ------
        BackendError
            If there is no make or compiler, or the compiler refuses the project; with what it
            said.
        """
        for tool in ("make", "cc"):
            if not shutil.which(tool):
                raise BackendError(f"there is no {tool}; a C compiler and make were needed. "
                                   "Install them: apt install build-essential")
        copy = Path(shutil.copytree(self.folder, into / "project"))
        done = subprocess.run(["make", "-s", "-C", str(copy), "clean", self.name,
                               f"CFLAGS={flags}"], capture_output=True, text=True, timeout=BUILD_S,
                              check=False)
        if done.returncode:
            raise BackendError(f"{self.folder} does not compile: {done.stderr.strip()[:1000]}. "
                               "Export it again, with this edgernn: edgernn export")
        return copy / self.name


def checked(program: Path) -> None:
    """Run the program's self-check.

    Raises
    ------
    ModelError
        If it fails: the project was damaged.
    """
    done = subprocess.run([str(program), "--selfcheck"], capture_output=True, text=True,
                          timeout=60, check=False)
    if done.returncode:
        raise ModelError(f"the project fails its self-check ({done.stdout.strip()}); it no longer "
                         "computes what edgernn computed. Export it again: edgernn export")


def answers(program: Path, data: bytes, *options: str) -> Iterator[dict[str, Any]]:
    """What the program prints, line by line, of input that it reads.

    Raises
    ------
    BackendError
        If it ends badly.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(data)
        given.seek(0)
        with subprocess.Popen([str(program), *options], stdin=given, stderr=said,
                              stdout=subprocess.PIPE, text=True, encoding="utf-8",
                              env={**os.environ, "LC_ALL": "C"}) as process:
            lines: IO[str] | None = process.stdout
            for line in lines or ():
                yield json.loads(line)
        if process.returncode:
            said.seek(0)
            raise BackendError(f"the program ended with {process.returncode}: "
                               f"{said.read(500).decode('utf-8', 'replace').strip()}. "
                               "Look at its input")
