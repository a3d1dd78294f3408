/* ernn_fixed.h - the rounding of TensorFlow Lite's reference kernels.
 *
 * Right shifts of negative numbers are arithmetic: C99 leaves it to the compiler, every
 * compiler for the machines named in ernn_target.h does it, and ernn_fixed.c will not
 * compile elsewhere.
 */
#ifndef ERNN_FIXED_H
#define ERNN_FIXED_H
#include <stdint.h>

static inline int32_t ernn_clamp(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : (x > high ? high : x);
}

/* a b / 2^31, ties up (SaturatingRoundingDoublingHighMul; a = b = -2^31 does not occur). */
static inline int32_t ernn_high_mul(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* x / 2^n, ties away from zero (RoundingDivideByPOT). */
static inline int32_t ernn_divide_by_power(int32_t x, int32_t n)
{
    const int32_t half = (int32_t)((1u << n) >> 1);
    return n == 0 ? x : (int32_t)(((int64_t)x + half - (x < 0)) >> n);
}

/* x m 2^(shift - 31), rounded twice (MultiplyByQuantizedMultiplier); |shift| <= 30. */
static inline int32_t ernn_times(int32_t x, int32_t m, int32_t shift)
{
    if (shift > 0) {
        /* (x << shift) m / 2^31, written so that nothing is lost on the left. */
        return (int32_t)(((int64_t)x * m + ((int64_t)1 << (30 - shift))) >> (31 - shift));
    }
    return ernn_divide_by_power(ernn_high_mul(x, m), -shift);
}

/* The same for sums of 64 bits and multipliers of 15; shift is to the right, 1 to 62. */
static inline int32_t ernn_times_wide(int64_t x, int32_t m, int32_t shift)
{
    return (int32_t)(uint32_t)(uint64_t)((x * m + ((int64_t)1 << (shift - 1))) >> shift);
}

/* x 2^n, saturated to 32 bits; n <= 31. */
static inline int32_t ernn_shift_left(int32_t x, int32_t n)
{
    const int64_t wide = (int64_t)x * ((int64_t)1 << n);
    return wide > INT32_MAX ? INT32_MAX : (wide < INT32_MIN ? INT32_MIN : (int32_t)wide);
}

/* Leading zeros of x > 0. */
static inline int32_t ernn_leading_zeros(uint32_t x)
{
    int32_t zeros = 0;
    while ((x & 0x80000000u) == 0u) {
        x <<= 1;
        zeros++;
    }
    return zeros;
}

/* exp(a) for a <= 0, a having 5 bits before the point; the result has none, 1.0 being 2^31. */
int32_t ernn_exp_of_negative(int32_t a);

/* 1 / (1 + a) for a in [0, 1], no bits before the point. */
int32_t ernn_one_over_one_plus(int32_t a);

#endif
