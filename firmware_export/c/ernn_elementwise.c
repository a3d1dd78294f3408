/* ernn_elementwise.c - ADD, SUB, MUL, QUANTIZE and CAST, in C alone. */
#include "ernn.h"
#include "ernn_fixed.h"
#include "ernn_requantize.h"
#include "ernn_target.h"

#if !defined(ERNN_ELEMENTWISE_ELSEWHERE)

/* A side of a sum, brought to twice the larger scale with `bits` more bits: int8 has room for
 * 20 and int16 for 15.  The side with the larger scale is halved, and not rounded. */
static inline int32_t side(int32_t x, int32_t m, int32_t right, int32_t bits, int half)
{
    return half != 0 ? x * (1 << (bits - 1)) : ernn_times_small(x * (1 << bits), m, right, 0);
}

/* All of a sum's values, for constant `bits`, `sign`, `a_half` and `b_half`. */
#define SUM(type, bits, sign, a_half, b_half, saturate)                                               \
    do {                                                                                          \
        const ernn_add_t q = *p;                                                                  \
        const type *const end = a + n;                                                            \
        while (a < end) {                                                                         \
            const int32_t left = side(*a++ - q.a_zero, q.a_multiplier, q.a_right, bits, a_half);  \
            const int32_t right = side(*b++ - q.b_zero, q.b_multiplier, q.b_right, bits, b_half); \
            *y++ = (type)saturate(ernn_times_small(left sign right, q.y_multiplier, q.y_right,    \
                                                   q.y_zero));                                    \
        }                                                                                         \
    } while (0)

/* The sides that need no rounding are known before the loop. */
#define SUMS(type, bits, sign, saturate)                                                              \
    do {                                                                                          \
        if (p->a_right == 0 && p->b_right == 0) {                                                 \
            SUM(type, bits, sign, 1, 1, saturate);                                                \
        } else if (p->a_right == 0) {                                                             \
            SUM(type, bits, sign, 1, 0, saturate);                                                \
        } else {                                                                                  \
            SUM(type, bits, sign, 0, 1, saturate);                                                \
        }                                                                                         \
    } while (0)

void ernn_add_s8(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    SUMS(int8_t, 20, +, ernn_saturate_s8);
    ernn_at_least_s8(y - n, n, p->y_low);
}

void ernn_add_s16(const ernn_add_t *p, const int16_t *a, const int16_t *b, int16_t *y, int32_t n)
{
    SUMS(int16_t, 15, +, ernn_saturate_s16);
    ernn_at_least_s16(y - n, n, p->y_low);
}

void ernn_sub_s8(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    SUMS(int8_t, 20, -, ernn_saturate_s8);
    ernn_at_least_s8(y - n, n, p->y_low);
}

void ernn_sub_s16(const ernn_add_t *p, const int16_t *a, const int16_t *b, int16_t *y, int32_t n)
{
    SUMS(int16_t, 15, -, ernn_saturate_s16);
    ernn_at_least_s16(y - n, n, p->y_low);
}

void ernn_mul_s8(const ernn_mul_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    const ernn_mul_t q = *p;
    const int8_t *const end = a + n;
    while (a < end) {
        const int32_t product = (*a++ - q.a_zero) * (*b++ - q.b_zero);
        *y++ = (int8_t)ernn_saturate_s8(ernn_times_small(product, q.multiplier, q.right,
                                                         q.y_zero));
    }
}

void ernn_mul_s16(const ernn_mul_t *p, const int16_t *a, const int16_t *b, int16_t *y, int32_t n)
{
    const ernn_mul_t q = *p;
    const int16_t *const end = a + n;
    while (a < end) { /* a product can be 2^30 */
        const int32_t high = ernn_high_mul((int32_t)*a++ * *b++, q.multiplier);
        *y++ = (int16_t)ernn_saturate_s16(ernn_shifted(high, q.right, 0));
    }
}

/* A scale that becomes finer is rare: its shift is not to the right. */
#define MOVE(type, saturate)                                                                      \
    do {                                                                                          \
        const ernn_quantize_t q = *p;                                                             \
        const int32_t right = -q.shift;                                                           \
        for (; n > 0 && right > 0; n--) {                                                         \
            *y++ = (type)saturate(ernn_times_small(*x++ - q.x_zero, q.multiplier, right,          \
                                                   q.y_zero));                                    \
        }                                                                                         \
        for (; n > 0; n--) {                                                                      \
            *y++ = (type)saturate(ernn_times(*x++ - q.x_zero, q.multiplier, q.shift) + q.y_zero); \
        }                                                                                         \
    } while (0)

void ernn_quantize_s16_s8(const ernn_quantize_t *p, const int16_t *x, int8_t *y, int32_t n)
{
    MOVE(int8_t, ernn_saturate_s8);
}

void ernn_quantize_s8_s16(const ernn_quantize_t *p, const int8_t *x, int16_t *y, int32_t n)
{
    MOVE(int16_t, ernn_saturate_s16);
}

void ernn_quantize_s16_s16(const ernn_quantize_t *p, const int16_t *x, int16_t *y, int32_t n)
{
    MOVE(int16_t, ernn_saturate_s16);
}

void ernn_cast_s8_s16(const int8_t *x, int16_t *y, int32_t n)
{
    for (; n > 0; n--) {
        *y++ = *x++;
    }
}

#endif
