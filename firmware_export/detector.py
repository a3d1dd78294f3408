"""The detector as C: its constants, and its two calls."""

from dataclasses import dataclass

import numpy as np

from edgernn.detect import ONE, Detector
from edgernn.errors import ModelError
from edgernn.quant import QType
from edgernn.spec import DetectorSpec
from firmware_export import ctext
from firmware_export.template import fill

HEADER = """
/* ---- from scores to detections ----------------------------------------------------- */

#define @NAME@_WATCHED @watched@ /* labels that can fire: @names@ */

/* What the detector remembers: @rows@ steps' scores.  Yours to allocate; one per stream. */
typedef struct {
    int32_t at_wait[2];
    int32_t sum[@NAME@_WATCHED];
    int16_t window[@rows@ * @NAME@_WATCHED];
    uint8_t armed[@NAME@_WATCHED];
} @name@_detector;

typedef struct {
    int32_t label; /* of @name@_labels */
    int32_t sum;   /* its scores of late, added */
    int32_t one;   /* what that would be if each were 1.0 */
} @name@_detection;

/* Forget everything; all labels may fire. */
void @name@_detect_reset(@name@_detector *detector);

/* Take the scores of one step.  Gives 1 and fills `found` if a label fired, else 0. */
int @name@_detect_push(@name@_detector *detector, const @name@_score scores[@NAME@_LABELS],
               @name@_detection *found);
"""

SOURCE = """
/* ---- the detector ------------------------------------------------------------------ */

@arrays@
static ernn_detect_memory_t memory_of(@name@_detector *detector)
{
    ernn_detect_memory_t memory;
    memory.at_wait = detector->at_wait;
    memory.sum = detector->sum;
    memory.window = detector->window;
    memory.armed = detector->armed;
    return memory;
}

void @name@_detect_reset(@name@_detector *detector)
{
    ernn_detect_reset(&detect, memory_of(detector));
}

int @name@_detect_push(@name@_detector *detector, const @name@_score scores[@NAME@_LABELS],
               @name@_detection *found)
{
    int16_t parts[@NAME@_LABELS]; /* 1.0 is 32768 */
    int32_t i, fired;
    for (i = 0; i < @NAME@_LABELS; i++) {
        parts[i] = (int16_t)((scores[i] - @zero@) * @unit@);
    }
    fired = ernn_detect_push(&detect, memory_of(detector), parts);
    if (fired < 0) {
        return 0;
    }
    found->label = detect.label[fired];
    found->sum = detector->sum[fired];
    found->one = detect.n[fired] * @one@;
    return 1;
}
"""


@dataclass(frozen=True)
class DetectorText:
    """A detector as C text."""

    header: str
    source: str


def detector_text(name: str, spec: DetectorSpec, labels: tuple[str, ...], step_ms: float,
                  scores: QType) -> DetectorText:
    """The C of a detector.

    Parameters
    ----------
    name : str
        What its functions begin with.
    spec, labels, step_ms
        Those of `edgernn.detect.Detector`.
    scores : QType
        Of the model's output.

    Raises
    ------
    ModelError
        If its scores are no multiples of 1/32768, or its sums leave 32 bits.
    """
    unit = scores.scale * ONE
    if unit != round(unit) or not unit:
        raise ModelError(f"the scores have the scale {scores.scale:.9g}; a multiple of 1/32768 was "
                         "needed, which every softmax and sigmoid has. Export a model that ends in "
                         "one")
    constants = Detector(spec, labels, step_ms).constants
    if constants.rows * ONE >= 2**31 or len(constants.fire) * constants.rows >= 2**31:
        raise ModelError(f"smoothing over {constants.rows} steps leaves 32 bits; at most 65535 "
                         "steps were needed. Smooth over less: edit smoothing_ms")
    tables = {"label": constants.watched, "n": constants.n, "pause": constants.pause,
              "fire": constants.fire, "rearm": constants.rearm}
    arrays = "\n".join([
        *(ctext.array(f"detect_{key}", np.array(table, np.int32))
          for key, table in tables.items()),
        ctext.struct("ernn_detect_t", "detect", {
            **{key: f"detect_{key}" for key in tables},
            "watched": len(constants.fire), "rows": constants.rows})])
    values = {"name": name, "watched": len(constants.fire), "rows": constants.rows,
              "names": ctext.comment(", ".join(labels[i] for i in constants.watched)),
              "one": ONE, "zero": scores.zero_point, "unit": round(unit),
              "arrays": arrays}
    return DetectorText(fill(HEADER, values), fill(SOURCE, values))
