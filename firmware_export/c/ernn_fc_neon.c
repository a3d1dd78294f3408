/* ernn_fc_neon.c - FULLY_CONNECTED with NEON, with and without its dot products. */
#include "ernn.h"
#include "ernn_target.h"

#if defined(ERNN_NEON)
#include <arm_neon.h>

#define ROWS 4
static void tile_sums(const int8_t *w, const int8_t *x, int32_t n, int32_t rows,
                      int32_t sums[ROWS][16]);
#include "ernn_fc_tiles.h"

static inline int8x16_t four_times(const int8_t *x, int32_t left)
{
    return vreinterpretq_s8_s32(vdupq_n_s32(word_at(x, left)));
}

#if defined(__ARM_FEATURE_DOTPROD)

/* The sums of 16 outputs for one row of x. */
typedef struct {
    int32x4_t quarter[4];
} total_t;

static inline total_t nothing(void)
{
    const int32x4_t zero = vdupq_n_s32(0);
    const total_t total = {{zero, zero, zero, zero}};
    return total;
}

/* 16 rows by 4 columns of weights times a word of x. */
static inline void add_products(total_t *total, const int8_t *w, int8x16_t x)
{
    total->quarter[0] = vdotq_s32(total->quarter[0], vld1q_s8(w), x);
    total->quarter[1] = vdotq_s32(total->quarter[1], vld1q_s8(w + 16), x);
    total->quarter[2] = vdotq_s32(total->quarter[2], vld1q_s8(w + 32), x);
    total->quarter[3] = vdotq_s32(total->quarter[3], vld1q_s8(w + 48), x);
}

static inline void give(const total_t *total, int32_t sums[16])
{
    vst1q_s32(&sums[0], total->quarter[0]);
    vst1q_s32(&sums[4], total->quarter[1]);
    vst1q_s32(&sums[8], total->quarter[2]);
    vst1q_s32(&sums[12], total->quarter[3]);
}

static void tile_sums(const int8_t *w, const int8_t *x, int32_t n, int32_t rows,
                      int32_t sums[ROWS][16])
{
    int32_t j;
    if (rows == ROWS) {
        total_t a = nothing(), b = nothing(), c = nothing(), d = nothing();
        for (j = 0; j < n; j += 4, w += 64) {
            add_products(&a, w, four_times(x + j, n - j));
            add_products(&b, w, four_times(x + n + j, n - j));
            add_products(&c, w, four_times(x + 2 * n + j, n - j));
            add_products(&d, w, four_times(x + 3 * n + j, n - j));
        }
        give(&a, sums[0]);
        give(&b, sums[1]);
        give(&c, sums[2]);
        give(&d, sums[3]);
        return;
    }
    for (; rows > 0; rows--, x += n, sums++) {
        const int8_t *at = w;
        total_t total = nothing();
        for (j = 0; j < n; j += 4, at += 64) {
            add_products(&total, at, four_times(x + j, n - j));
        }
        give(&total, *sums);
    }
}

#else

/* Four rows by 4 columns, and the same of the next tile: products of 127 * 128, two of which
 * fit 16 bits, are added up in pairs; the halves of an output's sum lie side by side. */
static inline void add_products(int32x4_t total[2], const int8_t *w, int8x16_t x, int8x16_t next_x)
{
    const int8x16_t here = vld1q_s8(w), next = vld1q_s8(w + 64);
    const int16x8_t low = vmlal_s8(vmull_s8(vget_low_s8(here), vget_low_s8(x)),
                                   vget_low_s8(next), vget_low_s8(next_x));
    const int16x8_t high = vmlal_high_s8(vmull_high_s8(here, x), next, next_x);
    total[0] = vpadalq_s16(total[0], low);
    total[1] = vpadalq_s16(total[1], high);
}

/* The same without a next tile. */
static inline void add_last(int32x4_t total[2], const int8_t *w, int8x16_t x)
{
    const int8x16_t here = vld1q_s8(w);
    total[0] = vpadalq_s16(total[0], vmull_s8(vget_low_s8(here), vget_low_s8(x)));
    total[1] = vpadalq_s16(total[1], vmull_high_s8(here, x));
}

static void tile_sums(const int8_t *w, const int8_t *x, int32_t n, int32_t rows,
                      int32_t sums[ROWS][16])
{
    for (; rows > 0; rows--, x += n, sums++) {
        const int8_t *at = w;
        int32x4_t total[4][2];
        int32_t j, k;
        for (k = 0; k < 4; k++) {
            total[k][0] = total[k][1] = vdupq_n_s32(0);
        }
        for (j = 0; j + 4 < n; j += 8, at += 128) {
            const int8x16_t here = four_times(x + j, n - j);
            const int8x16_t next = four_times(x + j + 4, n - j - 4);
            for (k = 0; k < 4; k++) {
                add_products(total[k], at + 16 * k, here, next);
            }
        }
        if (j < n) {
            for (k = 0; k < 4; k++) {
                add_last(total[k], at + 16 * k, four_times(x + j, n - j));
            }
        }
        for (k = 0; k < 4; k++) {
            vst1q_s32(&(*sums)[4 * k], vpaddq_s32(total[k][0], total[k][1]));
        }
    }
}

#endif

void ernn_fc_s8(const ernn_fc_s8_t *p, const int8_t *x, int8_t *y, int32_t rows)
{
    FC(store_s8, ernn_at_least_s8);
}

void ernn_fc_s8_s16(const ernn_fc_s8_t *p, const int8_t *x, int16_t *y, int32_t rows)
{
    FC(store_s16, ernn_at_least_s16);
}

#endif
