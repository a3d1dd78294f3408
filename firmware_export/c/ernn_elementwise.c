/* ernn_elementwise.c - ADD, SUB, MUL, QUANTIZE, CAST and tables, in C alone. */
#include "ernn.h"
#include "ernn_fixed.h"
#include "ernn_target.h"

#if !defined(ERNN_ELEMENTWISE_ELSEWHERE)

/* a + sign b with `bits` more bits, int8 having room for 20 and int16 for 15. */
static inline int32_t sum(const ernn_add_t *p, int32_t a, int32_t b, int32_t bits, int32_t sign)
{
    const int32_t left = ernn_times((a - p->a_zero) * (1 << bits), p->a_multiplier, p->a_shift);
    const int32_t right = ernn_times((b - p->b_zero) * (1 << bits), p->b_multiplier, p->b_shift);
    return ernn_times(left + sign * right, p->y_multiplier, p->y_shift) + p->y_zero;
}

void ernn_add_s8(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    for (; n > 0; n--) {
        *y++ = (int8_t)ernn_clamp(sum(p, *a++, *b++, 20, 1), p->y_low, 127);
    }
}

void ernn_add_s16(const ernn_add_t *p, const int16_t *a, const int16_t *b, int16_t *y, int32_t n)
{
    for (; n > 0; n--) {
        *y++ = (int16_t)ernn_clamp(sum(p, *a++, *b++, 15, 1), p->y_low, 32767);
    }
}

void ernn_sub_s8(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    for (; n > 0; n--) {
        *y++ = (int8_t)ernn_clamp(sum(p, *a++, *b++, 20, -1), p->y_low, 127);
    }
}

void ernn_sub_s16(const ernn_add_t *p, const int16_t *a, const int16_t *b, int16_t *y, int32_t n)
{
    for (; n > 0; n--) {
        *y++ = (int16_t)ernn_clamp(sum(p, *a++, *b++, 15, -1), p->y_low, 32767);
    }
}

static inline int32_t product(const ernn_mul_t *p, int32_t a, int32_t b)
{
    return ernn_times((a - p->a_zero) * (b - p->b_zero), p->multiplier, p->shift) + p->y_zero;
}

void ernn_mul_s8(const ernn_mul_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    for (; n > 0; n--) {
        *y++ = (int8_t)ernn_clamp(product(p, *a++, *b++), -128, 127);
    }
}

void ernn_mul_s16(const ernn_mul_t *p, const int16_t *a, const int16_t *b, int16_t *y, int32_t n)
{
    for (; n > 0; n--) {
        *y++ = (int16_t)ernn_clamp(product(p, *a++, *b++), -32768, 32767);
    }
}

static inline int32_t moved(const ernn_quantize_t *p, int32_t x)
{
    return ernn_times(x - p->x_zero, p->multiplier, p->shift) + p->y_zero;
}

void ernn_quantize_s16_s8(const ernn_quantize_t *p, const int16_t *x, int8_t *y, int32_t n)
{
    for (; n > 0; n--) {
        *y++ = (int8_t)ernn_clamp(moved(p, *x++), -128, 127);
    }
}

void ernn_quantize_s8_s16(const ernn_quantize_t *p, const int8_t *x, int16_t *y, int32_t n)
{
    for (; n > 0; n--) {
        *y++ = (int16_t)ernn_clamp(moved(p, *x++), -32768, 32767);
    }
}

void ernn_quantize_s16_s16(const ernn_quantize_t *p, const int16_t *x, int16_t *y, int32_t n)
{
    for (; n > 0; n--) {
        *y++ = (int16_t)ernn_clamp(moved(p, *x++), -32768, 32767);
    }
}

void ernn_cast_s8_s16(const int8_t *x, int16_t *y, int32_t n)
{
    for (; n > 0; n--) {
        *y++ = *x++;
    }
}

void ernn_lut_s8(const ernn_lut_t *p, const int8_t *x, int8_t *y, int32_t n)
{
    for (; n > 0; n--) {
        *y++ = p->table[*x++ + 128];
    }
}

#endif
