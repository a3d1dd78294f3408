"""Samples in, detections out, on emulated chips: what `edgernn stream` says."""

import numpy as np
import pytest

from edgernn.cli.models import BUNDLED
from edgernn.sources.wav import WavSource
from edgernn.step import StepModel
from edgernn.stream import Listener, listen
from firmware_export import chips
from firmware_export.project import Source, c_project
from tests.firmware.test_chips import EVERY_CHIP

DEMO = BUNDLED.with_name("demo.wav")

MAIN = """
#include "chip.h"
#include "wake_model.h"

static wake_state state;
static wake_logmel frontend;
static wake_detector detector;

/* Each detection as three numbers: label, sum, step. */
int chip_main(void)
{
    int16_t samples[333], codes[WAKE_FEATURES];
    wake_feature features[WAKE_FEATURES];
    wake_score scores[WAKE_LABELS];
    wake_detection found;
    int32_t step = 0;
    size_t got;
    int ready;
    wake_reset(&state);
    wake_logmel_reset(&frontend);
    wake_detect_reset(&detector);
    while ((got = chip_read(samples, sizeof samples) / sizeof samples[0]) > 0u) {
        size_t used = 0;
        while (used < got) {
            used += wake_logmel_push(&frontend, &samples[used], got - used, codes, &ready);
            if (ready != 0) {
                wake_encode(codes, features);
                (void)wake_step(&state, features, scores);
                if (wake_detect_push(&detector, scores, &found) != 0) {
                    chip_write(&found, sizeof found);
                    chip_write(&step, sizeof step);
                }
                step++;
            }
        }
    }
    return 0;
}
"""


def streamed():
    """Detections of the demo: label, score, seconds."""
    model = StepModel.open(BUNDLED, "emulator")
    listener = Listener(model)
    with WavSource(DEMO, 16000, 320) as frames:
        return [(found.label, found.score, found.time_s) for found in listen(frames, listener)]


@pytest.mark.parametrize("chip", EVERY_CHIP)
def test_a_recording_is_heard_as_edgernn_stream_hears_it(chip, tmp_path):
    source = Source.read(BUNDLED)
    for name, text in c_project(source, "wake", ["tests"]).items():
        if name.endswith((".c", ".h")) and name != "main.c":
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
    (tmp_path / "hear.c").write_text(MAIN)
    files = [tmp_path / "wake_model.c", *sorted((tmp_path / "ernn").glob("*.c")),
             tmp_path / "hear.c"]
    program = chips.build(chip, files, [tmp_path, tmp_path / "ernn"], tmp_path / "hear.elf")
    with WavSource(DEMO, 16000, 320) as frames:
        heard = np.concatenate([frame.samples for frame in frames])
    done = chips.run(chip, program, heard.tobytes())
    assert done.code == 0, done.printed
    found = [(source.spec.labels[label], total / one, (480 + 320 * step) / 16000)
             for label, total, one, step in np.frombuffer(done.output, "<i4").reshape(-1, 4)]
    assert found == streamed()
    assert [label for label, _, _ in found] == ["computer", "alexa"]
