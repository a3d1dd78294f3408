/* ernn_fc_s16.c - FULLY_CONNECTED of int16 by int8 weights. */
#include "ernn.h"
#include "ernn_fixed.h"

void ernn_fc_s16(const ernn_fc_s16_t *p, const int16_t *x, int16_t *y, int32_t rows)
{
    int32_t i, j;
    for (; rows > 0; rows--, x += p->inputs, y += p->outputs) {
        const int8_t *w = p->weights;
        for (i = 0; i < p->outputs; i++, w += p->inputs) {
            int64_t sum = p->offset[i];
            for (j = 0; j < p->inputs; j++) {
                sum += (int32_t)w[j] * x[j];
            }
            y[i] = (int16_t)ernn_clamp(
                ernn_times_wide(sum, p->multiplier[i], p->shift[i]) + p->y_zero, p->y_low, 32767);
        }
    }
}
