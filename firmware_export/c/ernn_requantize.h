/* ernn_requantize.h - from the sums of a matmul's outputs to their codes. */
#ifndef ERNN_REQUANTIZE_H
#define ERNN_REQUANTIZE_H
#include "ernn.h"
#include "ernn_fixed.h"

/* codes[k] of outputs i .. i + count - 1.  Sums stay within 2^30: edgernn/plan/lower.py has
 * seen to it. */
static inline void ernn_requantize(const ernn_fc_s8_t *p, int32_t i, const int32_t *sums,
                                   int32_t count, int32_t *codes)
{
    const int32_t *offset = &p->offset[i], *multiplier = &p->multiplier[i];
    const int8_t *right = &p->right[i];
    const int32_t y_zero = p->y_zero, y_low = p->y_low;
    for (; count > 0; count--) {
        const int32_t scaled = ernn_times_small(*sums++ + *offset++, *multiplier++, *right++);
        const int32_t code = ernn_saturate_s8(scaled + y_zero);
        *codes++ = code < y_low ? y_low : code;
    }
}

#endif
