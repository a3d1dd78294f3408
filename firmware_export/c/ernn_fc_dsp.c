/* ernn_fc_dsp.c - FULLY_CONNECTED by SMLAD, two products an instruction (Cortex-M4, M7, M33).
 *
 * SMLAD multiplies 16-bit halves, so int8 weights cost an instruction to widen.  Two rows
 * share it here: a half holds b * 256 + a, of rows a and b.  With
 *     P = sum of (b * 256 + a) x    and    Q = sum of a x
 * the row a is Q and the row b is (P - Q) / 256, exactly, as long as |b x| summed stays below
 * 2^23: for 512 columns. */
#include "ernn.h"
#include "ernn_requantize.h"
#include "ernn_target.h"

#if ERNN_LAYOUT == ERNN_PAIRS

#define MOST 256 /* columns at a time */

/* x as the 16-bit pairs that SMLAD takes: (x0, x2), (x1, x3) of every four, padded with zeros. */
static void expand(const int8_t *x, int32_t n, int32_t *pairs)
{
    for (; n >= 4; n -= 4, x += 4, pairs += 2) {
        int32_t even, odd;
        __asm__("ldr %1, [%2]\n"
                "sxtb16 %0, %1\n"
                "sxtb16 %1, %1, ror #8"
                : "=&r"(even), "=&r"(odd) : "r"(x), "m"(*(const int8_t(*)[4])x));
        pairs[0] = even;
        pairs[1] = odd;
    }
    if (n > 0) {
        int16_t last[4] = {0, 0, 0, 0}; /* x is not to be read beyond its end */
        last[0] = x[0];
        last[2] = n > 1 ? x[1] : 0;
        last[1] = n > 2 ? x[2] : 0;
        pairs[0] = (int32_t)((uint32_t)(uint16_t)last[0] | ((uint32_t)(uint16_t)last[1] << 16));
        pairs[1] = (int32_t)((uint32_t)(uint16_t)last[2]);
    }
}

/* `groups` times four columns of four rows a b c d: sums = W x, or sums += W x. */
static inline const int8_t *four_rows(const int8_t *w, const int32_t *pairs, int32_t groups,
                                      int32_t sums[4])
{
    int32_t pab = 0, qab = 0, pcd = 0, qcd = 0, x02, x13;
#define FOUR_COLUMNS                                                                              \
    "ldrd %[x02], %[x13], [%[x]], #8\n"                                                           \
    "ldmia %[w]!, {r8, r9, r10, r11}\n"                                                           \
    "smlad %[pab], r8, %[x02], %[pab]\n"                                                          \
    "sxtb16 r8, r8\n"                                                                             \
    "smlad %[qab], r8, %[x02], %[qab]\n"                                                          \
    "smlad %[pab], r9, %[x13], %[pab]\n"                                                          \
    "sxtb16 r9, r9\n"                                                                             \
    "smlad %[qab], r9, %[x13], %[qab]\n"                                                          \
    "smlad %[pcd], r10, %[x02], %[pcd]\n"                                                         \
    "sxtb16 r10, r10\n"                                                                           \
    "smlad %[qcd], r10, %[x02], %[qcd]\n"                                                         \
    "smlad %[pcd], r11, %[x13], %[pcd]\n"                                                         \
    "sxtb16 r11, r11\n"                                                                           \
    "smlad %[qcd], r11, %[x13], %[qcd]\n"
    __asm__("lsrs %[n], #1\n"
            "bcc 2f\n"
            FOUR_COLUMNS
            "2: cbz %[n], 3f\n"
            "1:\n"
            FOUR_COLUMNS
            FOUR_COLUMNS
            "subs %[n], #1\n"
            "bne 1b\n"
            "3:\n"
            : [w] "+r"(w), [x] "+r"(pairs), [n] "+l"(groups), [pab] "+r"(pab), [qab] "+r"(qab),
              [pcd] "+r"(pcd), [qcd] "+r"(qcd), [x02] "=&r"(x02), [x13] "=&r"(x13)
            :
            : "r8", "r9", "r10", "r11", "cc", "memory");
    sums[0] = qab;
    sums[1] = (int32_t)((uint32_t)pab - (uint32_t)qab) >> 8;
    sums[2] = qcd;
    sums[3] = (int32_t)((uint32_t)pcd - (uint32_t)qcd) >> 8;
    return w;
}

/* The same for matrices wider than `pairs`; gives where the next four rows begin. */
static const int8_t *wide_rows(const int8_t *w, const int8_t *x, int32_t n, int32_t *pairs,
                               int32_t sums[4])
{
    int32_t some[4], i;
    for (i = 0; i < 4; i++) {
        sums[i] = 0;
    }
    for (; n > 0; n -= MOST, x += MOST) {
        const int32_t columns = n < MOST ? n : MOST;
        expand(x, columns, pairs);
        w = four_rows(w, pairs, (columns + 3) / 4, some);
        for (i = 0; i < 4; i++) {
            sums[i] += some[i];
        }
    }
    return w;
}

/* All outputs of one row of x; weights are padded with rows of zeros, all else is not. */
#define ROW(type)                                                                                 \
    do {                                                                                          \
        const int32_t n = p->inputs, groups = (n + 3) / 4, y_zero = p->y_zero;                    \
        const int32_t *offset = p->offset, *multiplier = p->multiplier;                           \
        const int8_t *w = p->weights, *right = p->right;                                          \
        int32_t pairs[MOST / 2], sums[4], left, k;                                                \
        if (n <= MOST) {                                                                          \
            expand(x, n, pairs);                                                                  \
        }                                                                                         \
        for (left = p->outputs; left >= 4; left -= 4) {                                           \
            w = n <= MOST ? four_rows(w, pairs, groups, sums)                                     \
                          : wide_rows(w, x, n, pairs, sums);                                      \
            y[0] = (type)ernn_requantize(sums[0] + offset[0], multiplier[0], right[0], y_zero);   \
            y[1] = (type)ernn_requantize(sums[1] + offset[1], multiplier[1], right[1], y_zero);   \
            y[2] = (type)ernn_requantize(sums[2] + offset[2], multiplier[2], right[2], y_zero);   \
            y[3] = (type)ernn_requantize(sums[3] + offset[3], multiplier[3], right[3], y_zero);   \
            y += 4;                                                                               \
            offset += 4;                                                                          \
            multiplier += 4;                                                                      \
            right += 4;                                                                           \
        }                                                                                         \
        if (left > 0) {                                                                           \
            (void)(n <= MOST ? four_rows(w, pairs, groups, sums)                                  \
                             : wide_rows(w, x, n, pairs, sums));                                  \
            for (k = 0; k < left; k++) {                                                          \
                *y++ = (type)ernn_requantize(sums[k] + offset[k], multiplier[k], right[k],        \
                                             y_zero);                                             \
            }                                                                                     \
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

#else
typedef int ernn_fc_dsp_is_not_used;
#endif
