"""What stands before the model, as C: from samples, rows or tokens to its features."""

from dataclasses import dataclass

import numpy as np

from edgernn.errors import ModelError
from edgernn.frontend.logmel import CODE_SCALE, CODE_ZERO
from edgernn.quant import QType
from edgernn.spec import FrontendSpec, LogMelSpec, MicrofrontendSpec, StandardizeSpec
from firmware_export import ctext
from firmware_export.logmel import logmel_text
from firmware_export.template import fill

SUFFIX = {"int8": "s8", "int16": "s16"}

AUDIO_HEADER = """
/* A row of log-mel codes as features of the model. */
void @name@_encode(const int16_t codes[@NAME@_FEATURES], @name@_feature features[@NAME@_FEATURES]);
"""

AUDIO_SOURCE = """
void @name@_encode(const int16_t codes[@NAME@_FEATURES], @name@_feature features[@NAME@_FEATURES])
{
    ernn_shift_codes_@suffix@(codes, @code_zero@, @shift@, @zero@, features, @NAME@_FEATURES);
}
"""

ROWS_HEADER = """
/* ---- from sensor rows to features -------------------------------------------------- */

/* A row in the sensor's own units@columns@.  It must be finite: let others pass with
 * @name@_hold(). */
void @name@_encode(const float row[@NAME@_FEATURES], @name@_feature features[@NAME@_FEATURES]);
"""

ROWS_SOURCE = """
/* ---- the frontend ------------------------------------------------------------------ */

static const double mean[@NAME@_FEATURES] = {
@means@};

static const double deviation[@NAME@_FEATURES] = {
@deviations@};

void @name@_encode(const float row[@NAME@_FEATURES], @name@_feature features[@NAME@_FEATURES])
{
    ernn_standardize_t p;
    p.mean = mean;
    p.std = deviation;
    p.columns = @NAME@_FEATURES;
    p.inverse = @inverse@;
    p.zero = @zero@;
    ernn_standardize_@suffix@(&p, row, features);
}
"""


@dataclass(frozen=True)
class FrontendText:
    """A frontend as C text."""

    includes: tuple[str, ...] = ()
    header: str = ""
    source: str = ""


def frontend_text(name: str, spec: FrontendSpec, x: QType) -> FrontendText:
    """The C of a frontend; empty for tokens, which are features as they are.

    Parameters
    ----------
    name : str
        What its functions begin with.
    spec : FrontendSpec
    x : QType
        Of the model's input; of tokens it is not looked at.
    """
    if isinstance(spec, MicrofrontendSpec):
        raise ModelError("the model hears with TensorFlow Lite Micro's frontend, of which there is "
                         "no C here. Export it for ESPHome, which has it: --target esphome; or "
                         "train it with --frontend logmel")
    if isinstance(spec, LogMelSpec):
        return _audio(name, spec, x)
    if isinstance(spec, StandardizeSpec):
        return _rows(name, spec, x)
    return FrontendText()


def _audio(name: str, spec: LogMelSpec, x: QType) -> FrontendText:
    values = {"name": name, "code_zero": CODE_ZERO, "zero": x.zero_point,
              "shift": round(float(np.log2(x.scale / CODE_SCALE))), "suffix": SUFFIX[x.dtype]}
    text = logmel_text(name, spec)
    return FrontendText(("ernn_logmel.h",), text.header + fill(AUDIO_HEADER, values),
                        text.source + fill(AUDIO_SOURCE, values))


def _rows(name: str, spec: StandardizeSpec, x: QType) -> FrontendText:
    columns = f": {', '.join(spec.columns)}" if spec.columns else ""
    values = {"name": name, "suffix": SUFFIX[x.dtype], "zero": x.zero_point,
              "columns": ctext.comment(columns), "means": _doubles(spec.mean),
              "deviations": _doubles(spec.std),
              "inverse": ctext.real(float(np.float32(1 / x.scale)))}
    return FrontendText(("ernn_standardize.h",), fill(ROWS_HEADER, values),
                        fill(ROWS_SOURCE, values))


def _doubles(values: tuple[float, ...]) -> str:
    """Seventeen digits give every double back."""
    texts = [f"{value:.17g}" for value in values]
    return ",\n".join("    " + ", ".join(texts[i:i + 4]) for i in range(0, len(texts), 4))
