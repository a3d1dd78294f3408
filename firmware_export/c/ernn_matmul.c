/* ernn_matmul.c - BATCH_MATMUL: attention, head by head. */
#include "ernn.h"
#include "ernn_fixed.h"

/* Where b[j][k], the factor of inner value j in column k, is; and how far the next j. */
static int32_t first(const ernn_matmul_t *p, int32_t head, int32_t column)
{
    return head * p->inner * p->columns + (p->transposed != 0 ? column * p->inner : column);
}

static int32_t step(const ernn_matmul_t *p)
{
    return p->transposed != 0 ? 1 : p->columns;
}

void ernn_matmul_s8(const ernn_matmul_t *p, const int8_t *a, const int8_t *b, int8_t *y)
{
    int32_t head, row, column, j;
    for (head = 0; head < p->heads; head++) {
        for (row = 0; row < p->rows; row++, a += p->inner) {
            for (column = 0; column < p->columns; column++) {
                const int8_t *q = &b[first(p, head, column)];
                int32_t sum = 0;
                for (j = 0; j < p->inner; j++, q += step(p)) {
                    sum += (a[j] - p->a_zero) * (*q - p->b_zero);
                }
                *y++ = (int8_t)ernn_clamp(ernn_times(sum, p->multiplier, p->shift) + p->y_zero,
                                          -128, 127);
            }
        }
    }
}

void ernn_matmul_s16(const ernn_matmul_t *p, const int16_t *a, const int16_t *b, int16_t *y)
{
    int32_t head, row, column, j;
    for (head = 0; head < p->heads; head++) {
        for (row = 0; row < p->rows; row++, a += p->inner) {
            for (column = 0; column < p->columns; column++) {
                const int16_t *q = &b[first(p, head, column)];
                int64_t sum = 0;
                for (j = 0; j < p->inner; j++, q += step(p)) {
                    sum += (int64_t)((int32_t)a[j] * *q);
                }
                *y++ = (int16_t)ernn_clamp(
                    ernn_times_wide(sum, p->multiplier, p->shift) + p->y_zero, -32768, 32767);
            }
        }
    }
}
