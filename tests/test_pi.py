"""edgernn on an emulated Raspberry Pi computes what it computes here."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
NEEDS = {"arm64": ("mmdebstrap", "qemu-aarch64-static", "aarch64-linux-gnu-gcc"),
         "armhf": ("mmdebstrap", "qemu-arm-static", "arm-linux-gnueabihf-gcc")}


@pytest.mark.slow
@pytest.mark.parametrize(("arch", "processor"), [("arm64", "cortex-a76"), ("armhf", "cortex-a7")])
def test_a_debian_of_a_raspberry_pi_gives_the_same_bytes(arch, processor, tmp_path):
    missing = [tool for tool in NEEDS[arch] if not shutil.which(tool)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    if not re.search(r"\bbookworm\b", "".join(
            path.read_text() for path in Path("/etc/apt").glob("sources.list*/*.sources"))):
        pytest.skip("needs the package sources of Debian 12")
    done = subprocess.run(
        [sys.executable, PROJECT / "tools" / "pi.py", "--arch", arch, "--processor", processor,
         "--quick", "--out", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for backend in ("emulator", "c"):
        assert f"| {backend} | 16 models | " in done.stdout
        assert re.search(rf"\| {backend} \| edgernn stream, demo.tflite, demo.wav \| [\d,]+ "
                         r"\| 0 lines", done.stdout)
