/* ernn_fc_vnni.c - FULLY_CONNECTED with AVX-512 VNNI. */
#include "ernn.h"
#include "ernn_round_vnni.h"
#include "ernn_target.h"

#if defined(ERNN_VNNI)

/* VPDPBUSD wants one side unsigned: weights plus 128, which is their bytes with the uppermost
 * bit turned over.  128 times the sum of x is then too much, the same for every output. */

enum { TILES = 4, ROWS = 4 }; /* at once: 64 outputs of 4 rows of x */

/* 128 times the sum of x, in every lane. */
static inline __m512i excess(const int8_t *x, int32_t n)
{
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i sum = _mm512_setzero_si512();
    for (; n > 0; n -= 64, x += 64) {
        const __mmask64 valid = n >= 64 ? ~0ull : (1ull << n) - 1u;
        sum = _mm512_dpbusd_epi32(sum, ones, _mm512_maskz_loadu_epi8(valid, x));
    }
    return _mm512_set1_epi32(128 * _mm512_reduce_add_epi32(sum));
}

static inline __m512i word_of(const int8_t *x, int32_t count)
{
    int32_t word = 0;
    (void)memcpy(&word, x, (size_t)count);
    return _mm512_set1_epi32(word);
}

/* sums += a column of tiles times the words of x there. */
ERNN_ALWAYS void add_column(__m512i sums[ROWS][TILES], const int8_t *w, int32_t width,
                            const int8_t *x, int32_t n, int32_t valid, int rows, int tiles)
{
    const __m512i top = _mm512_set1_epi8(-128);
    __m512i weights[TILES];
    int row, tile;
    for (tile = 0; tile < tiles; tile++) {
        weights[tile] = _mm512_xor_si512(_mm512_loadu_si512(w + tile * width), top);
    }
    for (row = 0; row < rows; row++) {
        const __m512i word = word_of(x + row * n, valid);
        for (tile = 0; tile < tiles; tile++) {
            sums[row][tile] = _mm512_dpbusd_epi32(sums[row][tile], weights[tile], word);
        }
    }
}

/* Codes of `count` outputs from `first` on, at most 16 * tiles, of `rows` rows of x. */
ERNN_ALWAYS void outputs(const ernn_fc_s8_t *p, int32_t first, int32_t count, const int8_t *x,
                         const __m512i *too_much, int rows, int tiles, __m512i codes[ROWS])
{
    const int32_t n = p->inputs, width = (n + 3) / 4 * 64; /* bytes of 16 rows of weights */
    const int8_t *w = p->weights + first / 16 * width;
    const __m512i y_zero = _mm512_set1_epi16((int16_t)p->y_zero);
    const __m512i y_low = _mm512_set1_epi8((int8_t)p->y_low);
    __m512i sums[ROWS][TILES], other[ROWS][TILES], m[TILES], right[TILES];
    ernn_rescale to[TILES];
    int32_t j;
    int row, tile;
    for (tile = 0; tile < tiles; tile++) {
        const int32_t at = first + 16 * tile, left = count - 16 * tile;
        const __mmask16 valid = (__mmask16)(left >= 16 ? 0xFFFF : (1 << left) - 1);
        const __m512i offset = _mm512_maskz_loadu_epi32(valid, p->offset + at);
        m[tile] = _mm512_maskz_loadu_epi32(valid, p->multiplier + at);
        right[tile] = _mm512_cvtepi8_epi32(
            _mm_mask_loadu_epi8(_mm_set1_epi8(1), valid, p->right + at));
        to[tile] = ernn_rescale_of(m[tile], right[tile]);
        for (row = 0; row < rows; row++) {
            sums[row][tile] = _mm512_sub_epi32(offset, too_much[row]);
            other[row][tile] = _mm512_setzero_si512();
        }
    }
    j = 0;
    if (rows == 1) { /* two sets of sums, since one waits for itself */
        for (; j + 8 <= n; j += 8, w += 128) {
            add_column(sums, w, width, x + j, n, 4, rows, tiles);
            add_column(other, w + 64, width, x + j + 4, n, 4, rows, tiles);
        }
    }
    for (; j + 4 <= n; j += 4, w += 64) {
        add_column(sums, w, width, x + j, n, 4, rows, tiles);
    }
    if (j < n) {
        add_column(sums, w, width, x + j, n, n - j, rows, tiles);
    }
    for (row = 0; row < rows; row++) {
        __m512i whole[TILES];
        __m512 near = _mm512_setzero_ps();
        for (tile = 0; tile < TILES; tile++) {
            whole[tile] = _mm512_setzero_si512();
        }
        for (tile = 0; tile < tiles; tile++) {
            if (rows == 1) {
                sums[row][tile] = _mm512_add_epi32(sums[row][tile], other[row][tile]);
            }
            whole[tile] = ernn_nearest(
                ernn_rescaled(_mm512_cvtepi32_ps(sums[row][tile]), &to[tile], &near));
        }
        if (ernn_is_near(near)) {
            const __m512i one = _mm512_set1_epi32(1);
            for (tile = 0; tile < tiles; tile++) {
                const __m512i half =
                    _mm512_sllv_epi32(one, _mm512_sub_epi32(right[tile], one));
                whole[tile] = ernn_lanes_times(sums[row][tile], m[tile], half, right[tile]);
            }
        }
        codes[row] = ernn_codes(whole[0], whole[1], whole[2], whole[3], y_zero, y_low);
    }
}

static inline void store_s8(int8_t *y, __m512i codes, int32_t count)
{
    _mm512_mask_storeu_epi8(y, count >= 64 ? ~0ull : (1ull << count) - 1u, codes);
}

static inline void store_s16(int16_t *y, __m512i codes, int32_t count)
{
    const uint64_t valid = count >= 64 ? ~0ull : (1ull << count) - 1u;
    _mm512_mask_storeu_epi16(y, (__mmask32)valid,
                             _mm512_cvtepi8_epi16(_mm512_castsi512_si256(codes)));
    if (count > 32) {
        _mm512_mask_storeu_epi16(y + 32, (__mmask32)(valid >> 32),
                                 _mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64(codes, 1)));
    }
}

/* All outputs of `rows` rows of x, for a constant `rows`. */
#define OUTPUTS(rows, STORE)                                                                      \
    do {                                                                                          \
        __m512i too_much[ROWS], codes[ROWS];                                                      \
        int32_t first, row;                                                                       \
        for (row = 0; row < rows; row++) {                                                        \
            too_much[row] = excess(x + row * p->inputs, p->inputs);                               \
        }                                                                                         \
        for (first = 0; first < p->outputs; first += 16 * TILES) {                                \
            const int32_t count = p->outputs - first;                                             \
            if (count > 48) {                                                                     \
                outputs(p, first, count, x, too_much, rows, 4, codes);                            \
            } else if (count > 32) {                                                              \
                outputs(p, first, count, x, too_much, rows, 3, codes);                            \
            } else if (count > 16) {                                                              \
                outputs(p, first, count, x, too_much, rows, 2, codes);                            \
            } else {                                                                              \
                outputs(p, first, count, x, too_much, rows, 1, codes);                            \
            }                                                                                     \
            for (row = 0; row < rows; row++) {                                                    \
                STORE(y + row * p->outputs + first, codes[row], count);                           \
            }                                                                                     \
        }                                                                                         \
    } while (0)

void ernn_fc_s8(const ernn_fc_s8_t *p, const int8_t *x, int8_t *y, int32_t rows)
{
    for (; rows >= ROWS; rows -= ROWS, x += ROWS * p->inputs, y += ROWS * p->outputs) {
        OUTPUTS(ROWS, store_s8);
    }
    for (; rows > 0; rows--, x += p->inputs, y += p->outputs) {
        OUTPUTS(1, store_s8);
    }
}

void ernn_fc_s8_s16(const ernn_fc_s8_t *p, const int8_t *x, int16_t *y, int32_t rows)
{
    for (; rows >= ROWS; rows -= ROWS, x += ROWS * p->inputs, y += ROWS * p->outputs) {
        OUTPUTS(ROWS, store_s16);
    }
    for (; rows > 0; rows--, x += p->inputs, y += p->outputs) {
        OUTPUTS(1, store_s16);
    }
}

#endif
