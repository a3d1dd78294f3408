"""The backend `c`: a model's plan, run by the kernels of firmware_export/c.

They were compiled with edgernn (setup.py), once for each set of instructions, so nothing is
compiled when a model is opened.  Where there was no compiler there is no backend `c`.
"""

from edgernn.native.memory import Memory
from edgernn.native.runtime import NativeRuntime

__all__ = ["Memory", "NativeRuntime"]
