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

/* 64 int16 in two vectors to int8, saturated. */
ERNN_ALWAYS __m512i narrowed(__m512i lower, __m512i upper)
{
    const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    return _mm512_permutexvar_epi64(order, _mm512_packs_epi16(lower, upper));
}

/* CODES, a function of the 64 values at a and at b, on all n; the last ones are padded with
 * zeros. */
#define EACH(CODES)                                                                               \
    do {                                                                                          \
        int8_t padded[2][64] __attribute__((aligned(64)));                                        \
        for (; n >= 64; n -= 64, a += 64, b += 64, y += 64) {                                     \
            _mm512_storeu_si512(y, CODES(a, b));                                                  \
        }                                                                                         \
        if (n > 0) {                                                                              \
            _mm512_storeu_si512(padded[0], ernn_bytes_at(a, n));                                  \
            _mm512_storeu_si512(padded[1], ernn_bytes_at(b, n));                                  \
            ernn_bytes_to(y, CODES(padded[0], padded[1]), n);                                     \
        }                                                                                         \
    } while (0)

/* The same where some are doubtful: CODES says so, and those vectors are left for
 * EXACTLY(a, b, y, n), later, so that the loop keeps its registers. */
#define EACH_BUT_DOUBTFUL(CODES, EXACTLY)                                                         \
    while (n > 0) {                                                                               \
        const int32_t some = n < 4096 ? n : 4096;                                                 \
        uint64_t doubtful = 0;                                                                    \
        int32_t i = 0;                                                                            \
        int is_doubtful;                                                                          \
        for (; i + 64 <= some; i += 64) {                                                         \
            const __m512i codes = CODES(a + i, b + i, &is_doubtful);                              \
            if (is_doubtful) {                                                                    \
                doubtful |= 1ull << (i / 64);                                                     \
            } else {                                                                              \
                _mm512_storeu_si512(y + i, codes);                                                \
            }                                                                                     \
        }                                                                                         \
        if (i < some) {                                                                           \
            int8_t padded[2][64] __attribute__((aligned(64)));                                    \
            __m512i codes;                                                                        \
            _mm512_storeu_si512(padded[0], ernn_bytes_at(a + i, some - i));                       \
            _mm512_storeu_si512(padded[1], ernn_bytes_at(b + i, some - i));                       \
            codes = CODES(padded[0], padded[1], &is_doubtful);                                    \
            if (is_doubtful) {                                                                    \
                doubtful |= 1ull << (i / 64);                                                     \
            } else {                                                                              \
                ernn_bytes_to(y + i, codes, some - i);                                            \
            }                                                                                     \
        }                                                                                         \
        for (; doubtful != 0; doubtful &= doubtful - 1) {                                         \
            i = 64 * (int32_t)__builtin_ctzll(doubtful);                                          \
            EXACTLY(p, a + i, b + i, y + i, some - i < 64 ? some - i : 64);                       \
        }                                                                                         \
        a += some;                                                                                \
        b += some;                                                                                \
        y += some;                                                                                \
        n -= some;                                                                                \
    }

/* ---- ADD and SUB --------------------------------------------------------------------- */

/* Both sides halved and the sum rescaled by a power of two: y = (a +- b) / 2^bits, ties away
 * from zero. */
ERNN_ALWAYS void sum_of_powers(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y,
                               int32_t n, int minus)
{
    const int32_t bits = p->y_right - 18, zero = minus ? p->a_zero - p->b_zero
                                                       : p->a_zero + p->b_zero;
    const int32_t y_low = p->y_low;
#define SUM(a, b, i)                                                                              \
    (minus ? _mm512_sub_epi16(half_at(a, i), half_at(b, i))                                       \
           : _mm512_add_epi16(half_at(a, i), half_at(b, i)))
    if (bits == 0) {
        const __m512i zeros = _mm512_set1_epi16((int16_t)(p->y_zero - zero));
#define WHOLE(a, b)                                                                               \
    ernn_at_least(narrowed(_mm512_add_epi16(SUM(a, b, 0), zeros),                                 \
                           _mm512_add_epi16(SUM(a, b, 1), zeros)), y_low)
        EACH(WHOLE);
#undef WHOLE
    } else {
        const __m512i zeros = _mm512_set1_epi16((int16_t)zero);
        const __m512i y_zero = _mm512_set1_epi16((int16_t)p->y_zero);
        const __m512i half = _mm512_set1_epi16((int16_t)(1 << (bits - 1)));
        const __m128i right = _mm_cvtsi32_si128(bits);
#define DIVIDED(x)                                                                                \
    _mm512_add_epi16(_mm512_sra_epi16(_mm512_add_epi16(_mm512_add_epi16(x, half),                 \
                                                       _mm512_srai_epi16(x, 15)), right), y_zero)
#define CODES(a, b)                                                                               \
    ernn_at_least(narrowed(DIVIDED(_mm512_sub_epi16(SUM(a, b, 0), zeros)),                        \
                           DIVIDED(_mm512_sub_epi16(SUM(a, b, 1), zeros))), y_low)
        EACH(CODES);
#undef DIVIDED
#undef CODES
    }
#undef SUM
}

/* A sum in float32, in every lane: y = a_scale a + b_scale b + constant. */
typedef struct {
    __m512 a_scale, b_scale, constant;
    __m512 tie; /* one half less a bound of its error */
    int32_t y_low;
} sums_t;

/* product 2^-n; not of zero. */
ERNN_ALWAYS __m512 divided_by_power(__m512 product, __m512i n)
{
    return _mm512_castsi512_ps(
        _mm512_sub_epi32(_mm512_castps_si512(product), _mm512_slli_epi32(n, 23)));
}

ERNN_ALWAYS __m512 real_of(int32_t x) { return _mm512_cvtepi32_ps(_mm512_set1_epi32(x)); }

/* The constant is y_zero less what is added for the zeros of the sides.
 *
 * Sides are wholes of 20 more bits, rounded twice: they are off by less than one, which is
 * 2^(-y_right) of a code at most, and the last rounding adds half of that by its sign.
 * float32 rounds by 2^-24: three times a scale of which there are up to 128; as often and twice
 * more what is subtracted for its zero; a sum of two such, 256; and the whole, which matters up
 * to 256, and its y_zero.  That is 1152 times a scale and 512, of which 2^-24. */
ERNN_ALWAYS sums_t sums_of(const ernn_add_t *p, int minus)
{
    const __m512 y = real_of(p->y_multiplier), unit = _mm512_set1_ps(1.0f / 16777216.0f);
    const __m512i right = _mm512_set1_epi32(p->y_right + 62 - 20);
    const __m512 a = divided_by_power(_mm512_mul_ps(real_of(p->a_multiplier), y),
                                      _mm512_add_epi32(right, _mm512_set1_epi32(p->a_right)));
    const __m512 b = divided_by_power(_mm512_mul_ps(real_of(p->b_multiplier), y),
                                      _mm512_add_epi32(right, _mm512_set1_epi32(p->b_right)));
    const __m512 sides = divided_by_power(_mm512_set1_ps(1.5f), _mm512_set1_epi32(p->y_right));
    const __m512 rounding = _mm512_fmadd_ps(_mm512_add_ps(a, b), _mm512_set1_ps(1152.0f),
                                            _mm512_set1_ps(512.0f));
    const __m512 a_zero = _mm512_mul_ps(a, real_of(p->a_zero)), b_zero = real_of(p->b_zero);
    const __m512 zeros = minus ? _mm512_fnmadd_ps(b, b_zero, a_zero)
                               : _mm512_fmadd_ps(b, b_zero, a_zero);
    const sums_t to = {
        a, b, _mm512_sub_ps(real_of(p->y_zero), zeros),
        _mm512_sub_ps(_mm512_set1_ps(0.5f), _mm512_fmadd_ps(rounding, unit, sides)), p->y_low};
    return to;
}

ERNN_ALWAYS __m512 total(const int8_t *a, const int8_t *b, int i, const sums_t *to, int minus)
{
    const __m512 other = minus ? _mm512_fnmadd_ps(quarter_at(b, i), to->b_scale, to->constant)
                               : _mm512_fmadd_ps(quarter_at(b, i), to->b_scale, to->constant);
    return _mm512_fmadd_ps(quarter_at(a, i), to->a_scale, other);
}

ERNN_ALWAYS __m512i sums(const int8_t *a, const int8_t *b, const sums_t *to, int minus,
                         int *is_doubtful)
{
    const __m512 r0 = total(a, b, 0, to, minus), r1 = total(a, b, 1, to, minus);
    const __m512 r2 = total(a, b, 2, to, minus), r3 = total(a, b, 3, to, minus);
    *is_doubtful = ernn_are_near(r0, r1, r2, r3, to->tie);
    return ernn_at_least(ernn_narrowed(ernn_nearest(r0), ernn_nearest(r1), ernn_nearest(r2),
                                       ernn_nearest(r3), _mm512_setzero_si512()), to->y_low);
}

static int is_of_powers(const ernn_add_t *p)
{
    return p->a_right == 0 && p->b_right == 0 && p->y_multiplier == ONE_HALF && p->y_right >= 18;
}

/* By powers of two; by 64 values, the number of which there are most often; by any number.
 * Functions of their own, so that one's registers are not the other's. */
#define FUNCTIONS(name, minus)                                                                    \
    static __attribute__((noinline)) void name##_of_powers(                                       \
        const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)              \
    {                                                                                             \
        sum_of_powers(p, a, b, y, n, minus);                                                      \
    }                                                                                             \
                                                                                                  \
    static __attribute__((noinline)) void name##_64(const ernn_add_t *p, const int8_t *a,         \
                                                    const int8_t *b, int8_t *y)                   \
    {                                                                                             \
        const sums_t to = sums_of(p, minus);                                                      \
        int is_doubtful;                                                                          \
        const __m512i codes = sums(a, b, &to, minus, &is_doubtful);                               \
        if (is_doubtful != 0) {                                                                   \
            ernn_##name##_s8_exactly(p, a, b, y, 64);                                             \
        } else {                                                                                  \
            _mm512_storeu_si512(y, codes);                                                        \
        }                                                                                         \
    }                                                                                             \
                                                                                                  \
    static __attribute__((noinline)) void name##_any(const ernn_add_t *p, const int8_t *a,        \
                                                     const int8_t *b, int8_t *y, int32_t n)       \
    {                                                                                             \
        const sums_t to = sums_of(p, minus);                                                      \
        EACH_BUT_DOUBTFUL(name##_SUMS, ernn_##name##_s8_exactly)                                  \
    }                                                                                             \
                                                                                                  \
    void ernn_##name##_s8(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y,       \
                          int32_t n)                                                              \
    {                                                                                             \
        if (is_of_powers(p)) {                                                                    \
            name##_of_powers(p, a, b, y, n);                                                      \
        } else if (n == 64) {                                                                     \
            name##_64(p, a, b, y);                                                                \
        } else {                                                                                  \
            name##_any(p, a, b, y, n);                                                            \
        }                                                                                         \
    }

#define add_SUMS(a, b, is_doubtful) sums(a, b, &to, 0, is_doubtful)
#define sub_SUMS(a, b, is_doubtful) sums(a, b, &to, 1, is_doubtful)
FUNCTIONS(add, 0)
FUNCTIONS(sub, 1)

/* ---- MUL ----------------------------------------------------------------------------- */

/* Whether (x - a_zero) (y - b_zero) and 2^right + 1 more fit 16 bits. */
static int is_narrow(const ernn_mul_t *p)
{
    const int32_t a_low = -128 - p->a_zero, a_high = 127 - p->a_zero;
    const int32_t b_low = -128 - p->b_zero, b_high = 127 - p->b_zero;
    const int32_t room = 32767 - (1 << p->right) - 1;
    return a_low * b_low <= room && a_high * b_high <= room && a_low * b_high >= -32768 &&
           a_high * b_low >= -32768;
}

/* v plus `less` where it is negative, plus `more` elsewhere. */
ERNN_ALWAYS __m512i with_half(__m512i v, __m512i more, __m512i less)
{
    return _mm512_mask_add_epi16(_mm512_add_epi16(v, more), _mm512_movepi16_mask(v), v, less);
}

/* Products of 16 bits that are halved, ties up, and then divided, ties away from zero, are
 * divided once:  (v + 1 + 2^right - 2 [v < 0]) / 2^(right + 1), rounded down. */
static __attribute__((noinline)) void product_of_powers(const ernn_mul_t *p, const int8_t *a,
                                                        const int8_t *b, int8_t *y, int32_t n)
{
    const __m512i a_zero = _mm512_set1_epi16((int16_t)p->a_zero);
    const __m512i b_zero = _mm512_set1_epi16((int16_t)p->b_zero);
    const __m512i y_zero = _mm512_set1_epi16((int16_t)p->y_zero);
    const __m512i more = _mm512_set1_epi16((int16_t)((1 << p->right) + 1));
    const __m512i less = _mm512_set1_epi16((int16_t)((1 << p->right) - 1));
    const __m128i right = _mm_cvtsi32_si128(p->right + 1);
#define PRODUCT(a, b, i)                                                                          \
    _mm512_mullo_epi16(_mm512_sub_epi16(half_at(a, i), a_zero),                                   \
                       _mm512_sub_epi16(half_at(b, i), b_zero))
#define DIVIDED(v) _mm512_adds_epi16(_mm512_sra_epi16(with_half(v, more, less), right), y_zero)
#define CODES(a, b) narrowed(DIVIDED(PRODUCT(a, b, 0)), DIVIDED(PRODUCT(a, b, 1)))
    EACH(CODES);
#undef PRODUCT
#undef DIVIDED
#undef CODES
}

/* Products are exact in float32. */
typedef struct {
    __m512 a_zero, b_zero;
    ernn_rescale to;
    ernn_ends ends;
} products_t;

ERNN_ALWAYS __m512 product(const int8_t *a, const int8_t *b, int i, const products_t *of)
{
    return ernn_rescaled(_mm512_mul_ps(_mm512_sub_ps(quarter_at(a, i), of->a_zero),
                                       _mm512_sub_ps(quarter_at(b, i), of->b_zero)),
                         &of->to);
}

ERNN_ALWAYS __m512i products(const int8_t *a, const int8_t *b, const products_t *of,
                             int *is_doubtful)
{
    const __m512 r0 = product(a, b, 0, of), r1 = product(a, b, 1, of);
    const __m512 r2 = product(a, b, 2, of), r3 = product(a, b, 3, of);
    *is_doubtful = ernn_are_near(r0, r1, r2, r3, ERNN_TIE);
    return ernn_codes(ernn_nearest(r0), ernn_nearest(r1), ernn_nearest(r2), ernn_nearest(r3),
                      &of->ends);
}

ERNN_ALWAYS products_t products_of(const ernn_mul_t *p)
{
    const products_t of = {
        _mm512_set1_ps((float)p->a_zero), _mm512_set1_ps((float)p->b_zero),
        ernn_rescale_of(_mm512_set1_epi32(p->multiplier), _mm512_set1_epi32(p->right)),
        ernn_ends_of(p->y_zero, -128)};
    return of;
}

static __attribute__((noinline)) void mul_64(const ernn_mul_t *p, const int8_t *a, const int8_t *b,
                                             int8_t *y)
{
    const products_t of = products_of(p);
    int is_doubtful;
    const __m512i codes = products(a, b, &of, &is_doubtful);
    if (is_doubtful != 0) {
        ernn_mul_s8_exactly(p, a, b, y, 64);
    } else {
        _mm512_storeu_si512(y, codes);
    }
}

static __attribute__((noinline)) void mul_any(const ernn_mul_t *p, const int8_t *a, const int8_t *b,
                                              int8_t *y, int32_t n)
{
    const products_t of = products_of(p);
#define PRODUCTS(a, b, is_doubtful) products(a, b, &of, is_doubtful)
    EACH_BUT_DOUBTFUL(PRODUCTS, ernn_mul_s8_exactly)
#undef PRODUCTS
}

void ernn_mul_s8(const ernn_mul_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n)
{
    if (p->multiplier == ONE_HALF && p->right <= 13 && is_narrow(p)) {
        product_of_powers(p, a, b, y, n);
    } else if (n == 64) {
        mul_64(p, a, b, y);
    } else {
        mul_any(p, a, b, y, n);
    }
}

#endif
