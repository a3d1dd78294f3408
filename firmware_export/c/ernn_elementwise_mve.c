/* ernn_elementwise_mve.c - ADD, SUB, MUL, QUANTIZE, CAST and tables by Helium, four numbers at a
 * time; see ernn_elementwise.c for what each computes. */
#include "ernn.h"
#include "ernn_fixed.h"
#include "ernn_mve.h"
#include "ernn_requantize.h"
#include "ernn_target.h"

#if ERNN_MVE

/* Widening loads and narrowing stores, by the type in memory; and those of the last numbers,
 * where lanes beyond `in` are neither read nor written. */
#define LOAD_int8_t(at)            vldrbq_s32(at)
#define LOAD_int16_t(at)           vldrhq_s32(at)
#define STORE_int8_t(at, v)        vstrbq_s32(at, ernn_mve_saturate_s8(v))
#define STORE_int16_t(at, v)       vstrhq_s32(at, ernn_mve_saturate_s16(v))
#define LAST_LOAD_int8_t(at)       vldrbq_z_s32(at, in)
#define LAST_LOAD_int16_t(at)      vldrhq_z_s32(at, in)
#define LAST_STORE_int8_t(at, v)   vstrbq_p_s32(at, ernn_mve_saturate_s8(v), in)
#define LAST_STORE_int16_t(at, v)  vstrhq_p_s32(at, ernn_mve_saturate_s16(v), in)

/* FOUR(kind, from, to) for every four numbers, kind being LAST_ for what is left. */
#define EACH(FOUR, from, to)                                                                      \
    do {                                                                                          \
        for (; n >= 4; n -= 4) {                                                                  \
            FOUR(, from, to);                                                                     \
        }                                                                                         \
        if (n > 0) {                                                                              \
            const mve_pred16_t in = vctp32q((uint32_t)n);                                         \
            FOUR(LAST_, from, to);                                                                \
        }                                                                                         \
    } while (0)

/* Two operands and the parameters, read once. */
#define SIDE(x, zero, bits, m, right)                                                             \
    ernn_mve_times_n(vshlq_r_s32(vsubq_n_s32(x, zero), bits), m, right)
#define SUM(kind, type, bits, combine)                                                            \
    do {                                                                                          \
        const int32x4_t total =                                                                   \
            combine(SIDE(kind##LOAD_##type(a), q.a_zero, bits, q.a_multiplier, q.a_right),        \
                    SIDE(kind##LOAD_##type(b), q.b_zero, bits, q.b_multiplier, q.b_right));       \
        kind##STORE_##type(y, vaddq_n_s32(ernn_mve_times_n(total, q.y_multiplier, q.y_right),     \
                                          q.y_zero));                                             \
        a += 4;                                                                                   \
        b += 4;                                                                                   \
        y += 4;                                                                                   \
    } while (0)
#define ADD_8(kind, from, to)  SUM(kind, int8_t, 20, vaddq_s32)
#define SUB_8(kind, from, to)  SUM(kind, int8_t, 20, vsubq_s32)
#define ADD_16(kind, from, to) SUM(kind, int16_t, 15, vaddq_s32)
#define SUB_16(kind, from, to) SUM(kind, int16_t, 15, vsubq_s32)

void ernn_add_s8(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    const ernn_add_t q = *p;
    int8_t *const first = y;
    const int32_t count = n;
    EACH(ADD_8, int8_t, int8_t);
    ernn_at_least_s8(first, count, q.y_low);
}

void ernn_sub_s8(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    const ernn_add_t q = *p;
    int8_t *const first = y;
    const int32_t count = n;
    EACH(SUB_8, int8_t, int8_t);
    ernn_at_least_s8(first, count, q.y_low);
}

void ernn_add_s16(const ernn_add_t *p, const int16_t *a, const int16_t *b, int16_t *y, int32_t n)
{
    const ernn_add_t q = *p;
    int16_t *const first = y;
    const int32_t count = n;
    EACH(ADD_16, int16_t, int16_t);
    ernn_at_least_s16(first, count, q.y_low);
}

void ernn_sub_s16(const ernn_add_t *p, const int16_t *a, const int16_t *b, int16_t *y, int32_t n)
{
    const ernn_add_t q = *p;
    int16_t *const first = y;
    const int32_t count = n;
    EACH(SUB_16, int16_t, int16_t);
    ernn_at_least_s16(first, count, q.y_low);
}

#define PRODUCT(kind, from, to)                                                                   \
    do {                                                                                          \
        const int32x4_t product = vmulq_s32(vsubq_n_s32(kind##LOAD_##from(a), q.a_zero),          \
                                            vsubq_n_s32(kind##LOAD_##from(b), q.b_zero));         \
        kind##STORE_##to(y, vaddq_n_s32(ernn_mve_times_n(product, q.multiplier, q.right),         \
                                        q.y_zero));                                               \
        a += 4;                                                                                   \
        b += 4;                                                                                   \
        y += 4;                                                                                   \
    } while (0)

void ernn_mul_s8(const ernn_mul_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    const ernn_mul_t q = *p;
    EACH(PRODUCT, int8_t, int8_t);
}

void ernn_mul_s16(const ernn_mul_t *p, const int16_t *a, const int16_t *b, int16_t *y, int32_t n)
{
    const ernn_mul_t q = *p;
    EACH(PRODUCT, int16_t, int16_t);
}

/* Multipliers of 1 and more shift to the left first. */
#define MOVE(kind, from, to)                                                                      \
    do {                                                                                          \
        const int32x4_t real =                                                                    \
            vqrshlq_n_s32(vsubq_n_s32(kind##LOAD_##from(x), q.x_zero), left);                     \
        kind##STORE_##to(y, vaddq_n_s32(ernn_mve_times_n(real, q.multiplier, right), q.y_zero));  \
        x += 4;                                                                                   \
        y += 4;                                                                                   \
    } while (0)

void ernn_quantize_s16_s8(const ernn_quantize_t *p, const int16_t *x, int8_t *y, int32_t n)
{
    const ernn_quantize_t q = *p;
    const int32_t left = q.shift > 0 ? q.shift : 0, right = left - q.shift;
    EACH(MOVE, int16_t, int8_t);
}

void ernn_quantize_s8_s16(const ernn_quantize_t *p, const int8_t *x, int16_t *y, int32_t n)
{
    const ernn_quantize_t q = *p;
    const int32_t left = q.shift > 0 ? q.shift : 0, right = left - q.shift;
    EACH(MOVE, int8_t, int16_t);
}

void ernn_quantize_s16_s16(const ernn_quantize_t *p, const int16_t *x, int16_t *y, int32_t n)
{
    const ernn_quantize_t q = *p;
    const int32_t left = q.shift > 0 ? q.shift : 0, right = left - q.shift;
    EACH(MOVE, int16_t, int16_t);
}

void ernn_cast_s8_s16(const int8_t *x, int16_t *y, int32_t n)
{
    for (; n > 0; n -= 8, x += 8, y += 8) {
        const mve_pred16_t in = vctp16q((uint32_t)n);
        vstrhq_p_s16(y, vldrbq_z_s16(x, in), in);
    }
}

void ernn_lut_s8(const ernn_lut_t *p, const int8_t *x, int8_t *y, int32_t n)
{
    for (; n > 0; n -= 16, x += 16, y += 16) {
        const mve_pred16_t in = vctp8q((uint32_t)n);
        const uint8x16_t place =
            veorq_u8(vreinterpretq_u8_s8(vldrbq_z_s8(x, in)), vdupq_n_u8(128)); /* x + 128 */
        vstrbq_p_s8(y, vldrbq_gather_offset_s8(p->table, place), in);
    }
}

#else
typedef int ernn_elementwise_mve_is_not_used;
#endif
