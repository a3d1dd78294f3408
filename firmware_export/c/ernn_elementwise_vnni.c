/* ernn_elementwise_vnni.c - ADD, SUB and MUL of int8 with AVX-512, 64 values at a time.
 *
 * Scales that are powers of two need 16 bits; others float32, which is right but near a tie
 * (ernn_round_vnni.h): then those 64 are computed in integers. */
#include "ernn.h"
#include "ernn_round_vnni.h"
#include "ernn_target.h"

#if defined(ERNN_VNNI)

#define ONE_HALF (1 << 30) /* a multiplier */

/* The halves of 64 values as int16, and their quarters as float32. */
ERNN_ALWAYS __m512i half_at(const int8_t *x, int i)
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const void *)(x + 32 * i)));
}

ERNN_ALWAYS __m512 quarter_at(const int8_t *x, int i)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)(x + 16 * i))));
}

/* WORK, a function of the 64 values at a and at b that gives 64 codes, on all n; the last ones
 * are padded with zeros. */
#define EACH(WORK)                                                                                \
    do {                                                                                          \
        int8_t padded[2][64];                                                                     \
        for (; n >= 64; n -= 64, a += 64, b += 64, y += 64) {                                     \
            _mm512_storeu_si512(y, WORK(a, b));                                                   \
        }                                                                                         \
        if (n > 0) {                                                                              \
            _mm512_storeu_si512(padded[0], ernn_bytes_at(a, n));                                  \
            _mm512_storeu_si512(padded[1], ernn_bytes_at(b, n));                                  \
            ernn_bytes_to(y, WORK(padded[0], padded[1]), n);                                      \
        }                                                                                         \
    } while (0)

/* 64 int16 in two vectors to int8 with y_zero added, saturated, none below low. */
ERNN_ALWAYS __m512i narrowed(__m512i lower, __m512i upper, int32_t zero, int32_t low)
{
    const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    const __m512i y_zero = _mm512_set1_epi16((int16_t)zero);
    const __m512i codes = _mm512_packs_epi16(_mm512_adds_epi16(lower, y_zero),
                                             _mm512_adds_epi16(upper, y_zero));
    return _mm512_max_epi8(_mm512_permutexvar_epi64(order, codes), _mm512_set1_epi8((int8_t)low));
}

/* x / 2^n, ties away from zero, for n >= 1. */
ERNN_ALWAYS __m512i divided(__m512i x, __m512i half, __m128i n)
{
    const __m512i sign = _mm512_srai_epi16(x, 15);
    return _mm512_sra_epi16(_mm512_add_epi16(_mm512_add_epi16(x, half), sign), n);
}

/* ---- ADD and SUB --------------------------------------------------------------------- */

/* Both sides halved and the sum rescaled by a power of two: y = (a +- b) / 2^n, n >= 0. */
ERNN_ALWAYS void sum_of_powers(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y,
                               int32_t n, int minus)
{
    const int32_t bits = p->y_right - 18;
    const __m128i right = _mm_cvtsi32_si128(bits);
    const __m512i half = _mm512_set1_epi16((int16_t)((1 << bits) >> 1));
    const __m512i zeros =
        _mm512_set1_epi16((int16_t)(minus ? p->a_zero - p->b_zero : p->a_zero + p->b_zero));
#define TOGETHER(a, b, i)                                                                         \
    _mm512_sub_epi16(minus ? _mm512_sub_epi16(half_at(a, i), half_at(b, i))                       \
                           : _mm512_add_epi16(half_at(a, i), half_at(b, i)), zeros)
#define WHOLE(a, b) narrowed(TOGETHER(a, b, 0), TOGETHER(a, b, 1), p->y_zero, p->y_low)
#define DIVIDED(a, b)                                                                             \
    narrowed(divided(TOGETHER(a, b, 0), half, right), divided(TOGETHER(a, b, 1), half, right),    \
             p->y_zero, p->y_low)
    if (bits == 0) {
        EACH(WHOLE);
    } else {
        EACH(DIVIDED);
    }
#undef TOGETHER
#undef WHOLE
#undef DIVIDED
}

/* A sum in float32: y = a_scale a + b_scale b + constant. */
typedef struct {
    float a_scale, b_scale, constant;
    float near; /* a bound of its error */
} sum_t;

/* m 2^(-31 - right) */
static float real_of(int32_t m, int32_t right)
{
    union {
        uint32_t bits;
        float real;
    } power;
    power.bits = (uint32_t)(127 - 31 - right) << 23;
    return (float)m * power.real;
}

/* Sides are wholes of 20 more bits, rounded twice: they are off by less than one, which is
 * 2^(-1 - y_right) of a code at most, and so is what the last rounding adds by its sign.
 * float32 rounds each scale three times and each sum twice, by 2^-24 of sides up to 255. */
static sum_t sum_of(const ernn_add_t *p, int minus)
{
    const float y = real_of(p->y_multiplier, p->y_right) * 1048576.0f;
    sum_t sum;
    sum.a_scale = real_of(p->a_multiplier, p->a_right) * y;
    sum.b_scale = real_of(p->b_multiplier, p->b_right) * y;
    sum.near = 255.0f * (sum.a_scale + sum.b_scale) / 2097152.0f +
               real_of(ONE_HALF, p->y_right - 4);
    sum.b_scale = minus ? -sum.b_scale : sum.b_scale;
    sum.constant = -sum.a_scale * (float)p->a_zero - sum.b_scale * (float)p->b_zero;
    return sum;
}

static __attribute__((noinline)) __m512i sums_exactly(const ernn_add_t *p, const int8_t *a,
                                                     const int8_t *b, int minus)
{
    int8_t codes[64];
    if (minus) {
        ernn_sub_s8_exactly(p, a, b, codes, 64);
    } else {
        ernn_add_s8_exactly(p, a, b, codes, 64);
    }
    return _mm512_loadu_si512(codes);
}

ERNN_ALWAYS __m512 total(__m512 a, __m512 b, const sum_t *sum, __m512 *near)
{
    const __m512 r =
        _mm512_fmadd_ps(a, _mm512_set1_ps(sum->a_scale),
                        _mm512_fmadd_ps(b, _mm512_set1_ps(sum->b_scale),
                                        _mm512_set1_ps(sum->constant)));
    *near = _mm512_range_ps(*near, _mm512_reduce_ps(r, 8), 11);
    return r;
}

ERNN_ALWAYS __m512i sums(const ernn_add_t *p, const int8_t *a, const int8_t *b,
                         const sum_t *to, int minus)
{
    __m512 near = _mm512_setzero_ps();
    const __m512 r0 = total(quarter_at(a, 0), quarter_at(b, 0), to, &near);
    const __m512 r1 = total(quarter_at(a, 1), quarter_at(b, 1), to, &near);
    const __m512 r2 = total(quarter_at(a, 2), quarter_at(b, 2), to, &near);
    const __m512 r3 = total(quarter_at(a, 3), quarter_at(b, 3), to, &near);
    if (_mm512_cmp_ps_mask(near, _mm512_set1_ps(0.5f - to->near), _CMP_GE_OQ) != 0) {
        return sums_exactly(p, a, b, minus);
    }
    return ernn_codes(ernn_nearest(r0), ernn_nearest(r1), ernn_nearest(r2), ernn_nearest(r3),
                      p->y_zero, p->y_low);
}

ERNN_ALWAYS void sum(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n,
                     int minus)
{
    if (p->a_right == 0 && p->b_right == 0 && p->y_multiplier == ONE_HALF && p->y_right >= 18) {
        sum_of_powers(p, a, b, y, n, minus);
    } else {
        const sum_t to = sum_of(p, minus);
#define SUMS(a, b) sums(p, a, b, &to, minus)
        EACH(SUMS);
#undef SUMS
    }
}

void ernn_add_s8(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    sum(p, a, b, y, n, 0);
}

void ernn_sub_s8(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    sum(p, a, b, y, n, 1);
}

/* ---- MUL ----------------------------------------------------------------------------- */

/* The largest that x - zero can be. */
static int32_t largest(int32_t zero) { return zero < 0 ? 127 - zero : zero + 128; }

/* Products of 16 bits, rescaled by a power of two: halved, ties up, then divided. */
ERNN_ALWAYS void product_of_powers(const ernn_mul_t *p, const int8_t *a, const int8_t *b, int8_t *y,
                                   int32_t n)
{
    const __m512i a_zero = _mm512_set1_epi16((int16_t)p->a_zero);
    const __m512i b_zero = _mm512_set1_epi16((int16_t)p->b_zero);
    const __m512i half = _mm512_set1_epi16((int16_t)(1 << (p->right - 1)));
    const __m512i one = _mm512_set1_epi16(1);
    const __m128i right = _mm_cvtsi32_si128(p->right);
#define PRODUCT(a, b, i)                                                                          \
    _mm512_mullo_epi16(_mm512_sub_epi16(half_at(a, i), a_zero),                                   \
                       _mm512_sub_epi16(half_at(b, i), b_zero))
#define HALVED(x) _mm512_srai_epi16(_mm512_add_epi16(x, one), 1)
#define PRODUCTS(a, b)                                                                            \
    narrowed(divided(HALVED(PRODUCT(a, b, 0)), half, right),                                      \
             divided(HALVED(PRODUCT(a, b, 1)), half, right), p->y_zero, -128)
    EACH(PRODUCTS);
#undef PRODUCT
#undef HALVED
#undef PRODUCTS
}

static __attribute__((noinline)) __m512i products_exactly(const ernn_mul_t *p, const int8_t *a,
                                                         const int8_t *b)
{
    int8_t codes[64];
    ernn_mul_s8_exactly(p, a, b, codes, 64);
    return _mm512_loadu_si512(codes);
}

/* Products are exact in float32. */
typedef struct {
    __m512 a_zero, b_zero;
    ernn_rescale to;
} product_t;

ERNN_ALWAYS __m512 product(const int8_t *a, const int8_t *b, int i, const product_t *of,
                           __m512 *near)
{
    return ernn_rescaled(_mm512_mul_ps(_mm512_sub_ps(quarter_at(a, i), of->a_zero),
                                       _mm512_sub_ps(quarter_at(b, i), of->b_zero)),
                         &of->to, near);
}

ERNN_ALWAYS __m512i products(const ernn_mul_t *p, const int8_t *a, const int8_t *b,
                             const product_t *of)
{
    __m512 near = _mm512_setzero_ps();
    const __m512 r0 = product(a, b, 0, of, &near), r1 = product(a, b, 1, of, &near);
    const __m512 r2 = product(a, b, 2, of, &near), r3 = product(a, b, 3, of, &near);
    if (ernn_is_near(near)) {
        return products_exactly(p, a, b);
    }
    return ernn_codes(ernn_nearest(r0), ernn_nearest(r1), ernn_nearest(r2), ernn_nearest(r3),
                      p->y_zero, -128);
}

void ernn_mul_s8(const ernn_mul_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    if (p->multiplier == ONE_HALF && p->right <= 15 &&
        largest(p->a_zero) * largest(p->b_zero) < 32767) {
        product_of_powers(p, a, b, y, n);
    } else {
        const product_t of = {
            _mm512_set1_ps((float)p->a_zero), _mm512_set1_ps((float)p->b_zero),
            ernn_rescale_of(_mm512_set1_epi32(p->multiplier), _mm512_set1_epi32(p->right))};
#define PRODUCTS(a, b) products(p, a, b, &of)
        EACH(PRODUCTS);
#undef PRODUCTS
    }
}

#endif
