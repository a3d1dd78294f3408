"""The detector in C against the one in Python, step by step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.detect import ONE, Detector
from edgernn.errors import ModelError
from edgernn.quant import QType
from edgernn.spec import DetectorSpec, WatchSpec
from firmware_export.detector import detector_text
from tests.firmware.compiling import COMPILERS, answer, program

LABELS = ("_other_", "yes", 'no "*/', "maybe")
SCORES = {"int8_t": QType("int8", 1 / 256, -128), "int16_t": QType("int16", 1 / 32768, 0)}
SPECS = {
    "usual": DetectorSpec({"yes": 0.5, 'no "*/': 0.7}),
    "quick": DetectorSpec(dict.fromkeys(LABELS, 0.3), 0, 0.0, 0),
    "slow": DetectorSpec({"maybe": 0.55, "yes": 0.45}, 177, 0.3, 130),
    "each": DetectorSpec({"maybe": 0.55, "yes": 0.45}, {"maybe": 60, "yes": 240},
                         {"maybe": 0.3, "yes": 0.05}, {"maybe": 500, "yes": 40}),
}

LOOP = """
#include <stdio.h>
static m_detector detector;
int main(void)
{
    m_score scores[M_LABELS];
    m_detection found = {0, 0, 1};
    m_detect_reset(&detector);
    while (fread(scores, sizeof scores, 1, stdin) == 1) {
        if (scores[0] == 1) { /* told to forget: see the test */
            m_detect_reset(&detector);
        }
        if (m_detect_push(&detector, scores, &found) == 0) {
            found.label = -1;
            found.sum = 0;
            found.one = 0;
        }
        (void)fwrite(&found.label, 4, 1, stdout);
        (void)fwrite(&found.sum, 4, 1, stdout);
        (void)fwrite(&found.one, 4, 1, stdout);
    }
    return 0;
}
"""

# The same of any constants, which come first.
ANY_DETECTOR = """
#include <stdio.h>
#include <stdlib.h>
#include "ernn_detect.h"
int main(void)
{
    int32_t sizes[3], at_wait[2], answer[3], *numbers, place;
    int16_t scores[64];
    ernn_detect_t p;
    ernn_detect_memory_t memory;
    if (fread(sizes, sizeof sizes, 1, stdin) != 1) {
        return 1;
    }
    p.watched = sizes[0];
    p.rows = sizes[1];
    numbers = malloc(20u * (size_t)p.watched);
    if (numbers == NULL || fread(numbers, 20, (size_t)p.watched, stdin) != (size_t)p.watched) {
        return 1;
    }
    p.label = numbers;
    p.n = numbers + p.watched;
    p.pause = numbers + 2 * p.watched;
    p.fire = numbers + 3 * p.watched;
    p.rearm = numbers + 4 * p.watched;
    memory.at_wait = at_wait;
    memory.sum = malloc(4u * (size_t)p.watched);
    memory.window = malloc(2u * (size_t)(p.watched * p.rows));
    memory.armed = malloc((size_t)p.watched);
    ernn_detect_reset(&p, memory);
    while (fread(scores, 2, (size_t)sizes[2], stdin) == (size_t)sizes[2]) {
        place = ernn_detect_push(&p, memory, scores);
        answer[0] = place < 0 ? -1 : p.label[place];
        answer[1] = place < 0 ? 0 : memory.sum[place];
        answer[2] = place < 0 ? 0 : p.n[place] * 32768;
        (void)fwrite(answer, sizeof answer, 1, stdout);
    }
    free(numbers);
    free(memory.sum);
    free(memory.window);
    free(memory.armed);
    return 0;
}
"""


def expected(watch, codes, q):
    """Label (or -1), sum and what it would be of scores of 1.0 (or 0) of each step."""
    found = []
    for row in codes:
        detection = watch.push((row.astype(np.float32) - q.zero_point) * np.float32(q.scale), 0.0)
        if detection is None:
            found.append((-1, 0, 0))
            continue
        label = watch.labels.index(detection.label)
        one = ONE * watch.constants.n[watch.constants.watched.index(label)]
        found.append((label, round(detection.score * one), one))
    return np.array(found, np.int32).reshape(-1, 3)


def wandering(steps, labels, q, seed):
    """Scores that stay near a level for a while, shape (steps, labels)."""
    rng = np.random.default_rng(seed)
    levels = rng.choice([0, 0.2, 0.5, 0.9, 1.0], (-(-steps // 9), labels)).repeat(9, axis=0)
    reals = np.clip(levels[:steps] + rng.normal(0, 0.15, (steps, labels)), 0, 1)
    return np.clip(np.rint(reals / q.scale) + q.zero_point, q.low, q.high).astype(q.dtype)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("kind", SCORES)
@pytest.mark.parametrize("name", SPECS)
def test_generated_detectors_fire_where_pythons_do(tmp_path, name, kind, compiler):
    q, spec = SCORES[kind], SPECS[name]
    text = detector_text("m", spec, LABELS, 20.0, q)
    main = (f'#include "ernn_detect.h"\n#define M_LABELS {len(LABELS)}\n'
            f"typedef {kind} m_score;\n{text.header}{text.source}{LOOP}")
    made = program(tmp_path, main, "ernn_detect.c", compiler=compiler)
    codes = wandering(5000, len(LABELS), q, 1)
    codes[codes[:, 0] == 1, 0] = 2
    codes[1234, 0] = 1
    want = [expected(Detector(spec, LABELS, 20.0), part, q)
            for part in (codes[:1234], codes[1234:])]
    want = np.concatenate(want)
    assert (want[:, 0] >= 0).sum() > 10
    got = np.frombuffer(answer(made, codes.tobytes()), np.int32).reshape(-1, 3)
    np.testing.assert_array_equal(got, want)


@pytest.fixture(scope="module")
def any_detector(tmp_path_factory):
    return program(tmp_path_factory.mktemp("detect"), ANY_DETECTOR, "ernn_detect.c")


probabilities = st.one_of(st.sampled_from([1 / 32768, 0.25, 0.5, 1.0]),
                          st.floats(1e-4, 1, exclude_min=True))


@settings(max_examples=150, deadline=None)
@given(watches=st.lists(st.none() | st.builds(
           WatchSpec, probabilities, st.integers(0, 2000), st.floats(0, 1), st.integers(0, 3000)),
           min_size=1, max_size=6),
       step_ms=st.sampled_from([10.0, 20.0, 33.3, 1000.0]),
       seed=st.integers(0, 99), steps=st.integers(0, 300))
def test_any_detector_fires_where_pythons_does(any_detector, watches, step_ms, seed, steps):
    labels = tuple(f"label {i}" for i in range(len(watches)))
    wanted = {label: each for label, each in zip(labels, watches, strict=True) if each is not None}
    watch = Detector(DetectorSpec.of(wanted or {labels[0]: WatchSpec(0.5, 100, 0.1, 1000)}),
                     labels, step_ms)
    c, q = watch.constants, SCORES["int16_t"]
    codes = wandering(steps, len(labels), q, seed)
    numbers = np.concatenate([[len(c.watched), c.rows, len(labels)], c.watched, c.n, c.pause,
                              c.fire, c.rearm]).astype(np.int32)
    said = answer(any_detector, numbers.tobytes() + codes.tobytes())
    np.testing.assert_array_equal(np.frombuffer(said, np.int32).reshape(-1, 3),
                                  expected(watch, codes, q))


def test_scores_that_are_no_multiples_of_a_score_unit_are_refused():
    with pytest.raises(ModelError, match="multiple of 1/32768"):
        detector_text("m", SPECS["usual"], LABELS, 20.0, QType("int8", 0.00391, -128))


def test_smoothing_that_leaves_32_bits_is_refused():
    spec = DetectorSpec({"yes": 0.5}, smoothing_ms=70_000)
    with pytest.raises(ModelError, match="leaves 32 bits"):
        detector_text("m", spec, LABELS, 1.0, SCORES["int16_t"])
