"""Frontends: what turns samples or sensor rows into the model's features."""

from edgernn.frontend.logmel import LogMel
from edgernn.frontend.standardize import Standardize
from edgernn.spec import FrontendSpec, LogMelSpec

Frontend = LogMel | Standardize


def make_frontend(spec: FrontendSpec) -> Frontend:
    """The frontend that a spec describes.

    Raises
    ------
    ConfigError
        If the spec makes no sense.
    """
    if isinstance(spec, LogMelSpec):
        return LogMel(spec)
    return Standardize(spec)
