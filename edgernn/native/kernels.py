"""Which of the compiled modules this processor runs best."""

import contextlib
import functools
import importlib
from collections.abc import Iterator
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
    return next(_modules())


@functools.cache
def compiled() -> dict[str, ModuleType]:
    """All compiled modules that run here, by the name that ernn_target.h gives them, the best
    first.

    Raises
    ------
    ImportError
        If edgernn was installed without any.
    """
    return {module.TARGET: module for module in _modules()}


def _modules() -> Iterator[ModuleType]:
    """All of them, each loaded when it is asked for: they take memory."""
    base = importlib.import_module(BASE)
    for name in base.better():
        with contextlib.suppress(ImportError):  # a compiler too old for these instructions
            yield importlib.import_module(f"edgernn.native.{name}")
    yield base
