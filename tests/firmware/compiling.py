"""Small C programs around the hand-written files, on this machine."""

import shutil
import subprocess
from importlib import resources

import pytest

C = resources.files("firmware_export") / "c"
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic")
SANITIZED = ("-O1", "-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")
COMPILERS = ("gcc", "clang")


def program(folder, main, *sources, compiler="gcc", flags=SANITIZED):
    """Compile the text `main` with hand-written `sources`; a test without a compiler skips."""
    if not shutil.which(compiler):
        pytest.skip(f"needs {compiler}: apt install {compiler}")
    (folder / "main.c").write_text(main)
    made = folder / "main"
    subprocess.run([compiler, *FLAGS, *flags, f"-I{C}", "-o", str(made), str(folder / "main.c"),
                    *(str(C / source) for source in sources)], check=True)
    return made


def answer(made, given=b""):
    """What a program prints to stdout, of `given` on stdin."""
    done = subprocess.run([str(made)], input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
