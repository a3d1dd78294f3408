/* ernn_standardize.c - see ernn_standardize.h.  Do not compile with -ffast-math. */
#include "ernn_standardize.h"

static int32_t code(const ernn_standardize_t *p, const float *row, int32_t i, int32_t low,
                    int32_t high)
{
    /* Adding 1.5 * 2^23 rounds a small float to a whole number, ties to even. */
    const float magic = 12582912.0f;
    const float least = (float)(low - p->zero), most = (float)(high - p->zero);
    float scaled = (float)(((double)row[i] - p->mean[i]) / p->std[i]) * p->inverse;
    scaled = scaled < least ? least : (scaled > most ? most : scaled);
    return (int32_t)((scaled + magic) - magic) + p->zero;
}

void ernn_standardize_s8(const ernn_standardize_t *p, const float *row, int8_t *codes)
{
    int32_t i;
    for (i = 0; i < p->columns; i++) {
        codes[i] = (int8_t)code(p, row, i, -128, 127);
    }
}

void ernn_standardize_s16(const ernn_standardize_t *p, const float *row, int16_t *codes)
{
    int32_t i;
    for (i = 0; i < p->columns; i++) {
        codes[i] = (int16_t)code(p, row, i, -32768, 32767);
    }
}
