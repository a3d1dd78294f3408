/* ernn_requantize.h - from the sum of a matmul's output to its code. */
#ifndef ERNN_REQUANTIZE_H
#define ERNN_REQUANTIZE_H
#include "ernn.h"
#include "ernn_fixed.h"

/* saturate(y_zero + total m 2^(-31 - right)), rounded as ernn_times_small does. */
static inline int32_t ernn_requantize(int32_t total, int32_t m, int32_t right, int32_t y_zero)
{
    return ernn_saturate_s8(ernn_times_small(total, m, right, y_zero));
}

/* A relu that was fused: no code is below y_low. */
static inline void ernn_at_least_s8(int8_t *y, int32_t n, int32_t y_low)
{
    if (y_low > -128) {
        for (; n > 0; n--, y++) {
            *y = *y < y_low ? (int8_t)y_low : *y;
        }
    }
}

static inline void ernn_at_least_s16(int16_t *y, int32_t n, int32_t y_low)
{
    if (y_low > -32768) {
        for (; n > 0; n--, y++) {
            *y = *y < y_low ? (int16_t)y_low : *y;
        }
    }
}

/* The same of codes of int8 that became int16. */
static inline void ernn_at_least_s8_s16(int16_t *y, int32_t n, int32_t y_low)
{
    if (y_low > -128) {
        ernn_at_least_s16(y, n, y_low);
    }
}

/* Codes of `count` sums: those of the outputs from `first` on. */
#define ERNN_REQUANTIZE(type, at_least)                                                           \
    do {                                                                                          \
        const int32_t *offset = &p->offset[first], *multiplier = &p->multiplier[first];           \
        const int32_t *const end = sums + count, y_zero = p->y_zero;                              \
        const int8_t *right = &p->right[first];                                                   \
        while (sums < end) {                                                                      \
            *y++ = (type)ernn_requantize(*sums++ + *offset++, *multiplier++, *right++, y_zero);   \
        }                                                                                         \
        at_least(y - count, count, p->y_low);                                                     \
    } while (0)

static inline void ernn_requantize_s8(const ernn_fc_s8_t *p, int32_t first, int32_t count,
                                      const int32_t *sums, int8_t *y)
{
    ERNN_REQUANTIZE(int8_t, ernn_at_least_s8);
}

static inline void ernn_requantize_s8_s16(const ernn_fc_s8_t *p, int32_t first, int32_t count,
                                          const int32_t *sums, int16_t *y)
{
    ERNN_REQUANTIZE(int16_t, ernn_at_least_s8_s16);
}

#endif
