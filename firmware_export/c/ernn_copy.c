/* ernn_copy.c - CONCATENATION, STRIDED_SLICE, GATHER: the same integers, elsewhere. */
#include <string.h>

#include "ernn.h"

void ernn_copy_s8(const ernn_copy_t *p, const int8_t *x, int8_t *y)
{
    int32_t run;
    for (run = 0; run < p->runs; run++) {
        (void)memcpy(&y[p->y_begin + run * p->y_step], &x[p->x_begin + run * p->x_step],
                     (size_t)p->length);
    }
}

void ernn_copy_s16(const ernn_copy_t *p, const int16_t *x, int16_t *y)
{
    int32_t run;
    for (run = 0; run < p->runs; run++) {
        (void)memcpy(&y[p->y_begin + run * p->y_step], &x[p->x_begin + run * p->x_step],
                     (size_t)p->length * sizeof *x);
    }
}

void ernn_fill_s8(const int8_t *x, int8_t *y, int32_t n)
{
    for (; n > 0; n--) {
        *y++ = *x;
    }
}

void ernn_fill_s16(const int16_t *x, int16_t *y, int32_t n)
{
    for (; n > 0; n--) {
        *y++ = *x;
    }
}

void ernn_gather_s8(const ernn_gather_s8_t *p, const int32_t *ids, int8_t *y, int32_t n)
{
    for (; n > 0; n--, ids++, y += p->width) {
        (void)memcpy(y, &p->table[*ids * p->width], (size_t)p->width);
    }
}

void ernn_gather_s16(const ernn_gather_s16_t *p, const int32_t *ids, int16_t *y, int32_t n)
{
    for (; n > 0; n--, ids++, y += p->width) {
        (void)memcpy(y, &p->table[*ids * p->width], (size_t)p->width * sizeof *y);
    }
}
