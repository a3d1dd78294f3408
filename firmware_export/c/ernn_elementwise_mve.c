/* ernn_elementwise_mve.c - ADD, SUB, MUL, QUANTIZE, CAST and tables by Helium, four numbers at a
 * time; see ernn_elementwise.c for what each computes.  In the last of them, lanes beyond n
 * are neither read nor written. */
#include "ernn.h"
#include "ernn_fixed.h"
#include "ernn_mve.h"
#include "ernn_requantize.h"
#include "ernn_target.h"

#if ERNN_MVE

/* Widening loads and narrowing stores, by the type in memory. */
#define LOAD_int8_t(at, in)       vldrbq_z_s32(at, in)
#define LOAD_int16_t(at, in)      vldrhq_z_s32(at, in)
#define STORE_int8_t(at, v, in)   vstrbq_p_s32(at, ernn_mve_saturate_s8(v), in)
#define STORE_int16_t(at, v, in)  vstrhq_p_s32(at, ernn_mve_saturate_s16(v), in)

/* One side of a sum: halved where it has the larger scale, otherwise scaled and rounded. */
static inline int32x4_t side(int32x4_t x, int32_t m, int32_t right, int32_t bits)
{
    return right == 0 ? vshlq_r_s32(x, bits - 1)
                      : ernn_mve_times_n(vshlq_r_s32(x, bits), m, right);
}

#define SUM(type, bits, combine)                                                                  \
    do {                                                                                          \
        const ernn_add_t q = *p;                                                                  \
        int32_t left;                                                                             \
        for (left = n; left > 0; left -= 4, a += 4, b += 4, y += 4) {                             \
            const mve_pred16_t in = vctp32q((uint32_t)left);                                      \
            const int32x4_t one = vsubq_n_s32(LOAD_##type(a, in), q.a_zero);                      \
            const int32x4_t two = vsubq_n_s32(LOAD_##type(b, in), q.b_zero);                      \
            const int32x4_t total = combine(side(one, q.a_multiplier, q.a_right, bits),           \
                                            side(two, q.b_multiplier, q.b_right, bits));          \
            const int32x4_t scaled = ernn_mve_times_n(total, q.y_multiplier, q.y_right);          \
            STORE_##type(y, vaddq_n_s32(scaled, q.y_zero), in);                                   \
        }                                                                                         \
    } while (0)

void ernn_add_s8(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    int8_t *const first = y;
    SUM(int8_t, 20, vaddq_s32);
    ernn_at_least_s8(first, n, p->y_low);
}

void ernn_add_s16(const ernn_add_t *p, const int16_t *a, const int16_t *b, int16_t *y, int32_t n)
{
    int16_t *const first = y;
    SUM(int16_t, 15, vaddq_s32);
    ernn_at_least_s16(first, n, p->y_low);
}

void ernn_sub_s8(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    int8_t *const first = y;
    SUM(int8_t, 20, vsubq_s32);
    ernn_at_least_s8(first, n, p->y_low);
}

void ernn_sub_s16(const ernn_add_t *p, const int16_t *a, const int16_t *b, int16_t *y, int32_t n)
{
    int16_t *const first = y;
    SUM(int16_t, 15, vsubq_s32);
    ernn_at_least_s16(first, n, p->y_low);
}

#define PRODUCT(type)                                                                             \
    do {                                                                                          \
        const ernn_mul_t q = *p;                                                                  \
        for (; n > 0; n -= 4, a += 4, b += 4, y += 4) {                                           \
            const mve_pred16_t in = vctp32q((uint32_t)n);                                         \
            const int32x4_t one = vsubq_n_s32(LOAD_##type(a, in), q.a_zero);                      \
            const int32x4_t two = vsubq_n_s32(LOAD_##type(b, in), q.b_zero);                      \
            const int32x4_t scaled =                                                              \
                ernn_mve_times_n(vmulq_s32(one, two), q.multiplier, q.right);                     \
            STORE_##type(y, vaddq_n_s32(scaled, q.y_zero), in);                                   \
        }                                                                                         \
    } while (0)

void ernn_mul_s8(const ernn_mul_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    PRODUCT(int8_t);
}

void ernn_mul_s16(const ernn_mul_t *p, const int16_t *a, const int16_t *b, int16_t *y, int32_t n)
{
    PRODUCT(int16_t);
}

/* Multipliers of 1 and more shift to the left first; those just below 1 round nothing. */
#define MOVE(from, to)                                                                            \
    do {                                                                                          \
        const ernn_quantize_t q = *p;                                                             \
        const int32_t left = q.shift > 0 ? q.shift : 0;                                           \
        for (; n > 0; n -= 4, x += 4, y += 4) {                                                   \
            const mve_pred16_t in = vctp32q((uint32_t)n);                                         \
            const int32x4_t real = vsubq_n_s32(LOAD_##from(x, in), q.x_zero);                     \
            const int32x4_t scaled =                                                              \
                q.shift < 0 ? ernn_mve_times_n(real, q.multiplier, -q.shift)                      \
                            : vqrdmulhq_n_s32(vqrshlq_n_s32(real, left), q.multiplier);           \
            STORE_##to(y, vaddq_n_s32(scaled, q.y_zero), in);                                     \
        }                                                                                         \
    } while (0)

void ernn_quantize_s16_s8(const ernn_quantize_t *p, const int16_t *x, int8_t *y, int32_t n)
{
    MOVE(int16_t, int8_t);
}

void ernn_quantize_s8_s16(const ernn_quantize_t *p, const int8_t *x, int16_t *y, int32_t n)
{
    MOVE(int8_t, int16_t);
}

void ernn_quantize_s16_s16(const ernn_quantize_t *p, const int16_t *x, int16_t *y, int32_t n)
{
    MOVE(int16_t, int16_t);
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
