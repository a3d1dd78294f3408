/* ernn_fc_mve.c - FULLY_CONNECTED by Helium, sixteen products an instruction (Cortex-M55, M85). */
#include "ernn.h"
#include "ernn_mve.h"
#include "ernn_requantize.h"
#include "ernn_target.h"

#if ERNN_MVE && !ERNN_FC_BY_CMSIS_NN

/* Four rows of weights times x, a row after another in memory.  The loop masks what is beyond
 * n; its counter is lr, and sums are in even registers. */
static inline int32x4_t four_rows(const int8_t *w, int32_t n, const int8_t *x)
{
    const int8_t *w1 = w + n, *w2 = w1 + n, *w3 = w2 + n;
    register int32_t count __asm__("lr") = n;
    register int32_t s0 __asm__("r4") = 0;
    register int32_t s1 __asm__("r6") = 0;
    register int32_t s2 __asm__("r8") = 0;
    register int32_t s3 __asm__("r10") = 0;
    __asm__("dlstp.8 lr, lr\n"
            "1:\n"
            "vldrb.8 q0, [%[x]], #16\n"
            "vldrb.8 q1, [%[w]], #16\n"
            "vldrb.8 q2, [%[w1]], #16\n"
            "vmladava.s8 %[s0], q1, q0\n"
            "vldrb.8 q1, [%[w2]], #16\n"
            "vmladava.s8 %[s1], q2, q0\n"
            "vldrb.8 q2, [%[w3]], #16\n"
            "vmladava.s8 %[s2], q1, q0\n"
            "vmladava.s8 %[s3], q2, q0\n"
            "letp lr, 1b\n"
            : "+r"(count), [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3),
              [x] "+r"(x), [w] "+r"(w), [w1] "+r"(w1), [w2] "+r"(w2), [w3] "+r"(w3)
            :
            : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",
              "memory");
    {
        const int32x4_t sums = {s0, s1, s2, s3};
        return sums;
    }
}

static int32_t one_row(const int8_t *w, int32_t n, const int8_t *x)
{
    int32_t sum = 0;
    for (; n > 0; n -= 16, x += 16, w += 16) {
        const mve_pred16_t in = vctp8q((uint32_t)n);
        sum = vmladavaq_p_s8(sum, vldrbq_z_s8(w, in), vldrbq_z_s8(x, in), in);
    }
    return sum;
}

/* All outputs of one row of x, stored four at a time by `store`. */
#define ROW(type, store)                                                                          \
    do {                                                                                          \
        const int32_t n = p->inputs, y_zero = p->y_zero, *offset = p->offset;                     \
        const int32_t *multiplier = p->multiplier;                                                \
        const int8_t *w = p->weights, *right = p->right;                                          \
        int32_t left = p->outputs;                                                                \
        for (; left >= 4; left -= 4, w += 4 * n, offset += 4, multiplier += 4, right += 4) {      \
            const int32x4_t sums = vaddq_s32(four_rows(w, n, x), vld1q_s32(offset));              \
            const int32x4_t scaled = ernn_mve_times(sums, vld1q_s32(multiplier),                  \
                                                    vldrbq_s32(right));                           \
            store(y, ernn_mve_saturate_s8(vaddq_n_s32(scaled, y_zero)));                          \
            y += 4;                                                                               \
        }                                                                                         \
        for (; left > 0; left--, w += n) {                                                        \
            *y++ = (type)ernn_requantize(one_row(w, n, x) + *offset++, *multiplier++, *right++,   \
                                         y_zero);                                                 \
        }                                                                                         \
    } while (0)

void ernn_fc_s8(const ernn_fc_s8_t *p, const int8_t *x, int8_t *y, int32_t rows)
{
    for (; rows > 0; rows--, x += p->inputs) {
        ROW(int8_t, vstrbq_s32);
        ernn_at_least_s8(y - p->outputs, p->outputs, p->y_low);
    }
}

void ernn_fc_s8_s16(const ernn_fc_s8_t *p, const int8_t *x, int16_t *y, int32_t rows)
{
    for (; rows > 0; rows--, x += p->inputs) {
        ROW(int16_t, vstrhq_s32);
        ernn_at_least_s8_s16(y - p->outputs, p->outputs, p->y_low);
    }
}

#else
typedef int ernn_fc_mve_is_not_used;
#endif
