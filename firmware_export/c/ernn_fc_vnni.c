/* ernn_fc_vnni.c - FULLY_CONNECTED with AVX-512 VNNI. */
#include <stddef.h>

#include "ernn.h"
#include "ernn_round_vnni.h"
#include "ernn_target.h"

#if defined(ERNN_VNNI)

/* VPDPBUSD wants one side unsigned: x plus 128 (ERNN_X_PLUS), which is its bytes with the
 * uppermost bit turned over. */

enum {
    ROWS = 4,  /* of x at once, which share the weights that are loaded */
    GROUPS = 4 /* of so many rows, which share the parameters           */
};

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

/* sum += a tile times a word.  Not by the intrinsic, around which GCC 12
 * copies the sums to and fro: a loop then waits for the copies. */
ERNN_ALWAYS void add_tile(__m512i *sum, const int8_t *w, __m512i word)
{
    __asm__("vpdpbusd %2, %1, %0"
            : "+v"(*sum) : "v"(word), "m"(*(const __m512i *)(const void *)w));
}

/* The same, of a tile that was loaded. */
ERNN_ALWAYS void add_loaded(__m512i *sum, __m512i tile, __m512i word)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(word), "v"(tile));
}

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
    add_tile(&sums->a, w, word);
    add_tile(&sums->b, w + width, word);
    add_tile(&sums->c, w + 2 * width, word);
    add_tile(&sums->d, w + 3 * width, word);
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

enum { MOST = 512 }; /* columns of x that are widened to whole words for several rows */

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

/* sums += four tiles times a word. */
ERNN_ALWAYS void add_four(sums_t *sums, __m512i a, __m512i b, __m512i c, __m512i d, __m512i word)
{
    add_loaded(&sums->a, a, word);
    add_loaded(&sums->b, b, word);
    add_loaded(&sums->c, c, word);
    add_loaded(&sums->d, d, word);
}

/* The same for ROWS rows of x, expanded. */
ERNN_ALWAYS void products_of_rows(const int8_t *w, ptrdiff_t width, int8_t (*words)[MOST],
                                  int32_t n, const int32_t *offset, sums_t sums[ROWS])
{
    sums_t s0 = sums_at(offset), s1 = s0, s2 = s0, s3 = s0;
    const int8_t *at = words[0], *const end = at + n;
    for (; at < end; at += 4, w += 64) {
        const __m512i a = tile_at(w), b = tile_at(w + width);
        const __m512i c = tile_at(w + 2 * width), d = tile_at(w + 3 * width);
        add_four(&s0, a, b, c, d, word_at(at));
        add_four(&s1, a, b, c, d, word_at(at + MOST));
        add_four(&s2, a, b, c, d, word_at(at + 2 * MOST));
        add_four(&s3, a, b, c, d, word_at(at + 3 * MOST));
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
        add_tile(&sums.a, w, word_of(x, 4));
        add_tile(&sums.b, w + 64, word_of(x + 4, 4));
        add_tile(&sums.c, w + 128, word_of(x + 8, 4));
        add_tile(&sums.d, w + 192, word_of(x + 12, 4));
    }
    for (; n > 0; n -= 4, x += 4, w += 64) {
        add_tile(&sums.a, w, word_of(x, n < 4 ? n : 4));
    }
    return _mm512_add_epi32(_mm512_add_epi32(sums.a, sums.b), _mm512_add_epi32(sums.c, sums.d));
}

/* The same for ROWS rows of x, expanded. */
ERNN_ALWAYS sums_t products_of_tile_of_rows(const int8_t *w, int8_t (*words)[MOST], int32_t n,
                                            __m512i offset)
{
    sums_t even = {offset, offset, offset, offset}, odd = nothing();
    const int8_t *at = words[0], *const end = at + n;
#define ADD(sums, at, w)                                                                          \
    do {                                                                                          \
        const __m512i tile = tile_at(w);                                                          \
        add_loaded(&sums.a, tile, word_at(at));                                                   \
        add_loaded(&sums.b, tile, word_at((at) + MOST));                                          \
        add_loaded(&sums.c, tile, word_at((at) + 2 * MOST));                                      \
        add_loaded(&sums.d, tile, word_at((at) + 3 * MOST));                                      \
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

ERNN_ALWAYS __m512 rescaled(__m512i total, const ernn_rescale *to)
{
    return ernn_rescaled(_mm512_cvtepi32_ps(total), to);
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
                                                       const sums_t *sums)
{
    const ernn_ends ends = ernn_ends_of(p->y_zero, p->y_low);
    return ernn_codes(whole_exactly(p, first, sums->a), whole_exactly(p, first + 16, sums->b),
                      whole_exactly(p, first + 32, sums->c), whole_exactly(p, first + 48, sums->d),
                      &ends);
}

/* Codes of 64 outputs; *doubtful if one of them is near a tie. */
ERNN_ALWAYS __m512i codes_of(const sums_t *sums, const ernn_rescale to[4], const ernn_ends *ends,
                             int *doubtful)
{
    const __m512 a = rescaled(sums->a, &to[0]), b = rescaled(sums->b, &to[1]);
    const __m512 c = rescaled(sums->c, &to[2]), d = rescaled(sums->d, &to[3]);
    *doubtful = ernn_are_near(a, b, c, d, ERNN_TIE);
    return ernn_codes(ernn_nearest(a), ernn_nearest(b), ernn_nearest(c), ernn_nearest(d), ends);
}

/* Codes of the outputs of one tile, in the lowest bytes. */
ERNN_ALWAYS __m128i codes_of_tile(const ernn_fc_s8_t *p, int32_t first, __m512i total,
                                  const ernn_rescale *to)
{
    const __m128i y_low = _mm_set1_epi8((int8_t)p->y_low);
    const __m512i y_zero = _mm512_set1_epi32(p->y_zero);
    const __m512 r = rescaled(total, to), distance = _mm512_abs_ps(_mm512_reduce_ps(r, 8));
    __m512i found = ernn_nearest(r);
    if (_mm512_cmp_ps_mask(distance, ERNN_TIE, _CMP_GE_OQ) != 0) {
        found = whole_exactly(p, first, total);
    }
    return _mm_max_epi8(_mm512_cvtsepi32_epi8(_mm512_add_epi32(found, y_zero)), y_low);
}

static inline void store_s8(int8_t *y, __m512i codes) { _mm512_storeu_si512(y, codes); }

static inline void store_s16(int16_t *y, __m512i codes)
{
    _mm512_storeu_si512(y, _mm512_cvtepi8_epi16(_mm512_castsi512_si256(codes)));
    _mm512_storeu_si512(y + 32, _mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64(codes, 1)));
}

static inline void store_some_s8(int8_t *y, __m128i codes, int32_t count)
{
    ernn_pieces_to(y, codes, count);
}

static inline void store_some_s16(int16_t *y, __m128i codes, int32_t count)
{
    const __mmask16 valid = (__mmask16)(count >= 16 ? 0xFFFFu : (1u << count) - 1u);
    _mm256_mask_storeu_epi16(y, valid, _mm256_cvtepi8_epi16(codes));
}

ERNN_ALWAYS void rescales_of(const ernn_fc_s8_t *p, int32_t first, ernn_rescale to[4])
{
    to[0] = tile_of(p, first);
    to[1] = tile_of(p, first + 16);
    to[2] = tile_of(p, first + 32);
    to[3] = tile_of(p, first + 48);
}

/* (n + 3) / 4 tiles: bytes of 16 rows of weights. */
ERNN_ALWAYS ptrdiff_t width_of(int32_t n) { return (ptrdiff_t)(((uint32_t)n + 3u) / 4u * 64u); }

/* One row of x and 64 outputs, and the same in integers; then one row and a tile's outputs, and
 * `groups` times ROWS rows and all outputs.  Functions of their own, so that one's registers are
 * not the other's; a doubtful row is computed from its beginning again. */
#define FUNCTIONS(name, type)                                                                     \
    static __attribute__((noinline)) void exactly_##name(const ernn_fc_s8_t *p, int32_t first,    \
                                                         const int8_t *x, type *y)                \
    {                                                                                             \
        const ptrdiff_t width = width_of(p->inputs);                                              \
        const sums_t sums = products(p->weights + first / 16 * width, width, x, p->inputs,        \
                                     p->offset + first);                                          \
        store_##name(y, codes_exactly(p, first, &sums));                                          \
    }                                                                                             \
                                                                                                  \
    static __attribute__((noinline)) void outputs_##name(const ernn_fc_s8_t *p, int32_t first,    \
                                                         const int8_t *x, type *y)                \
    {                                                                                             \
        const ptrdiff_t width = width_of(p->inputs);                                              \
        const sums_t sums = products(p->weights + first / 16 * width, width, x, p->inputs,        \
                                     p->offset + first);                                          \
        const ernn_ends ends = ernn_ends_of(p->y_zero, p->y_low);                                 \
        ernn_rescale to[4];                                                                       \
        __m512i codes;                                                                            \
        int doubtful;                                                                             \
        rescales_of(p, first, to);                                                                \
        codes = codes_of(&sums, to, &ends, &doubtful);                                            \
        if (doubtful != 0) {                                                                      \
            exactly_##name(p, first, x, y);                                                       \
        } else {                                                                                  \
            store_##name(y, codes);                                                               \
        }                                                                                         \
    }                                                                                             \
                                                                                                  \
    static __attribute__((noinline)) void some_##name(const ernn_fc_s8_t *p, int32_t first,       \
                                                      const int8_t *x, type *y)                   \
    {                                                                                             \
        const __mmask16 valid = valid_outputs(p, first);                                          \
        const ernn_rescale to = part_of_tile(p, first, valid);                                    \
        const __m512i offset = _mm512_maskz_loadu_epi32(valid, p->offset + first);                \
        const __m512i sums = products_of_tile(p->weights + first / 16 * width_of(p->inputs), x,   \
                                              p->inputs, offset);                                 \
        store_some_##name(y, codes_of_tile(p, first, sums, &to), p->outputs - first);             \
    }                                                                                             \
                                                                                                  \
    static __attribute__((noinline)) void row_##name(const ernn_fc_s8_t *p, const int8_t *x,      \
                                                     type *y)                                     \
    {                                                                                             \
        const int32_t outputs = p->outputs;                                                       \
        int32_t first = 0;                                                                        \
        for (; first + 64 <= outputs; first += 64) {                                              \
            outputs_##name(p, first, x, y + first);                                               \
        }                                                                                         \
        for (; first < outputs; first += 16) {                                                    \
            some_##name(p, first, x, y + first);                                                  \
        }                                                                                         \
    }                                                                                             \
                                                                                                  \
    static __attribute__((noinline)) void rows_##name(const ernn_fc_s8_t *p, const int8_t *x,     \
                                                      type *y, int32_t groups)                    \
    {                                                                                             \
        const ernn_ends ends = ernn_ends_of(p->y_zero, p->y_low);                                 \
        const int32_t n = p->inputs, outputs = p->outputs;                                        \
        const ptrdiff_t width = width_of(n);                                                      \
        const int8_t *w = p->weights;                                                             \
        int8_t words[GROUPS * ROWS][MOST] __attribute__((aligned(64)));                           \
        int32_t first = 0, group, row;                                                            \
        for (row = 0; row < groups * ROWS; row++) {                                               \
            expand(x + row * n, n, words[row]);                                                   \
        }                                                                                         \
        for (; first + 64 <= outputs; first += 64, w += 4 * width) {                              \
            const int32_t *const offset = p->offset + first;                                      \
            type *at = y + first;                                                                 \
            ernn_rescale to[4];                                                                   \
            rescales_of(p, first, to);                                                            \
            for (group = 0; group < groups; group++) {                                            \
                sums_t sums[ROWS];                                                                \
                int doubtful[ROWS];                                                               \
                products_of_rows(w, width, &words[group * ROWS], n, offset, sums);                \
                store_##name(at, codes_of(&sums[0], to, &ends, &doubtful[0]));                    \
                store_##name(at + outputs, codes_of(&sums[1], to, &ends, &doubtful[1]));          \
                store_##name(at + 2 * outputs, codes_of(&sums[2], to, &ends, &doubtful[2]));      \
                store_##name(at + 3 * outputs, codes_of(&sums[3], to, &ends, &doubtful[3]));      \
                if ((doubtful[0] | doubtful[1] | doubtful[2] | doubtful[3]) != 0) {               \
                    for (row = 0; row < ROWS; row++) {                                            \
                        if (doubtful[row] != 0) {                                                 \
                            store_##name(at + row * outputs,                                      \
                                         codes_exactly(p, first, &sums[row]));                    \
                        }                                                                         \
                    }                                                                             \
                }                                                                                 \
                at += ROWS * outputs;                                                             \
            }                                                                                     \
        }                                                                                         \
        for (; first < outputs; first += 16, w += width) {                                        \
            const __mmask16 valid = valid_outputs(p, first);                                      \
            const ernn_rescale to = part_of_tile(p, first, valid);                                \
            const __m512i offset = _mm512_maskz_loadu_epi32(valid, p->offset + first);            \
            const int32_t left = outputs - first;                                                 \
            type *at = y + first;                                                                 \
            for (group = 0; group < groups; group++) {                                            \
                const sums_t sums =                                                               \
                    products_of_tile_of_rows(w, &words[group * ROWS], n, offset);                 \
                store_some_##name(at, codes_of_tile(p, first, sums.a, &to), left);                \
                at += outputs;                                                                    \
                store_some_##name(at, codes_of_tile(p, first, sums.b, &to), left);                \
                at += outputs;                                                                    \
                store_some_##name(at, codes_of_tile(p, first, sums.c, &to), left);                \
                at += outputs;                                                                    \
                store_some_##name(at, codes_of_tile(p, first, sums.d, &to), left);                \
                at += outputs;                                                                    \
            }                                                                                     \
        }                                                                                         \
    }

FUNCTIONS(s8, int8_t)
FUNCTIONS(s16, int16_t)

#define ALL_ROWS(name)                                                                            \
    do {                                                                                          \
        const int32_t n = p->inputs, outputs = p->outputs;                                        \
        while (rows >= ROWS && n <= MOST) {                                                       \
            const int32_t groups = rows / ROWS < GROUPS ? rows / ROWS : GROUPS;                   \
            rows_##name(p, x, y, groups);                                                         \
            x += groups * ROWS * n;                                                               \
            y += groups * ROWS * outputs;                                                         \
            rows -= groups * ROWS;                                                                \
        }                                                                                         \
        for (; rows > 0; rows--, x += n, y += outputs) {                                          \
            row_##name(p, x, y);                                                                  \
        }                                                                                         \
    } while (0)

static __attribute__((noinline)) void all_rows_s8(const ernn_fc_s8_t *p, const int8_t *x,
                                                  int8_t *y, int32_t rows)
{
    ALL_ROWS(s8);
}

static __attribute__((noinline)) void all_rows_s16(const ernn_fc_s8_t *p, const int8_t *x,
                                                   int16_t *y, int32_t rows)
{
    ALL_ROWS(s16);
}

void ernn_fc_s8(const ernn_fc_s8_t *p, const int8_t *x, int8_t *y, int32_t rows)
{
    if (rows == 1 && p->outputs == 64) { /* what there is most often */
        outputs_s8(p, 0, x, y);
    } else if (rows == 1) {
        row_s8(p, x, y);
    } else {
        all_rows_s8(p, x, y, rows);
    }
}

void ernn_fc_s8_s16(const ernn_fc_s8_t *p, const int8_t *x, int16_t *y, int32_t rows)
{
    if (rows == 1 && p->outputs == 64) {
        outputs_s16(p, 0, x, y);
    } else if (rows == 1) {
        row_s16(p, x, y);
    } else {
        all_rows_s16(p, x, y, rows);
    }
}

#endif
