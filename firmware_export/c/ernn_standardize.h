/* ernn_standardize.h - from a sensor's units to the codes of a model's input. */
#ifndef ERNN_STANDARDIZE_H
#define ERNN_STANDARDIZE_H
#include <stdint.h>

typedef struct {
    const double *mean;         /* of each column, in the sensor's units      */
    const double *std;
    int32_t columns;
    float inverse;              /* 1 / scale of the codes                     */
    int32_t zero;               /* the code of 0.0                            */
} ernn_standardize_t;

/* codes[i] = saturate(round((row[i] - mean[i]) / std[i] * inverse) + zero), ties to even; the
 * quotient in double, the product in float, as edgernn does it.  Row and codes: `columns`
 * values; a row must be finite. */
void ernn_standardize_s8(const ernn_standardize_t *p, const float *row, int8_t *codes);
void ernn_standardize_s16(const ernn_standardize_t *p, const float *row, int16_t *codes);

#endif
