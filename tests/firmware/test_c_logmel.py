"""The log-mel frontend in C against the one in numpy, bit for bit."""

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from edgernn.errors import ConfigError, ModelError
from edgernn.frontend.compact import LogMelConstants, MelRuns, half_window
from edgernn.frontend.logmel import LogMel
from edgernn.frontend.tables import hann, make_tables
from edgernn.quant import shift_codes
from edgernn.spec import LogMelSpec
from firmware_export.chips import emulate
from firmware_export.chips.chip import CHIPS
from firmware_export.logmel import logmel_text
from tests.firmware.compiling import COMPILERS, SANITIZED, C, answer, program

SPECS = {
    "default": LogMelSpec(),
    "8kHz": LogMelSpec(sample_rate_hz=8000, window_ms=32, hop_ms=10, mels=20, low_hz=0,
                       high_hz=4000),
    "48kHz": LogMelSpec(sample_rate_hz=48000, window_ms=25, hop_ms=25, mels=64, high_hz=20000),
    "4096 points": LogMelSpec(sample_rate_hz=44100, window_ms=80),
    "odd window": LogMelSpec(sample_rate_hz=11000, window_ms=25, hop_ms=7, mels=33,
                             high_hz=5000),
    "1024 points": LogMelSpec(window_ms=64, hop_ms=32, mels=80),
    "shortest": LogMelSpec(sample_rate_hz=8000, window_ms=4, hop_ms=1, mels=8, high_hz=3900),
}
INSTRUCTIONS = 150_000
"""The issue's figure for one row on a Cortex-M4."""

GENERATED = """
#include <stddef.h>
#include <stdint.h>
#include "ernn_logmel.h"
"""

# Messages: a number of samples that follow, or -1 to flush, or -2 to reset.
LOOP = """
#include <stdio.h>
#include <stdlib.h>
static m_logmel frontend;
int main(void)
{
    static int16_t codes[M_MELS];
    int32_t n;
    int ready;
    m_logmel_reset(&frontend);
    while (fread(&n, sizeof n, 1, stdin) == 1) {
        if (n == -2) {
            m_logmel_reset(&frontend);
        } else if (n == -1) {
            if (m_logmel_flush(&frontend, codes) != 0) {
                (void)fwrite(codes, sizeof codes, 1, stdout);
            }
        } else {
            /* Of its own, so that a byte read beyond its end is seen. */
            int16_t *samples = malloc(2u * (size_t)n + (n == 0 ? 1u : 0u));
            size_t used = 0;
            if (samples == NULL || fread(samples, 2, (size_t)n, stdin) != (size_t)n) {
                return 1;
            }
            while (used < (size_t)n) {
                used += m_logmel_push(&frontend, &samples[used], (size_t)n - used, codes, &ready);
                if (ready != 0) {
                    (void)fwrite(codes, sizeof codes, 1, stdout);
                }
            }
            free(samples);
        }
    }
    return 0;
}
"""

# The same of a frontend that comes in the first message, so that every spec needs no compiler.
ANY_SPEC = """
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "ernn_logmel.h"
static void *take(size_t size)
{
    int32_t n = 0;
    void *values;
    if (fread(&n, sizeof n, 1, stdin) != 1 || (values = malloc((size_t)n * size)) == NULL ||
        fread(values, size, (size_t)n, stdin) != (size_t)n) {
        exit(1);
    }
    return values;
}
#define M_MELS 128
typedef struct { ernn_logmel_t p; ernn_logmel_memory_t memory; } m_logmel;
static void m_logmel_reset(m_logmel *f)
{
    if (f->memory.samples == NULL) {
        int32_t *numbers;
        f->p.window = take(2);
        f->p.quarter = take(2);
        f->p.cosines = take(2);
        f->p.rise = take(2);
        f->p.bins = take(2);
        numbers = take(4);
        f->p.length = numbers[0];
        f->p.greater = numbers[1];
        f->p.hop = numbers[2];
        f->p.points = numbers[3];
        f->p.mels = numbers[4];
        f->p.first_bin = numbers[5];
        f->p.offset = numbers[6];
        free(numbers);
        f->memory.filled_begun = malloc(8);
        f->memory.samples = malloc(2u * (size_t)f->p.length);
        f->memory.work = malloc(4u * (size_t)ERNN_LOGMEL_WORK(f->p.points));
    }
    ernn_logmel_reset(f->memory);
}
static size_t m_logmel_push(m_logmel *f, const int16_t *samples, size_t n, int16_t *codes,
                            int *ready)
{
    return ernn_logmel_push(&f->p, f->memory, samples, n, codes, ready);
}
static int m_logmel_flush(m_logmel *f, int16_t *codes)
{
    return ernn_logmel_flush(&f->p, f->memory, codes);
}
"""

SHIFT = """
#include <stdio.h>
#include "ernn_logmel.h"
int main(void)
{
    int32_t numbers[3];
    int16_t codes[8192], y16[8192];
    int8_t y8[8192];
    while (fread(numbers, sizeof numbers, 1, stdin) == 1) {
        int32_t i;
        for (i = 0; i < 8192; i++) {
            codes[i] = (int16_t)i;
        }
        ernn_shift_codes_s8(codes, numbers[0], numbers[1], numbers[2], y8, 8192);
        ernn_shift_codes_s16(codes, numbers[0], numbers[1], numbers[2], y16, 8192);
        (void)fwrite(y8, sizeof y8, 1, stdout);
        (void)fwrite(y16, sizeof y16, 1, stdout);
    }
    return 0;
}
"""

ON_A_CHIP = """
#include "chip.h"
static m_logmel frontend;
static int16_t samples[M_HOP];
int chip_main(void)
{
    int16_t codes[M_MELS];
    size_t n, used;
    int ready;
    m_logmel_reset(&frontend);
    while ((n = chip_read(samples, sizeof samples) / 2u) > 0u) {
        for (used = 0; used < n;) {
            chip_begin();
            used += m_logmel_push(&frontend, &samples[used], n - used, codes, &ready);
            chip_end();
            if (ready != 0) {
                chip_write(codes, sizeof codes);
            }
        }
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Programs of specs, by name and compiler, each built once."""
    made = {}

    def build(name, compiler="gcc"):
        if (name, compiler) not in made:
            text = logmel_text("m", SPECS[name])
            made[name, compiler] = program(
                tmp_path_factory.mktemp("logmel"), GENERATED + text.header + text.source + LOOP,
                "ernn_logmel.c", compiler=compiler)
        return made[name, compiler]
    return build


@pytest.fixture(scope="module")
def any_spec(tmp_path_factory):
    return program(tmp_path_factory.mktemp("any"), ANY_SPEC + LOOP, "ernn_logmel.c")


def pushed(samples):
    return np.int32(len(samples)).tobytes() + samples.tobytes()


FLUSH, RESET = np.int32(-1).tobytes(), np.int32(-2).tobytes()


def rows(made, messages, mels):
    return np.frombuffer(answer(made, messages), np.int16).reshape(-1, mels)


def constants(spec):
    """The first message of `ANY_SPEC`."""
    found = LogMelConstants.of(spec)
    numbers = np.array([found.numbers[name] for name in (
        "length", "greater", "hop", "points", "mels", "first_bin", "offset")], np.int32)
    return b"".join(np.int32(len(array)).tobytes() + array.tobytes()
                    for array in (*found.arrays.values(), numbers))


def sound(kind, count, seed=0):
    """Audio that is hard in one way."""
    rng, i = np.random.default_rng(seed), np.arange(count)
    if kind == "music":
        found = sum(9000 / k * np.sin(i * 0.013 * k * (1 + 1e-6 * i)) for k in (1, 2, 3, 7, 31))
    else:
        found = {
            "silence": lambda: np.zeros(count), "lowest": lambda: np.full(count, -32768),
            "highest": lambda: np.full(count, 32767), "click": lambda: -32768 * (i % 997 == 500),
            "square": lambda: np.where(i // 8 % 2, 32767, -32768),
            "fast square": lambda: np.where(i % 2, 32767, -32768),
            "random square": lambda: np.where(rng.random(count) < 0.5, 32767, -32768),
            "one bit": lambda: rng.integers(0, 2, count), "hiss": lambda: rng.normal(0, 3, count),
            "noise": lambda: rng.normal(0, 3000, count),
            "clipped": lambda: rng.normal(0, 40000, count),
            "fading": lambda: rng.normal(0, 1, count) * np.exp2(15 * (1 - i / count)),
        }[kind]()
    return np.clip(np.rint(found), -32768, 32767).astype(np.int16)


KINDS = ("silence", "lowest", "highest", "click", "square", "fast square", "random square",
         "one bit", "hiss", "noise", "clipped", "fading", "music")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SPECS)
def test_every_bit_of_every_sound_is_numpys(built, name, kind):
    frontend = LogMel(SPECS[name])
    samples = sound(kind, 12 * frontend.window)
    got = rows(built(name), pushed(samples), frontend.width)
    np.testing.assert_array_equal(got, frontend.whole(samples))


def test_every_bit_is_the_same_in_c_alone(tmp_path):
    text, frontend = logmel_text("m", LogMelSpec()), LogMel(LogMelSpec())
    made = program(tmp_path, GENERATED + text.header + text.source + LOOP, "ernn_logmel.c",
                   flags=(*SANITIZED, "-DERNN_PORTABLE"))
    samples = sound("fading", 16000)
    np.testing.assert_array_equal(rows(made, pushed(samples), 40), frontend.whole(samples))


@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_bit_of_recorded_voices_and_noises_is_numpys(built, shared_data, compiler):
    soundfile = pytest.importorskip("soundfile")
    paths = [*sorted((shared_data / "negative_speech").rglob("*.wav"))[::6],
             *sorted((shared_data / "background_noise").rglob("*.wav"))[:3],
             *sorted((shared_data / "wakewords_picovoice").rglob("*.wav"))[::40]]
    assert len(paths) > 10
    frontend, heard = LogMel(LogMelSpec()), 0
    for path in paths:
        samples = soundfile.read(path, dtype="int16", frames=20 * 16000, always_2d=True)[0][:, 0]
        samples = np.ascontiguousarray(samples)
        got = rows(built("default", compiler), pushed(samples) + FLUSH, frontend.width)
        np.testing.assert_array_equal(got, frontend.whole(samples), str(path))
        heard += len(got)
    assert heard > 3000


rates = st.one_of(st.sampled_from([8000, 11025, 16000, 22050, 32000, 44100, 48000]),
                  st.integers(8, 48).map(lambda k: 1000 * k))
specs = st.builds(LogMelSpec, sample_rate_hz=rates, window_ms=st.integers(1, 512),
                  hop_ms=st.integers(1, 100), mels=st.integers(8, 128),
                  low_hz=st.integers(0, 2000), high_hz=st.integers(1000, 24000))


@settings(max_examples=60, deadline=None)
@given(spec=specs, seed=st.integers(0, 99), kind=st.sampled_from(KINDS))
@example(spec=LogMelSpec(window_ms=256, hop_ms=100, mels=128, low_hz=0, high_hz=8000), seed=0,
         kind="noise")
@pytest.mark.slow
def test_every_bit_of_every_spec_is_numpys(any_spec, spec, seed, kind):
    fitted = dataclasses.replace(spec, hop_ms=min(spec.hop_ms, spec.window_ms),
                                 high_hz=min(spec.high_hz, spec.sample_rate_hz // 2))
    try:
        frontend = LogMel(fitted)
    except ConfigError:
        assume(False)
    samples = sound(kind, frontend.window + 3 * frontend.hop, seed)
    given_bytes = constants(fitted) + pushed(samples) + FLUSH
    # M_MELS of the program is the most there are.
    got = np.frombuffer(answer(any_spec, given_bytes), np.int16).reshape(-1, 128)
    np.testing.assert_array_equal(got[:, :frontend.width], frontend.whole(samples))


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(["default", "8kHz", "48kHz", "shortest"]), seed=st.integers(0, 9),
       cuts=st.lists(st.one_of(st.integers(0, 3), st.integers(0, 1500)), max_size=30))
def test_rows_do_not_depend_on_how_audio_is_cut(built, name, seed, cuts):
    frontend = LogMel(SPECS[name])
    samples = sound("noise", sum(cuts), seed)
    parts = np.split(samples, np.cumsum(cuts)[:-1]) if cuts else []
    got = rows(built(name), b"".join(map(pushed, parts)) + FLUSH, frontend.width)
    np.testing.assert_array_equal(got, frontend.whole(samples))


@pytest.mark.parametrize("forget", [FLUSH, RESET], ids=["flush", "reset"])
@pytest.mark.parametrize("before", [1, 300, 480, 777, 5000])
def test_reset_and_flush_forget_everything(built, forget, before):
    frontend, samples = LogMel(LogMelSpec()), sound("noise", 5000)
    earlier = sound("hiss", before)
    first = frontend.push(earlier)
    if forget == FLUSH:
        first = np.concatenate([first, frontend.flush()])
    got = rows(built("default"), pushed(earlier) + forget + pushed(samples), 40)
    np.testing.assert_array_equal(got, np.concatenate([first, frontend.whole(samples)]))


@pytest.mark.parametrize("count", [0, 1, 319, 320, 479, 480, 481, 799, 800])
def test_a_clip_shorter_than_a_window_gives_its_row_at_the_end(built, count):
    samples = sound("noise", count)
    got = rows(built("default"), pushed(samples) + FLUSH + FLUSH, 40)
    np.testing.assert_array_equal(got, LogMel(LogMelSpec()).whole(samples))


def test_clang_finds_nothing_in_the_frontend_with_all_its_warnings(tmp_path):
    text = logmel_text("m", LogMelSpec())
    program(tmp_path, GENERATED + text.header + text.source + LOOP, "ernn_logmel.c",
            compiler="clang", flags=(*SANITIZED, "-Weverything", "-Wno-padded",
                                     "-Wno-declaration-after-statement",
                                     "-Wno-missing-prototypes", "-Wno-unused-macros",
                                     "-Wno-unknown-warning-option",
                                     "-Wno-unsafe-buffer-usage"))


def test_codes_are_shifted_to_a_models_input_as_python_does(tmp_path):
    made = program(tmp_path, SHIFT, "ernn_logmel.c")
    codes = np.arange(8192, dtype=np.int16)
    for zero, shift, y_zero in [(4096, 0, 0), (4096, 5, 0), (4096, 5, -128), (4096, 4, 127),
                                (4096, 3, 100), (0, 8, -12), (8191, 1, 3), (4096, 13, 0)]:
        given_bytes = np.array([zero, shift, y_zero], np.int32).tobytes()
        said = answer(made, given_bytes)
        for part, dtype in ((said[:8192], "int8"), (said[8192:], "int16")):
            np.testing.assert_array_equal(np.frombuffer(part, dtype),
                                          shift_codes(codes, zero, shift, y_zero, dtype))


@pytest.mark.slow
def test_half_a_window_gives_every_window_back():
    for length in range(32, 4097):
        half, greater = half_window(hann(length))
        i = np.arange(length)
        whole = half[np.minimum(i, length - i)]
        if greater >= 0:
            whole[greater] += 1
        np.testing.assert_array_equal(whole, hann(length))


def test_a_window_that_half_of_it_cannot_give_is_refused():
    window = hann(480)
    window[100] += 1
    with pytest.raises(ModelError, match="not symmetric at 2 places"):
        half_window(window)


def test_mel_filters_by_bin_are_the_whole_matrix():
    for spec in SPECS.values():
        tables = make_tables(spec)
        found = MelRuns.of(tables)
        np.testing.assert_array_equal(found.matrix(tables.mel.shape), tables.mel)
        assert found.bins.sum() == len(found.rise)


def test_mel_filters_that_do_not_add_up_are_refused():
    tables = make_tables(LogMelSpec())
    mel = tables.mel.copy()
    mel[100, np.flatnonzero(mel[100])[0]] += 1
    with pytest.raises(ModelError, match="do not add up"):
        MelRuns.of(dataclasses.replace(tables, mel=mel))


@pytest.mark.parametrize("chip", CHIPS)
def test_a_chip_hears_the_same_bits_in_few_instructions(tmp_path, chip):
    lacking = emulate.missing(CHIPS[chip])
    if lacking:
        pytest.skip(f"needs apt install {' '.join(lacking)}")
    text, frontend = logmel_text("m", LogMelSpec()), LogMel(LogMelSpec())
    (tmp_path / "m.c").write_text(GENERATED + text.header + text.source + ON_A_CHIP)
    made = emulate.build(CHIPS[chip], [tmp_path / "m.c", C / "ernn_logmel.c"], [C],
                         tmp_path / "m.elf")
    samples = np.concatenate([sound(kind, 2000) for kind in KINDS])
    got = np.frombuffer(emulate.run(CHIPS[chip], made, samples.tobytes()).output, np.int16)
    np.testing.assert_array_equal(got.reshape(-1, 40), frontend.whole(samples))
    counts = emulate.instructions(CHIPS[chip], made, samples.tobytes())
    assert 40_000 < max(counts) <= INSTRUCTIONS
