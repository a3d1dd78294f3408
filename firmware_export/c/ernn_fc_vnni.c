/* ernn_fc_vnni.c - FULLY_CONNECTED with AVX-512 VNNI. */
#include <stddef.h>

#include "ernn.h"
#include "ernn_round_vnni.h"
#include "ernn_target.h"

#if defined(ERNN_VNNI)

/* VPDPBUSD wants one side unsigned: x plus 128 (ERNN_X_PLUS), which is its bytes with the
 * uppermost bit turned over. */

enum { ROWS = 4 }; /* of x at once, which share the weights that are loaded */

/* Sums, or what they become, of 64 outputs: four tiles. */
typedef struct {
    __m512i a, b, c, d;
} sums_t;

/* A word of x, unsigned; beyond its end are weights of 0. */
ERNN_ALWAYS __m512i word_of(const int8_t *x, int32_t count)
{
    int32_t word = 0;
    (void)memcpy(&word, x, (size_t)count);
    return _mm512_xor_si512(_mm512_set1_epi32(word), _mm512_set1_epi8(-128));
}

ERNN_ALWAYS __m512i tile_at(const int8_t *w) { return _mm512_loadu_si512(w); }

ERNN_ALWAYS sums_t sums_at(const int32_t *offset)
{
    const sums_t sums = {_mm512_loadu_si512(offset), _mm512_loadu_si512(offset + 16),
                         _mm512_loadu_si512(offset + 32), _mm512_loadu_si512(offset + 48)};
    return sums;
}

ERNN_ALWAYS sums_t nothing(void)
{
    const __m512i zero = _mm512_setzero_si512();
    const sums_t sums = {zero, zero, zero, zero};
    return sums;
}

ERNN_ALWAYS sums_t together(const sums_t *s, const sums_t *t)
{
    const sums_t sums = {_mm512_add_epi32(s->a, t->a), _mm512_add_epi32(s->b, t->b),
                         _mm512_add_epi32(s->c, t->c), _mm512_add_epi32(s->d, t->d)};
    return sums;
}

/* sums += four tiles, `width` bytes apart, times a word. */
ERNN_ALWAYS void add_tiles(sums_t *sums, const int8_t *w, ptrdiff_t width, __m512i word)
{
    sums->a = _mm512_dpbusd_epi32(sums->a, word, tile_at(w));
    sums->b = _mm512_dpbusd_epi32(sums->b, word, tile_at(w + width));
    sums->c = _mm512_dpbusd_epi32(sums->c, word, tile_at(w + 2 * width));
    sums->d = _mm512_dpbusd_epi32(sums->d, word, tile_at(w + 3 * width));
}

/* W x + offset for 64 outputs.  Every other column has sums of its own, since one waits for
 * itself. */
ERNN_ALWAYS sums_t products(const int8_t *w, ptrdiff_t width, const int8_t *x, int32_t n,
                            const int32_t *offset)
{
    sums_t even = sums_at(offset), odd = nothing();
    for (; n >= 8; n -= 8, x += 8, w += 128) {
        add_tiles(&even, w, width, word_of(x, 4));
        add_tiles(&odd, w + 64, width, word_of(x + 4, 4));
    }
    if (n >= 4) {
        add_tiles(&even, w, width, word_of(x, 4));
        n -= 4;
        x += 4;
        w += 64;
    }
    if (n > 0) {
        add_tiles(&odd, w, width, word_of(x, n));
    }
    return together(&even, &odd);
}

enum { MOST = 1024 }; /* columns of x that are widened to whole words for several rows */

/* x, unsigned, with whole words. */
static void expand(const int8_t *x, int32_t n, int8_t words[MOST])
{
    for (; n > 0; n -= 64, x += 64, words += 64) {
        const __mmask64 valid = n >= 64 ? ~0ull : (1ull << n) - 1u;
        const __m512i bytes = _mm512_maskz_loadu_epi8(valid, x);
        _mm512_storeu_si512(words, _mm512_xor_si512(bytes, _mm512_set1_epi8(-128)));
    }
}

ERNN_ALWAYS __m512i word_at(const int8_t *words)
{
    int32_t word;
    (void)memcpy(&word, words, sizeof word);
    return _mm512_set1_epi32(word);
}

/* sums += four tiles times a word; not by the intrinsic, around which GCC 12 copies the sums to
 * and fro until it has no registers left. */
ERNN_ALWAYS void add_loaded(sums_t *sums, __m512i a, __m512i b, __m512i c, __m512i d, __m512i word)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums->a) : "v"(word), "v"(a));
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums->b) : "v"(word), "v"(b));
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums->c) : "v"(word), "v"(c));
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums->d) : "v"(word), "v"(d));
}

/* The same for ROWS rows of x, expanded. */
ERNN_ALWAYS void products_of_rows(const int8_t *w, ptrdiff_t width, int8_t words[ROWS][MOST],
                                  int32_t n, const int32_t *offset, sums_t sums[ROWS])
{
    sums_t s0 = sums_at(offset), s1 = s0, s2 = s0, s3 = s0;
    const int8_t *at = words[0], *const end = at + n;
    for (; at < end; at += 4, w += 64) {
        const __m512i a = tile_at(w), b = tile_at(w + width);
        const __m512i c = tile_at(w + 2 * width), d = tile_at(w + 3 * width);
        add_loaded(&s0, a, b, c, d, word_at(at));
        add_loaded(&s1, a, b, c, d, word_at(at + MOST));
        add_loaded(&s2, a, b, c, d, word_at(at + 2 * MOST));
        add_loaded(&s3, a, b, c, d, word_at(at + 3 * MOST));
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

/* W x + offset for the 16 outputs of one tile, four columns at a time. */
ERNN_ALWAYS __m512i products_of_tile(const int8_t *w, const int8_t *x, int32_t n, __m512i offset)
{
    sums_t sums = nothing();
    sums.a = offset;
    for (; n >= 16; n -= 16, x += 16, w += 256) {
        sums.a = _mm512_dpbusd_epi32(sums.a, word_of(x, 4), tile_at(w));
        sums.b = _mm512_dpbusd_epi32(sums.b, word_of(x + 4, 4), tile_at(w + 64));
        sums.c = _mm512_dpbusd_epi32(sums.c, word_of(x + 8, 4), tile_at(w + 128));
        sums.d = _mm512_dpbusd_epi32(sums.d, word_of(x + 12, 4), tile_at(w + 192));
    }
    for (; n > 0; n -= 4, x += 4, w += 64) {
        sums.a = _mm512_dpbusd_epi32(sums.a, word_of(x, n < 4 ? n : 4), tile_at(w));
    }
    return _mm512_add_epi32(_mm512_add_epi32(sums.a, sums.b), _mm512_add_epi32(sums.c, sums.d));
}

/* The same for ROWS rows of x, expanded. */
ERNN_ALWAYS sums_t products_of_tile_of_rows(const int8_t *w, int8_t words[ROWS][MOST], int32_t n,
                                            __m512i offset)
{
    sums_t even = {offset, offset, offset, offset}, odd = nothing();
    const int8_t *at = words[0], *const end = at + n;
#define ADD(sums, at, w)                                                                          \
    do {                                                                                          \
        const __m512i tile = tile_at(w);                                                          \
        sums.a = _mm512_dpbusd_epi32(sums.a, word_at(at), tile);                                  \
        sums.b = _mm512_dpbusd_epi32(sums.b, word_at((at) + MOST), tile);                         \
        sums.c = _mm512_dpbusd_epi32(sums.c, word_at((at) + 2 * MOST), tile);                     \
        sums.d = _mm512_dpbusd_epi32(sums.d, word_at((at) + 3 * MOST), tile);                     \
    } while (0)
    for (; at + 4 < end; at += 8, w += 128) {
        ADD(even, at, w);
        ADD(odd, at + 4, w + 64);
    }
    if (at < end) {
        ADD(even, at, w);
    }
#undef ADD
    return together(&even, &odd);
}

/* ---- from sums to codes -------------------------------------------------------------- */

ERNN_ALWAYS __mmask16 valid_outputs(const ernn_fc_s8_t *p, int32_t first)
{
    const int32_t left = p->outputs - first;
    return (__mmask16)(left >= 16 ? 0xFFFFu : (1u << left) - 1u);
}

/* How the sums of 16 outputs become codes. */
ERNN_ALWAYS ernn_rescale tile_of(const ernn_fc_s8_t *p, int32_t first)
{
    const __m128i right = _mm_loadu_si128((const void *)(p->right + first));
    return ernn_rescale_of(_mm512_loadu_si512(p->multiplier + first), _mm512_cvtepi8_epi32(right));
}

/* The same of the first outputs of a tile alone; of the others such that does no harm. */
ERNN_ALWAYS ernn_rescale part_of_tile(const ernn_fc_s8_t *p, int32_t first, __mmask16 valid)
{
    const __m128i right = _mm_mask_loadu_epi8(_mm_set1_epi8(1), valid, p->right + first);
    return ernn_rescale_of(_mm512_maskz_loadu_epi32(valid, p->multiplier + first),
                           _mm512_cvtepi8_epi32(right));
}

ERNN_ALWAYS __m512i whole(__m512i total, const ernn_rescale *to, __m512 *near)
{
    return ernn_nearest(ernn_rescaled(_mm512_cvtepi32_ps(total), to, near));
}

/* What 16 sums become, in integers: where one of them is near a tie. */
ERNN_ALWAYS __m512i whole_exactly(const ernn_fc_s8_t *p, int32_t first, __m512i total)
{
    const __mmask16 valid = valid_outputs(p, first);
    const __m512i one = _mm512_set1_epi32(1);
    const __m512i right = _mm512_cvtepi8_epi32(
        _mm_mask_loadu_epi8(_mm_set1_epi8(1), valid, p->right + first));
    return ernn_lanes_times(total, _mm512_maskz_loadu_epi32(valid, p->multiplier + first),
                            _mm512_sllv_epi32(one, _mm512_sub_epi32(right, one)), right);
}

static __attribute__((noinline)) __m512i codes_exactly(const ernn_fc_s8_t *p, int32_t first,
                                                       sums_t sums)
{
    return ernn_codes(whole_exactly(p, first, sums.a), whole_exactly(p, first + 16, sums.b),
                      whole_exactly(p, first + 32, sums.c), whole_exactly(p, first + 48, sums.d),
                      p->y_zero, p->y_low);
}

static __attribute__((noinline)) __m128i codes_of_tile_exactly(const ernn_fc_s8_t *p, int32_t first,
                                                               __m512i total)
{
    const __m512i zero = _mm512_setzero_si512();
    return _mm512_castsi512_si128(
        ernn_codes(whole_exactly(p, first, total), zero, zero, zero, p->y_zero, p->y_low));
}

/* Codes of 64 outputs. */
ERNN_ALWAYS __m512i codes_of(const ernn_fc_s8_t *p, int32_t first, const sums_t *sums,
                             const ernn_rescale *a, const ernn_rescale *b, const ernn_rescale *c,
                             const ernn_rescale *d)
{
    __m512 near = _mm512_setzero_ps();
    const __m512i whole_a = whole(sums->a, a, &near), whole_b = whole(sums->b, b, &near);
    const __m512i whole_c = whole(sums->c, c, &near), whole_d = whole(sums->d, d, &near);
    if (ernn_is_near(near)) {
        return codes_exactly(p, first, *sums);
    }
    return ernn_codes(whole_a, whole_b, whole_c, whole_d, p->y_zero, p->y_low);
}

/* Codes of the outputs of one tile, in the lowest bytes. */
ERNN_ALWAYS __m128i codes_of_tile(const ernn_fc_s8_t *p, int32_t first, __m512i total,
                                  const ernn_rescale *to)
{
    __m512 near = _mm512_setzero_ps();
    const __m512i found = whole(total, to, &near);
    if (ernn_is_near(near)) {
        return codes_of_tile_exactly(p, first, total);
    }
    return _mm_max_epi8(
        _mm512_cvtsepi32_epi8(_mm512_add_epi32(found, _mm512_set1_epi32(p->y_zero))),
        _mm_set1_epi8((int8_t)p->y_low));
}

static inline void store_s8(int8_t *y, __m512i codes) { _mm512_storeu_si512(y, codes); }

static inline void store_s16(int16_t *y, __m512i codes)
{
    _mm512_storeu_si512(y, _mm512_cvtepi8_epi16(_mm512_castsi512_si256(codes)));
    _mm512_storeu_si512(y + 32, _mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64(codes, 1)));
}

/* Fewer than 16 codes in whole pieces, not under a mask: see ernn_round_vnni.h. */
static inline void store_some_s8(int8_t *y, __m128i codes, int32_t count)
{
    if (count >= 16) {
        _mm_storeu_si128((void *)y, codes);
        return;
    }
    if ((count & 8) != 0) {
        _mm_storel_epi64((void *)y, codes);
        codes = _mm_srli_si128(codes, 8);
        y += 8;
    }
    if ((count & 4) != 0) {
        const int32_t four = _mm_cvtsi128_si32(codes);
        (void)memcpy(y, &four, 4);
        codes = _mm_srli_si128(codes, 4);
        y += 4;
    }
    for (count &= 3; count > 0; count--) {
        *y++ = (int8_t)_mm_extract_epi8(codes, 0);
        codes = _mm_srli_si128(codes, 1);
    }
}

static inline void store_some_s16(int16_t *y, __m128i codes, int32_t count)
{
    const __mmask16 valid = (__mmask16)(count >= 16 ? 0xFFFFu : (1u << count) - 1u);
    _mm256_mask_storeu_epi16(y, valid, _mm256_cvtepi8_epi16(codes));
}

/* All outputs of one row of x, and of ROWS of them: 64 at a time, then the rest of at most 16.
 * Functions of their own, so that the one's registers are not the other's. */
#define FUNCTIONS(name, type)                                                                     \
    static __attribute__((noinline)) void row_##name(const ernn_fc_s8_t *p, const int8_t *x,      \
                                                     type *y)                                     \
    {                                                                                             \
        const int32_t n = p->inputs;                                                              \
        const ptrdiff_t width = (ptrdiff_t)(n + 3) / 4 * 64; /* of a row of tiles */              \
        const int8_t *w = p->weights;                                                             \
        int32_t first = 0;                                                                        \
        for (; first + 64 <= p->outputs; first += 64, w += 4 * width) {                           \
            const sums_t sums = products(w, width, x, n, p->offset + first);                      \
            const ernn_rescale a = tile_of(p, first), b = tile_of(p, first + 16);                       \
            const ernn_rescale c = tile_of(p, first + 32), d = tile_of(p, first + 48);                  \
            store_##name(&y[first], codes_of(p, first, &sums, &a, &b, &c, &d));                   \
        }                                                                                         \
        for (; first < p->outputs; first += 16, w += width) {                                     \
            const __mmask16 valid = valid_outputs(p, first);                                      \
            const ernn_rescale tile = part_of_tile(p, first, valid);                                    \
            const __m512i offset = _mm512_maskz_loadu_epi32(valid, p->offset + first);            \
            const __m512i sums = products_of_tile(w, x, n, offset);                               \
            store_some_##name(&y[first], codes_of_tile(p, first, sums, &tile),                    \
                              p->outputs - first);                                               \
        }                                                                                         \
    }                                                                                             \
                                                                                                  \
    static __attribute__((noinline)) void rows_##name(const ernn_fc_s8_t *p, const int8_t *x,     \
                                                      type *y)                                    \
    {                                                                                             \
        const int32_t n = p->inputs;                                                              \
        const ptrdiff_t width = (ptrdiff_t)(n + 3) / 4 * 64;                                      \
        const int8_t *w = p->weights;                                                             \
        int8_t words[ROWS][MOST] __attribute__((aligned(64)));                                    \
        int32_t first = 0, row;                                                                   \
        for (row = 0; row < ROWS; row++) {                                                        \
            expand(x + row * n, n, words[row]);                                                   \
        }                                                                                         \
        for (; first + 64 <= p->outputs; first += 64, w += 4 * width) {                           \
            sums_t sums[ROWS];                                                                    \
            ernn_rescale a, b, c, d;                                                              \
            products_of_rows(w, width, words, n, p->offset + first, sums);                        \
            a = tile_of(p, first);                                                                \
            b = tile_of(p, first + 16);                                                           \
            c = tile_of(p, first + 32);                                                           \
            d = tile_of(p, first + 48);                                                           \
            for (row = 0; row < ROWS; row++) {                                                    \
                store_##name(&y[row * p->outputs + first],                                        \
                             codes_of(p, first, &sums[row], &a, &b, &c, &d));                     \
            }                                                                                     \
        }                                                                                         \
        for (; first < p->outputs; first += 16, w += width) {                                     \
            const __mmask16 valid = valid_outputs(p, first);                                      \
            const ernn_rescale tile = part_of_tile(p, first, valid);                                    \
            const __m512i offset = _mm512_maskz_loadu_epi32(valid, p->offset + first);            \
            const sums_t sums = products_of_tile_of_rows(w, words, n, offset);                    \
            const int32_t left = p->outputs - first;                                              \
            type *at = y + first;                                                                 \
            store_some_##name(at, codes_of_tile(p, first, sums.a, &tile), left);                  \
            at += p->outputs;                                                                     \
            store_some_##name(at, codes_of_tile(p, first, sums.b, &tile), left);                  \
            at += p->outputs;                                                                     \
            store_some_##name(at, codes_of_tile(p, first, sums.c, &tile), left);                  \
            at += p->outputs;                                                                     \
            store_some_##name(at, codes_of_tile(p, first, sums.d, &tile), left);                  \
        }                                                                                         \
    }

FUNCTIONS(s8, int8_t)
FUNCTIONS(s16, int16_t)

void ernn_fc_s8(const ernn_fc_s8_t *p, const int8_t *x, int8_t *y, int32_t rows)
{
    for (; rows >= ROWS && p->inputs <= MOST; rows -= ROWS) {
        rows_s8(p, x, y);
        x += ROWS * p->inputs;
        y += ROWS * p->outputs;
    }
    for (; rows > 0; rows--, x += p->inputs, y += p->outputs) {
        row_s8(p, x, y);
    }
}

void ernn_fc_s8_s16(const ernn_fc_s8_t *p, const int8_t *x, int16_t *y, int32_t rows)
{
    for (; rows >= ROWS && p->inputs <= MOST; rows -= ROWS) {
        rows_s16(p, x, y);
        x += ROWS * p->inputs;
        y += ROWS * p->outputs;
    }
    for (; rows > 0; rows--, x += p->inputs, y += p->outputs) {
        row_s16(p, x, y);
    }
}

#endif
