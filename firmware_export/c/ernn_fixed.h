/* ernn_fixed.h - the rounding of TensorFlow Lite's reference kernels.
 *
 * Right shifts of negative numbers are arithmetic: C99 leaves it to the compiler, and every
 * compiler for the machines named in ernn_target.h does it.
 */
#ifndef ERNN_FIXED_H
#define ERNN_FIXED_H
#include <stdint.h>

/* Does not compile where it is not so. */
typedef char ernn_shifts_are_arithmetic[(-3 >> 1) == -2 && (-(int64_t)3 >> 1) == -2 ? 1 : -1];

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
    const uint32_t mask = (1u << n) - 1u;
    const uint32_t half = (mask >> 1) + (x < 0 ? 1u : 0u);
    return (x >> n) + (((uint32_t)x & mask) > half ? 1 : 0);
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

/* a b / 2^32, ties up: one instruction where the processor has SMMULR. */
static inline int32_t ernn_upper_half(int32_t a, int32_t b)
{
#if defined(__ARM_FEATURE_DSP) && !defined(ERNN_PORTABLE) && defined(__GNUC__)
    int32_t y;
    __asm__("smmulr %0, %1, %2" : "=r"(y) : "r"(a), "r"(b));
    return y;
#else
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
#endif
}

/* y + high / 2^right for right >= 1, ties away from zero.  What rounds is the last bit that is
 * shifted out: on Arm it is the carry. */
static inline int32_t ernn_shifted(int32_t high, int32_t right, int32_t y)
{
    const int32_t lowered = high + (high >> 31); /* a tie below 0 goes down, not up */
#if defined(__thumb2__) && !defined(ERNN_PORTABLE) && defined(__GNUC__)
    int32_t sum;
    __asm__("asrs %0, %1, %2\n"
            "adc %0, %0, %3" : "=&r"(sum) : "r"(lowered), "r"(right), "r"(y) : "cc");
    return sum;
#else
    return ((lowered >> (right - 1)) + (2 * y + 1)) >> 1;
#endif
}

/* y + x m 2^(-31 - right) for -2^30 <= x < 2^30 and right >= 1, rounded twice as above. */
static inline int32_t ernn_times_small(int32_t x, int32_t m, int32_t right, int32_t y)
{
    return ernn_shifted(ernn_upper_half(x * 2, m), right, y);
}

/* To int8 and to int16. */
static inline int32_t ernn_saturate_s8(int32_t x)
{
#if defined(__ARM_FEATURE_SAT) && !defined(ERNN_PORTABLE) && defined(__GNUC__)
    int32_t y;
    __asm__("ssat %0, #8, %1" : "=r"(y) : "r"(x) : "cc");
    return y;
#else
    return ernn_clamp(x, -128, 127);
#endif
}

static inline int32_t ernn_saturate_s16(int32_t x)
{
#if defined(__ARM_FEATURE_SAT) && !defined(ERNN_PORTABLE) && defined(__GNUC__)
    int32_t y;
    __asm__("ssat %0, #16, %1" : "=r"(y) : "r"(x) : "cc");
    return y;
#else
    return ernn_clamp(x, -32768, 32767);
#endif
}

/* x m 2^-shift for sums of 64 bits and multipliers of 15, ties up; shift is 1 to 62. */
static inline int32_t ernn_times_wide(int64_t x, int32_t m, int32_t shift)
{
    return (int32_t)(uint32_t)(uint64_t)(((x * m >> (shift - 1)) + 1) >> 1);
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
#if defined(__GNUC__) && __SIZEOF_INT__ == 4 && !defined(ERNN_PORTABLE)
    return __builtin_clz(x);
#else
    int32_t zeros = 0;
    while ((x & 0x80000000u) == 0u) {
        x <<= 1;
        zeros++;
    }
    return zeros;
#endif
}

/* exp(a) for a <= 0, a having 5 bits before the point; the result has none, 1.0 being 2^31. */
int32_t ernn_exp_of_negative(int32_t a);

/* 1 / (1 + a) for a in [0, 1], no bits before the point. */
int32_t ernn_one_over_one_plus(int32_t a);

#endif
