/* ernn_fc_cmsis_nn.c - FULLY_CONNECTED by Arm's CMSIS-NN, for those who have it and want it used.
 *
 * Compile all with -DERNN_CMSIS_NN and CMSIS-NN's Include/ among the include paths, and link
 * its library: version 7 or newer, built without CMSIS_NN_USE_SINGLE_ROUNDING. */
#include "ernn.h"
#include "ernn_target.h"

#if ERNN_FC_BY_CMSIS_NN
#ifdef CMSIS_NN_USE_SINGLE_ROUNDING
#error "CMSIS_NN_USE_SINGLE_ROUNDING rounds otherwise than the model was made for; leave it out"
#endif
#include "arm_nnfunctions.h"

#define MOST 64 /* outputs at a time: CMSIS-NN wants their shifts in 32 bits, made here */

/* Outputs from `first` on, as many as there are up to MOST, of one row of x; gives how many. */
static int32_t some(const ernn_fc_s8_t *p, int32_t first, const int8_t *x, int8_t *y)
{
    const int32_t left = p->outputs - first, count = left < MOST ? left : MOST;
    int32_t shift[MOST], i;
    /* Neither pointer is written through.  Kernels for Helium take the biases from the buffer,
     * with what the zero of x adds to them; all others take them as an argument of their own.
     * Ours have it in them already, so that the zero is 0 here. */
    const cmsis_nn_context sums = {(int32_t *)&p->offset[first], 4 * count};
    const cmsis_nn_per_channel_quant_params scale = {(int32_t *)&p->multiplier[first], shift};
    const cmsis_nn_fc_params zeros = {.output_offset = p->y_zero, .activation = {p->y_low, 127}};
    const cmsis_nn_dims one_row = {1, 1, 1, p->inputs}, matrix = {p->inputs, 1, 1, count};
    const cmsis_nn_dims made = {1, 1, 1, count};
    for (i = 0; i < count; i++) {
        shift[i] = -p->right[first + i];
    }
    /* It fails without a buffer alone. */
    (void)arm_fully_connected_per_channel_s8(&sums, &zeros, &scale, &one_row, x, &matrix,
                                             &p->weights[first * p->inputs], &made,
                                             &p->offset[first], &made, y);
    return count;
}

void ernn_fc_s8(const ernn_fc_s8_t *p, const int8_t *x, int8_t *y, int32_t rows)
{
    for (; rows > 0; rows--, x += p->inputs, y += p->outputs) {
        int32_t first = 0;
        while (first < p->outputs) {
            first += some(p, first, x, &y[first]);
        }
    }
}

void ernn_fc_s8_s16(const ernn_fc_s8_t *p, const int8_t *x, int16_t *y, int32_t rows)
{
    int8_t codes[MOST];
    for (; rows > 0; rows--, x += p->inputs) {
        int32_t first = 0, i;
        while (first < p->outputs) {
            const int32_t count = some(p, first, x, codes);
            for (i = 0; i < count; i++) {
                *y++ = codes[i];
            }
            first += count;
        }
    }
}

#else
typedef int ernn_fc_cmsis_nn_is_not_used;
#endif
