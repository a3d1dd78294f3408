/* ernn_fc.c - FULLY_CONNECTED in C alone; other instructions have files of their own. */
#include "ernn.h"
#include "ernn_fixed.h"
#include "ernn_requantize.h"
#include "ernn_target.h"

#if ERNN_LAYOUT == ERNN_ROWS && !defined(ERNN_FC_ELSEWHERE)

#define AT_ONCE 32 /* outputs at a time */

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

/* Sums of `count` rows of weights times x. */
static void sums_of(const int8_t *w, int32_t n, const int8_t *x, int32_t count, int32_t *sums)
{
    for (; count >= 4; count -= 4, w += 4 * n, sums += 4) {
        four_rows(w, n, x, sums);
    }
    for (; count > 0; count--, w += n) {
        *sums++ = one_row(w, n, x);
    }
}

/* All outputs of one row of x, by REQUANTIZE. */
#define ROW(REQUANTIZE)                                                                           \
    do {                                                                                          \
        int32_t sums[AT_ONCE], first;                                                             \
        for (first = 0; first < p->outputs; first += AT_ONCE) {                                   \
            const int32_t left = p->outputs - first, count = left < AT_ONCE ? left : AT_ONCE;     \
            sums_of(&p->weights[first * p->inputs], p->inputs, x, count, sums);                   \
            REQUANTIZE(p, first, count, sums, &y[first]);                                         \
        }                                                                                         \
    } while (0)

void ernn_fc_s8(const ernn_fc_s8_t *p, const int8_t *x, int8_t *y, int32_t rows)
{
    for (; rows > 0; rows--, x += p->inputs, y += p->outputs) {
        ROW(ernn_requantize_s8);
    }
}

void ernn_fc_s8_s16(const ernn_fc_s8_t *p, const int8_t *x, int16_t *y, int32_t rows)
{
    for (; rows > 0; rows--, x += p->inputs, y += p->outputs) {
        ROW(ernn_requantize_s8_s16);
    }
}

#endif
