"""What machine it is that was measured."""

import os
import platform
from pathlib import Path

import numpy as np


def machine() -> str:
    """Processor, system and Python, in a few words."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines()
                  if line.startswith(("model name", "Model"))]
        name = models[0] if models else name
    return (f"{name}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
            f"Python {platform.python_version()}, numpy {np.__version__}")
