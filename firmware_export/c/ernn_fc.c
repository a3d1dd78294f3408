/* ernn_fc.c - FULLY_CONNECTED in C alone; other instructions have files of their own. */
#include "ernn.h"
#include "ernn_fixed.h"
#include "ernn_target.h"

#if ERNN_LAYOUT == ERNN_ROWS && !defined(ERNN_FC_ELSEWHERE)

/* One row of weights times x.  Sums fit 32 bits: edgernn/plan/lower.py has seen to it. */
static int32_t dot(const int8_t *w, const int8_t *x, int32_t n, int32_t sum)
{
    for (; n >= 4; n -= 4, w += 4, x += 4) {
        sum += w[0] * x[0] + w[1] * x[1] + w[2] * x[2] + w[3] * x[3];
    }
    for (; n > 0; n--) {
        sum += *w++ * *x++;
    }
    return sum;
}

static int32_t output(const ernn_fc_s8_t *p, const int8_t *x, int32_t i)
{
    const int32_t sum = dot(&p->weights[i * p->inputs], x, p->inputs, p->offset[i]);
    return ernn_clamp(ernn_times(sum, p->multiplier[i], p->shift[i]) + p->y_zero, p->y_low, 127);
}

void ernn_fc_s8(const ernn_fc_s8_t *p, const int8_t *x, int8_t *y, int32_t rows)
{
    int32_t i;
    for (; rows > 0; rows--, x += p->inputs, y += p->outputs) {
        for (i = 0; i < p->outputs; i++) {
            y[i] = (int8_t)output(p, x, i);
        }
    }
}

void ernn_fc_s8_s16(const ernn_fc_s8_t *p, const int8_t *x, int16_t *y, int32_t rows)
{
    int32_t i;
    for (; rows > 0; rows--, x += p->inputs, y += p->outputs) {
        for (i = 0; i < p->outputs; i++) {
            y[i] = (int16_t)output(p, x, i);
        }
    }
}

#endif
