"""The compiled part of edgernn: the kernels of firmware_export/c, as the backend `c`.

One module for what every machine of the platform has, and one for each set of instructions
that some have; edgernn/native/kernels.py chooses when it is imported.  All are optional: the
rest of edgernn works where there is no compiler.
"""

import platform
import sys
from pathlib import Path

from setuptools import Extension, setup

KERNELS = Path("firmware_export/c")
NATIVE = Path("edgernn/native")

VARIANTS = {
    "x86_64": {"avx2": ["-mavx2"],
               "vnni": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vbmi",
                        "-mavx512vnni", "-mprefer-vector-width=512"]},
    "aarch64": {"dotprod": ["-march=armv8.2-a+dotprod"]},
}
"""Flags of GCC and Clang, by machine; what they choose is in ernn_target.h."""


def extensions() -> list[Extension]:
    """The modules for this machine."""
    if sys.platform == "win32":
        return [_extension("base", [])]
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(),
                                                          platform.machine().lower())
    common = ["-O3", "-g0", "-fvisibility=hidden", "-ffp-contract=off"]
    # A 32-bit Python on a 64-bit processor has neither set of instructions to itself.
    wide = sys.maxsize > 2**32
    return [_extension(name, common + flags)
            for name, flags in {"base": [], **(VARIANTS.get(machine, {}) if wide else {})}.items()]


def _extension(name: str, flags: list[str]) -> Extension:
    sources = [*sorted(NATIVE.glob("*.c")), *sorted(KERNELS.glob("*.c"))]
    headers = [*sorted(NATIVE.glob("*.h")), *sorted(KERNELS.glob("*.h"))]
    return Extension(f"edgernn.native._{name}", [str(path) for path in sources],
                     include_dirs=[str(KERNELS), str(NATIVE)], depends=list(map(str, headers)),
                     define_macros=[("EDGERNN_VARIANT", name)], extra_compile_args=flags,
                     optional=True)


setup(ext_modules=extensions())
