"""Frontends: what turns samples, sensor rows or text into the model's features."""

from edgernn.frontend.logmel import LogMel
from edgernn.frontend.microfrontend import Microfrontend, WakeWordRows
from edgernn.frontend.parts import Parts
from edgernn.frontend.standardize import Standardize
from edgernn.frontend.tokens import Tokens
from edgernn.spec import (
    FrontendSpec,
    LogMelSpec,
    MicrofrontendSpec,
    PartsSpec,
    TokenSpec,
    WakeWordSpec,
)

AudioFrontend = LogMel | Microfrontend
Frontend = AudioFrontend | Standardize | Tokens | Parts


def make_frontend(spec: FrontendSpec) -> Frontend:
    """The frontend that a spec describes.

    Raises
    ------
    ConfigError
        If the spec makes no sense.
    """
    if isinstance(spec, WakeWordSpec):
        return WakeWordRows(spec)
    if isinstance(spec, MicrofrontendSpec):
        return Microfrontend(spec)
    if isinstance(spec, LogMelSpec):
        return LogMel(spec)
    if isinstance(spec, TokenSpec):
        return Tokens(spec)
    if isinstance(spec, PartsSpec):
        return Parts(spec)
    return Standardize(spec)
