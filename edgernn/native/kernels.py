"""Which of the compiled modules this processor runs best."""

import functools
import importlib
from types import ModuleType

BASE = "edgernn.native._base"
"""Needs nothing that the wheel's platform does not have; the others need more."""


@functools.cache
def best() -> ModuleType:
    """The compiled module with the most instructions that this processor has.

    Raises
    ------
    ImportError
        If edgernn was installed without any.
    """
    return next(iter(compiled().values()))


@functools.cache
def compiled() -> dict[str, ModuleType]:
    """All compiled modules that run here, by the name that ernn_target.h gives them, the best
    first.

    Raises
    ------
    ImportError
        If edgernn was installed without any.
    """
    base = importlib.import_module(BASE)
    found = {}
    for name in base.better():
        try:
            module = importlib.import_module(f"edgernn.native.{name}")
        except ImportError:  # a compiler too old for these instructions
            continue
        found[module.TARGET] = module
    return found | {base.TARGET: base}
