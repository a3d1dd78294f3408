/* ernn_requantize.h - from the sum of a matmul's output to its code. */
#ifndef ERNN_REQUANTIZE_H
#define ERNN_REQUANTIZE_H
#include "ernn.h"
#include "ernn_fixed.h"

/* saturate(y_zero + total m 2^(-31 - right)), rounded as ernn_times_small does: y_zero is added
 * before the last bit is shifted out. */
static inline int32_t ernn_requantize(int32_t total, int32_t m, int32_t right, int32_t y_zero)
{
    const int32_t high = ernn_upper_half(total * 2, m);
    return ernn_saturate_s8((((high + (high >> 31)) >> (right - 1)) + (2 * y_zero + 1)) >> 1);
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

#endif
