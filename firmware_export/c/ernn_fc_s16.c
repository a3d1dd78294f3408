/* ernn_fc_s16.c - FULLY_CONNECTED of int16 by int8 weights. */
#include "ernn.h"
#include "ernn_fixed.h"
#include "ernn_target.h"

#define MOST 256   /* columns at a time: their sums fit in 32 bits */
#define AT_ONCE 16 /* outputs at a time */

/* Each of these makes the sums of four rows of weights, `stride` apart, times n values of x. */
#if ERNN_MVE

/* Eight products an instruction; the loop masks what is beyond n.  Its counter is lr, sums are
 * in even registers, and addresses from which loads widen in those below r8. */
static inline void four_rows(const int8_t *w, int32_t stride, const int16_t *x, int32_t n,
                             int32_t sums[4])
{
    const int8_t *w1 = w + stride, *w2 = w1 + stride, *w3 = w2 + stride;
    register int32_t count __asm__("lr") = n;
    register int32_t s0 __asm__("r4") = 0;
    register int32_t s1 __asm__("r6") = 0;
    register int32_t s2 __asm__("r8") = 0;
    register int32_t s3 __asm__("r10") = 0;
    __asm__("dlstp.16 lr, lr\n"
            "1:\n"
            "vldrh.16 q0, [%[x]], #16\n"
            "vldrb.s16 q1, [%[w]], #8\n"
            "vldrb.s16 q2, [%[w1]], #8\n"
            "vmladava.s16 %[s0], q1, q0\n"
            "vldrb.s16 q1, [%[w2]], #8\n"
            "vmladava.s16 %[s1], q2, q0\n"
            "vldrb.s16 q2, [%[w3]], #8\n"
            "vmladava.s16 %[s2], q1, q0\n"
            "vmladava.s16 %[s3], q2, q0\n"
            "letp lr, 1b\n"
            : "+r"(count), [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3),
              [x] "+r"(x), [w] "+l"(w), [w1] "+l"(w1), [w2] "+l"(w2), [w3] "+l"(w3)
            :
            : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",
              "memory");
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

#elif ERNN_DSP && defined(__OPTIMIZE__) /* or a frame pointer takes a register that it needs */

/* Two products an instruction, of (x0, x2) and (x1, x3) of every four: that is how SXTB16 widens
 * four weights. */
static inline void four_rows(const int8_t *w, int32_t stride, const int16_t *x, int32_t n,
                             int32_t sums[4])
{
    const int8_t *w2 = w + 2 * stride;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, x01, x02, x13, even;
#define ROW(load, sum)                                                                            \
    "ldr %[x01], " load "\n"                                                                      \
    "sxtb16 %[even], %[x01]\n"                                                                    \
    "sxtb16 %[x01], %[x01], ror #8\n"                                                             \
    "smlad %[" sum "], %[even], %[x02], %[" sum "]\n"                                             \
    "smlad %[" sum "], %[x01], %[x13], %[" sum "]\n"
    for (; n >= 4; n -= 4) {
        __asm__("ldr %[x01], [%[x]], #4\n"
                "ldr %[x13], [%[x]], #4\n"
                "pkhbt %[x02], %[x01], %[x13], lsl #16\n"
                "pkhtb %[x13], %[x13], %[x01], asr #16\n"
                ROW("[%[w], %[stride]]", "s1")
                ROW("[%[w]], #4", "s0")
                ROW("[%[w2], %[stride]]", "s3")
                ROW("[%[w2]], #4", "s2")
                : [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3), [x] "+r"(x),
                  [w] "+r"(w), [w2] "+r"(w2), [x01] "=&r"(x01), [x02] "=&r"(x02),
                  [x13] "=&r"(x13), [even] "=&r"(even)
                : [stride] "r"(stride)
                : "memory");
    }
    for (; n > 0; n--, w++, w2++) {
        const int32_t value = *x++;
        s0 += *w * value;
        s1 += w[stride] * value;
        s2 += *w2 * value;
        s3 += w2[stride] * value;
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

#else

static inline void four_rows(const int8_t *w, int32_t stride, const int16_t *x, int32_t n,
                             int32_t sums[4])
{
    const int8_t *w1 = w + stride, *w2 = w1 + stride, *w3 = w2 + stride;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (; n > 0; n--) {
        const int32_t value = *x++;
        s0 += *w++ * value;
        s1 += *w1++ * value;
        s2 += *w2++ * value;
        s3 += *w3++ * value;
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

#endif

static int32_t one_row(const int8_t *w, const int16_t *x, int32_t n)
{
    int32_t sum = 0;
    for (; n > 0; n--) {
        sum += *w++ * *x++;
    }
    return sum;
}

/* Sums of `count` rows of weights, `stride` apart, times n values of x. */
static void sums_of(const int8_t *w, int32_t stride, const int16_t *x, int32_t n, int32_t count,
                    int32_t *sums)
{
    for (; count >= 4; count -= 4, w += 4 * stride, sums += 4) {
        four_rows(w, stride, x, n, sums);
    }
    for (; count > 0; count--, w += stride) {
        *sums++ = one_row(w, x, n);
    }
}

/* Codes of the outputs from `first` on, of one row of x. */
static void outputs(const ernn_fc_s16_t *p, int32_t first, int32_t count, const int16_t *x,
                    int16_t *y)
{
    const int8_t *w = &p->weights[first * p->inputs];
    const int64_t *from = &p->offset[first];
    int64_t totals[AT_ONCE];
    int32_t sums[AT_ONCE], left, i;
    for (left = p->inputs; left > 0; left -= MOST, w += MOST, x += MOST) {
        sums_of(w, p->inputs, x, left < MOST ? left : MOST, count, sums);
        for (i = 0; i < count; i++) {
            totals[i] = from[i] + sums[i];
        }
        from = totals;
    }
    for (i = 0; i < count; i++) {
        y[i] = (int16_t)ernn_clamp(ernn_times_wide(totals[i], p->multiplier[first + i],
                                                   p->shift[first + i]) + p->y_zero,
                                   p->y_low, 32767);
    }
}

void ernn_fc_s16(const ernn_fc_s16_t *p, const int16_t *x, int16_t *y, int32_t rows)
{
    for (; rows > 0; rows--, x += p->inputs, y += p->outputs) {
        int32_t first;
        for (first = 0; first < p->outputs; first += AT_ONCE) {
            const int32_t left = p->outputs - first;
            outputs(p, first, left < AT_ONCE ? left : AT_ONCE, x, &y[first]);
        }
    }
}
