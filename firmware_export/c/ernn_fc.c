/* ernn_fc.c - FULLY_CONNECTED in C alone; other instructions have files of their own. */
#include "ernn.h"
#include "ernn_fixed.h"
#include "ernn_requantize.h"
#include "ernn_target.h"

#if ERNN_LAYOUT == ERNN_ROWS && !defined(ERNN_FC_ELSEWHERE)

/* Four rows of weights times x: what is loaded of x serves four times. */
static void four_rows(const int8_t *w, int32_t n, const int8_t *x, int32_t sums[4])
{
    const int8_t *const end = x + n;
    const int8_t *w1 = w + n, *w2 = w1 + n, *w3 = w2 + n;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    if ((n & 1) != 0) {
        s0 = *w++ * *x;
        s1 = *w1++ * *x;
        s2 = *w2++ * *x;
        s3 = *w3++ * *x;
        x++;
    }
    while (x < end) {
        int32_t value = *x++;
        s0 += *w++ * value;
        s1 += *w1++ * value;
        s2 += *w2++ * value;
        s3 += *w3++ * value;
        value = *x++;
        s0 += *w++ * value;
        s1 += *w1++ * value;
        s2 += *w2++ * value;
        s3 += *w3++ * value;
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

static int32_t one_row(const int8_t *w, int32_t n, const int8_t *x)
{
    int32_t sum = 0;
    for (; n > 0; n--) {
        sum += *w++ * *x++;
    }
    return sum;
}

/* All outputs of one row of x. */
#define ROW(type)                                                                                 \
    do {                                                                                          \
        const int32_t n = p->inputs, y_zero = p->y_zero, *offset = p->offset;                     \
        const int32_t *multiplier = p->multiplier;                                                \
        const int8_t *w = p->weights, *right = p->right;                                          \
        int32_t left = p->outputs, sums[4], k;                                                    \
        while (left > 0) {                                                                        \
            const int32_t count = left >= 4 ? 4 : 1;                                              \
            if (count == 4) {                                                                     \
                four_rows(w, n, x, sums);                                                         \
            } else {                                                                              \
                sums[0] = one_row(w, n, x);                                                       \
            }                                                                                     \
            for (k = 0; k < count; k++) {                                                         \
                *y++ = (type)ernn_requantize(sums[k] + *offset++, *multiplier++, *right++,        \
                                             y_zero);                                             \
            }                                                                                     \
            w += count * n;                                                                       \
            left -= count;                                                                        \
        }                                                                                         \
    } while (0)

void ernn_fc_s8(const ernn_fc_s8_t *p, const int8_t *x, int8_t *y, int32_t rows)
{
    for (; rows > 0; rows--, x += p->inputs) {
        ROW(int8_t);
        ernn_at_least_s8(y - p->outputs, p->outputs, p->y_low);
    }
}

void ernn_fc_s8_s16(const ernn_fc_s8_t *p, const int8_t *x, int16_t *y, int32_t rows)
{
    for (; rows > 0; rows--, x += p->inputs) {
        ROW(int16_t);
        ernn_at_least_s16(y - p->outputs, p->outputs, p->y_low);
    }
}

#endif
