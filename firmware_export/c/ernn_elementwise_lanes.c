/* ernn_elementwise_lanes.c - ADD, SUB, MUL, QUANTIZE and CAST, several values at a time. */
#include "ernn.h"
#include "ernn_fixed.h"
#include "ernn_lanes.h"
#include "ernn_requantize.h"
#include "ernn_round_vnni.h"
#include "ernn_target.h"

#if defined(ERNN_LANES)

/* With AVX-512, int8 has a faster way that leaves doubtful vectors to these. */
#if defined(ERNN_VNNI)
#define ernn_add_s8 ernn_add_s8_exactly
#define ernn_sub_s8 ernn_sub_s8_exactly
#define ernn_mul_s8 ernn_mul_s8_exactly
#endif

/* WORK on each vector of a and b, the last one padded with zeros. */
#define TWO_INPUTS(type, LOAD, STORE, WORK)                                                       \
    do {                                                                                          \
        type padded[3][ERNN_LANES] = {{0}};                                                       \
        for (; n >= ERNN_LANES; n -= ERNN_LANES) {                                                \
            STORE(WORK(LOAD(a), LOAD(b)), y);                                                     \
            a += ERNN_LANES;                                                                      \
            b += ERNN_LANES;                                                                      \
            y += ERNN_LANES;                                                                      \
        }                                                                                         \
        if (n > 0) {                                                                              \
            (void)memcpy(padded[0], a, (size_t)n * sizeof(type));                                 \
            (void)memcpy(padded[1], b, (size_t)n * sizeof(type));                                 \
            STORE(WORK(LOAD(padded[0]), LOAD(padded[1])), padded[2]);                             \
            (void)memcpy(y, padded[2], (size_t)n * sizeof(type));                                 \
        }                                                                                         \
    } while (0)

#define ONE_INPUT(x_type, y_type, LOAD, STORE, WORK)                                              \
    do {                                                                                          \
        x_type in[ERNN_LANES] = {0};                                                              \
        y_type out[ERNN_LANES];                                                                   \
        for (; n >= ERNN_LANES; n -= ERNN_LANES, x += ERNN_LANES, y += ERNN_LANES) {              \
            STORE(WORK(LOAD(x)), y);                                                              \
        }                                                                                         \
        if (n > 0) {                                                                              \
            (void)memcpy(in, x, (size_t)n * sizeof(x_type));                                      \
            STORE(WORK(LOAD(in)), out);                                                           \
            (void)memcpy(y, out, (size_t)n * sizeof(y_type));                                     \
        }                                                                                         \
    } while (0)

/* ---- ADD and SUB --------------------------------------------------------------------- */

/* A rescale in the form that ernn_lanes_times takes; after `left` more bits. */
typedef struct {
    ernn_lanes zero, left, multiplier, half, right;
    int is_power; /* of two: the multiplier is one half */
} scale_t;

static inline scale_t scale_of(int32_t zero, int32_t left, int32_t multiplier, int32_t right)
{
    const scale_t scale = {ernn_lanes_all(zero), ernn_lanes_all(left), ernn_lanes_all(multiplier),
                           ernn_lanes_all((int32_t)((1u << right) >> 1)), ernn_lanes_all(right),
                           multiplier == 1 << 30};
    return scale;
}

/* x times the multiplier / 2^31, ties up. */
static inline ernn_lanes high_of(const scale_t *scale, ernn_lanes x)
{
    const ernn_lanes one = ernn_lanes_all(1);
    return scale->is_power ? ernn_lanes_right(ernn_lanes_add(x, one), one)
                           : ernn_lanes_high_mul(x, scale->multiplier);
}

static inline ernn_lanes rescaled(const scale_t *scale, ernn_lanes x)
{
    return ernn_lanes_rounded(high_of(scale, x), scale->half, scale->right);
}

/* A side of a sum: see ernn_add_t. */
static inline ernn_lanes side(const scale_t *scale, ernn_lanes x, int is_half)
{
    const ernn_lanes wide = ernn_lanes_left(ernn_lanes_sub(x, scale->zero), scale->left);
    return is_half ? wide : rescaled(scale, wide);
}

/* The side with the larger scale is halved, and needs no rounding. */
#define SIDES                                                                                     \
    const int a_is_half = p->a_right == 0, b_is_half = p->b_right == 0;                           \
    const scale_t of_a = scale_of(p->a_zero, bits - a_is_half, p->a_multiplier, p->a_right);      \
    const scale_t of_b = scale_of(p->b_zero, bits - b_is_half, p->b_multiplier, p->b_right);      \
    const scale_t of_y = scale_of(p->y_zero, 0, p->y_multiplier, p->y_right)

#define TOTAL(together, a, b)                                                                     \
    ernn_lanes_add(                                                                               \
        of_y.zero,                                                                                \
        rescaled(&of_y, together(side(&of_a, a, a_is_half), side(&of_b, b, b_is_half))))
#define SUM(a, b) TOTAL(ernn_lanes_add, a, b)
#define DIFFERENCE(a, b) TOTAL(ernn_lanes_sub, a, b)

void ernn_add_s8(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    enum { bits = 20 };
    int8_t *const first = y;
    const int32_t count = n;
    SIDES;
    TWO_INPUTS(int8_t, ernn_lanes_s8, ernn_lanes_to_s8, SUM);
    ernn_at_least_s8(first, count, p->y_low);
}

void ernn_sub_s8(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    enum { bits = 20 };
    int8_t *const first = y;
    const int32_t count = n;
    SIDES;
    TWO_INPUTS(int8_t, ernn_lanes_s8, ernn_lanes_to_s8, DIFFERENCE);
    ernn_at_least_s8(first, count, p->y_low);
}

void ernn_add_s16(const ernn_add_t *p, const int16_t *a, const int16_t *b, int16_t *y, int32_t n)
{
    enum { bits = 15 };
    int16_t *const first = y;
    const int32_t count = n;
    SIDES;
    TWO_INPUTS(int16_t, ernn_lanes_s16, ernn_lanes_to_s16, SUM);
    ernn_at_least_s16(first, count, p->y_low);
}

void ernn_sub_s16(const ernn_add_t *p, const int16_t *a, const int16_t *b, int16_t *y, int32_t n)
{
    enum { bits = 15 };
    int16_t *const first = y;
    const int32_t count = n;
    SIDES;
    TWO_INPUTS(int16_t, ernn_lanes_s16, ernn_lanes_to_s16, DIFFERENCE);
    ernn_at_least_s16(first, count, p->y_low);
}

/* ---- MUL ----------------------------------------------------------------------------- */

#define PRODUCT(a, b)                                                                             \
    ernn_lanes_add(of_y.zero, rescaled(&of_y, ernn_lanes_mul(ernn_lanes_sub(a, a_zero),           \
                                                             ernn_lanes_sub(b, b_zero))))

void ernn_mul_s8(const ernn_mul_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    const scale_t of_y = scale_of(p->y_zero, 0, p->multiplier, p->right);
    const ernn_lanes a_zero = ernn_lanes_all(p->a_zero), b_zero = ernn_lanes_all(p->b_zero);
    TWO_INPUTS(int8_t, ernn_lanes_s8, ernn_lanes_to_s8, PRODUCT);
}

void ernn_mul_s16(const ernn_mul_t *p, const int16_t *a, const int16_t *b, int16_t *y, int32_t n)
{
    const scale_t of_y = scale_of(p->y_zero, 0, p->multiplier, p->right);
    const ernn_lanes a_zero = ernn_lanes_all(p->a_zero), b_zero = ernn_lanes_all(p->b_zero);
    TWO_INPUTS(int16_t, ernn_lanes_s16, ernn_lanes_to_s16, PRODUCT);
}

/* ---- QUANTIZE and CAST --------------------------------------------------------------- */

/* x - x_zero has `bits` bits and a sign: shifted to the left it must stay below 2^30. */
static inline int fits(const ernn_quantize_t *p, int32_t bits)
{
    return p->shift <= 30 - bits && p->shift >= -30;
}

static inline int32_t moved_one(const ernn_quantize_t *p, int32_t x)
{
    return ernn_times(x - p->x_zero, p->multiplier, p->shift) + p->y_zero;
}

/* A shift of 0 rounds once, and then ties go up. */
#define MOVES                                                                                     \
    const int32_t right = p->shift < 0 ? -p->shift : 0;                                           \
    const scale_t of_x =                                                                          \
        scale_of(p->x_zero, p->shift > 0 ? p->shift : 0, p->multiplier, right);                   \
    const ernn_lanes signs = ernn_lanes_all(right > 0 ? -1 : 0), y_zero = ernn_lanes_all(p->y_zero)

static inline ernn_lanes moved(const scale_t *scale, ernn_lanes signs, ernn_lanes x)
{
    const ernn_lanes wide = ernn_lanes_left(ernn_lanes_sub(x, scale->zero), scale->left);
    const ernn_lanes high = high_of(scale, wide);
    const ernn_lanes sign = ernn_lanes_and(ernn_lanes_sign(high), signs);
    return ernn_lanes_right(ernn_lanes_add(ernn_lanes_add(high, scale->half), sign),
                            scale->right);
}

#define MOVED(x) ernn_lanes_add(moved(&of_x, signs, x), y_zero)

void ernn_quantize_s16_s8(const ernn_quantize_t *p, const int16_t *x, int8_t *y, int32_t n)
{
    if (fits(p, 16)) {
        MOVES;
        ONE_INPUT(int16_t, int8_t, ernn_lanes_s16, ernn_lanes_to_s8, MOVED);
    } else {
        for (; n > 0; n--) {
            *y++ = (int8_t)ernn_clamp(moved_one(p, *x++), -128, 127);
        }
    }
}

void ernn_quantize_s8_s16(const ernn_quantize_t *p, const int8_t *x, int16_t *y, int32_t n)
{
    if (fits(p, 8)) {
        MOVES;
        ONE_INPUT(int8_t, int16_t, ernn_lanes_s8, ernn_lanes_to_s16, MOVED);
    } else {
        for (; n > 0; n--) {
            *y++ = (int16_t)ernn_clamp(moved_one(p, *x++), -32768, 32767);
        }
    }
}

void ernn_quantize_s16_s16(const ernn_quantize_t *p, const int16_t *x, int16_t *y, int32_t n)
{
    if (fits(p, 16)) {
        MOVES;
        ONE_INPUT(int16_t, int16_t, ernn_lanes_s16, ernn_lanes_to_s16, MOVED);
    } else {
        for (; n > 0; n--) {
            *y++ = (int16_t)ernn_clamp(moved_one(p, *x++), -32768, 32767);
        }
    }
}

#define SAME(x) (x)

void ernn_cast_s8_s16(const int8_t *x, int16_t *y, int32_t n)
{
    ONE_INPUT(int8_t, int16_t, ernn_lanes_s8, ernn_lanes_to_s16, SAME);
}

#endif
