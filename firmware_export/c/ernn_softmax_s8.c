/* ernn_softmax_s8.c - SOFTMAX on int8, 1.0 being 256. */
#include "ernn.h"
#include "ernn_fixed.h"
#include "ernn_target.h"

#if !defined(ERNN_SOFTMAX_S8_ELSEWHERE)

/* exp(difference), no bits before the point. */
static int32_t exponential(const ernn_softmax_s8_t *p, int32_t difference)
{
    const int32_t left = p->shift > 0 ? p->shift : 0;
    return ernn_exp_of_negative(ernn_high_mul(difference * (1 << left), p->multiplier));
}

static void one_row(const ernn_softmax_s8_t *p, const int8_t *x, int8_t *y, int32_t width)
{
    int32_t largest = x[0], total = 0, headroom, scale, i;
    for (i = 1; i < width; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
    for (i = 0; i < width; i++) {
        if (x[i] - largest >= p->lowest) {
            total += ernn_divide_by_power(exponential(p, x[i] - largest), 12);
        }
    }
    headroom = ernn_leading_zeros((uint32_t)total);
    scale = ernn_one_over_one_plus((int32_t)(((uint32_t)total << headroom) - 0x80000000u));
    for (i = 0; i < width; i++) {
        int32_t share = 0;
        if (x[i] - largest >= p->lowest) {
            share = ernn_divide_by_power(ernn_high_mul(scale, exponential(p, x[i] - largest)),
                                         35 - headroom);
        }
        y[i] = (int8_t)ernn_clamp(share - 128, -128, 127);
    }
}

void ernn_softmax_s8(const ernn_softmax_s8_t *p, const int8_t *x, int8_t *y, int32_t width,
                     int32_t rows)
{
    for (; rows > 0; rows--, x += width, y += width) {
        one_row(p, x, y, width);
    }
}

#endif
