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

#define MOST 256   /* columns at a time */
#define AT_ONCE 64 /* rows at a time    */

/* x as the 16-bit pairs that SMLAD takes: (x0, x2), (x1, x3) of every four, padded with zeros. */
static void expand(const int8_t *x, int32_t n, int32_t *pairs)
{
    for (; n >= 4; n -= 4, pairs += 2) {
        int32_t even, odd;
        __asm__("ldr %[odd], [%[x]], #4\n"
                "sxtb16 %[even], %[odd]\n"
                "sxtb16 %[odd], %[odd], ror #8"
                : [even] "=&r"(even), [odd] "=&r"(odd), [x] "+r"(x)
                : "m"(*(const int8_t(*)[4])x));
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

/* Sums of the outputs from `first` on, of one row of x.  Rows that were padded are summed too;
 * `pairs` hold x already if it is not wider. */
static void sums_of(const ernn_fc_s8_t *p, int32_t first, int32_t count, const int8_t *x,
                    int32_t *pairs, int32_t *sums)
{
    const int32_t n = p->inputs, stride = (n + 3) / 4 * 16;
    const int8_t *w = &p->weights[first / 4 * stride];
    int32_t some[4], column, i, k;
    if (n <= MOST) {
        for (i = 0; i < count; i += 4) {
            w = four_rows(w, pairs, stride / 16, &sums[i]);
        }
        return;
    }
    for (i = 0; i < AT_ONCE; i++) {
        sums[i] = 0;
    }
    for (column = 0; column < n; column += MOST) {
        const int32_t columns = n - column < MOST ? n - column : MOST;
        expand(&x[column], columns, pairs);
        for (i = 0; i < count; i += 4) {
            (void)four_rows(&w[i / 4 * stride + column * 4], pairs, (columns + 3) / 4, some);
            for (k = 0; k < 4; k++) {
                sums[i + k] += some[k];
            }
        }
    }
}

/* All outputs of one row of x, by REQUANTIZE. */
#define ROW(REQUANTIZE)                                                                           \
    do {                                                                                          \
        int32_t pairs[MOST / 2], sums[AT_ONCE], first;                                            \
        if (p->inputs <= MOST) {                                                                  \
            expand(x, p->inputs, pairs);                                                          \
        }                                                                                         \
        for (first = 0; first < p->outputs; first += AT_ONCE) {                                   \
            const int32_t left = p->outputs - first, count = left < AT_ONCE ? left : AT_ONCE;     \
            sums_of(p, first, count, x, pairs, sums);                                             \
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

#else
typedef int ernn_fc_dsp_is_not_used;
#endif
