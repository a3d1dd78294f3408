"""Kernels for the machines that edgernn itself runs on: the same bytes as portable C."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edgernn.train.profile import PROFILES
from tests.firmware import stepping

pytestmark = pytest.mark.slow

KERNELS = Path(__file__).resolve().parent.parent.parent / "firmware_export" / "c"
SANITIZED = ("-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")
AVX512 = ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vbmi", "-mavx512vnni")
NATIVE = {"avx2": ("-mavx2",), "vnni": AVX512}
ARM = {"neon": (), "neon with dot products": ("-march=armv8.2-a+dotprod",)}

needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc: apt install gcc")
needs_arm = pytest.mark.skipif(
    not shutil.which("aarch64-linux-gnu-gcc") or not shutil.which("qemu-aarch64-static"),
    reason="needs: apt install gcc-aarch64-linux-gnu qemu-user-static")


def needs(target):
    """Skip where the processor lacks these instructions."""
    cpuinfo = Path("/proc/cpuinfo")
    there = cpuinfo.read_text().replace("_", "") if cpuinfo.exists() else ""
    if not all(flag.removeprefix("-m") in there for flag in NATIVE[target]):
        pytest.skip(f"this processor lacks {target}")


def compared(folder, compiler, flags):
    """The program that compares kernels made with `flags` with portable ones."""
    text = "".join(path.read_text() for path in sorted(KERNELS.iterdir()))
    names = sorted(set(re.findall(r"\bernn_(\w+)(?=[(\[])", text)))
    (folder / "rename.h").write_text("".join(f"#define ernn_{name} plain_{name}\n"
                                             for name in names))
    declared = re.sub(r"\bernn_(\w+)\(", r"plain_\1(", "\n".join(
        re.findall(r"^void ernn_[^;]*;", (KERNELS / "ernn.h").read_text(), re.M)))
    (folder / "plain.h").write_text('#include "ernn.h"\n' + declared + "\n")
    files = [str(path) for path in sorted(KERNELS.glob("*.c"))]
    common = [*compiler, *stepping.FLAGS, f"-I{KERNELS}", f"-I{folder}"]
    (folder / "plain").mkdir()
    subprocess.run([*common, "-O2", "-DERNN_PORTABLE", "-include", str(folder / "rename.h"), "-c",
                    *files], check=True, cwd=folder / "plain")
    program = folder / "compare"
    subprocess.run([*common, *flags, str(Path(__file__).parent / "compare_kernels.c"), *files,
                    *map(str, (folder / "plain").glob("*.o")), "-o", str(program)], check=True)
    return program


@needs_gcc
@pytest.mark.parametrize("target", NATIVE)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_kernels_of_this_machine_equal_portable_ones(tmp_path, target, compiler):
    needs(target)
    if not shutil.which(compiler):
        pytest.skip(f"needs {compiler}: apt install {compiler}")
    program = compared(tmp_path, [compiler], ("-O1", *SANITIZED, *NATIVE[target]))
    done = subprocess.run([str(program), "60"], capture_output=True, text=True)
    assert done.stdout.startswith(f"{target} "), done.stdout + done.stderr


@needs_arm
@pytest.mark.parametrize("target", ARM)
def test_kernels_of_the_pi_equal_portable_ones(tmp_path, target):
    program = compared(tmp_path, ["aarch64-linux-gnu-gcc", "-static"], ("-O2", *ARM[target]))
    done = subprocess.run(["qemu-aarch64-static", "-cpu", "max", str(program), "40"],
                          capture_output=True, text=True)
    assert done.stdout.startswith(f"{target} "), done.stdout + done.stderr


@pytest.mark.slow
@needs_gcc
@pytest.mark.parametrize("target", NATIVE)
@pytest.mark.parametrize("profile", PROFILES)
def test_every_byte_of_every_cell_is_the_emulators(tmp_path, profile, target):
    """And nothing undefined happens on the way."""
    needs(target)
    of = stepping.sources(tmp_path, profile)
    program = stepping.build_for_host(of, tmp_path, "-O1", *SANITIZED, *NATIVE[target])
    assert differing(of, [str(program)]) == {0}


@pytest.mark.slow
@needs_arm
@pytest.mark.parametrize("target", ARM)
@pytest.mark.parametrize("profile", PROFILES)
def test_every_byte_of_every_cell_on_the_pi_is_the_emulators(tmp_path, profile, target):
    of = stepping.sources(tmp_path, profile)
    program = stepping.build_for_host(of, tmp_path, "-O2", *ARM[target],
                                      compiler=["aarch64-linux-gnu-gcc", "-static"])
    assert differing(of, ["qemu-aarch64-static", "-cpu", "max", str(program)]) == {0}


def differing(of, command):
    """Counts of bytes that differ over 400 steps of each model."""
    output = subprocess.run([*command, "400"], input=stepping.given(of, 400),
                            stdout=subprocess.PIPE, check=True).stdout
    return set(stepping.differing(of, output, 400).values())
