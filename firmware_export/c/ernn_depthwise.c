/* ernn_depthwise.c - DEPTHWISE_CONV_2D of one column of frames. */
#include "ernn.h"
#include "ernn_fixed.h"

void ernn_depthwise_s8(const ernn_depthwise_s8_t *p, const int8_t *x, int8_t *y)
{
    int32_t c, t;
    for (c = 0; c < p->channels; c++) {
        int32_t sum = p->offset[c];
        for (t = 0; t < p->taps; t++) {
            sum += p->weights[t * p->channels + c] * x[t * p->channels + c];
        }
        y[c] = (int8_t)ernn_clamp(
            ernn_times_small(sum, p->multiplier[c], p->right[c], p->y_zero), p->y_low, 127);
    }
}

void ernn_depthwise_s16(const ernn_depthwise_s16_t *p, const int16_t *x, int16_t *y)
{
    int32_t c, t;
    for (c = 0; c < p->channels; c++) {
        int64_t sum = p->offset[c];
        for (t = 0; t < p->taps; t++) {
            sum += (int32_t)p->weights[t * p->channels + c] * x[t * p->channels + c];
        }
        y[c] = (int16_t)ernn_clamp(
            ernn_times_wide(sum, p->multiplier[c], p->shift[c]) + p->y_zero, p->y_low, 32767);
    }
}
