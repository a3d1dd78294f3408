/* ernn_softmax_s8_vnni.c - SOFTMAX on int8 with AVX-512: exponentials of eight values at once,
 * of several rows if they are short. */
#include "ernn.h"
#include "ernn_fixed.h"
#include "ernn_target.h"

#if defined(ERNN_VNNI)
#include <immintrin.h>
#include <string.h>

#define ALWAYS static inline __attribute__((always_inline))

enum { MOST = 64 }; /* values at a time */

/* As in ernn_fixed.h, of 32-bit numbers in lanes of 64 bits. */
ALWAYS __m512i high_mul(__m512i a, __m512i b)
{
    const __m512i half = _mm512_set1_epi64(1 << 30);
    return _mm512_srai_epi64(_mm512_add_epi64(_mm512_mul_epi32(a, b), half), 31);
}

ALWAYS __m512i divide_by_power(__m512i x, int n)
{
    const __m512i half = _mm512_add_epi64(_mm512_set1_epi64((1ll << n) >> 1),
                                          _mm512_srai_epi64(x, 63));
    return _mm512_srai_epi64(_mm512_add_epi64(x, half), (unsigned)n);
}

/* exp(a), as ernn_exp_of_negative, step by step. */
ALWAYS __m512i exp_of_negative(__m512i a)
{
    static const int32_t powers[7] = {1672461947, 1302514674, 790015084, 290630308,
                                      39332535,   720401,     242};
    const int64_t quarter = 1 << 24;
    const __m512i at_center = _mm512_set1_epi64(1895147668), third = _mm512_set1_epi64(715827883);
    const __m512i rest = _mm512_sub_epi64(_mm512_and_si512(a, _mm512_set1_epi64(quarter - 1)),
                                          _mm512_set1_epi64(quarter));
    const __m512i quarters = _mm512_sub_epi64(rest, a);
    const __m512i x = _mm512_add_epi64(_mm512_slli_epi64(rest, 5), _mm512_set1_epi64(1 << 28));
    const __m512i x2 = high_mul(x, x);
    const __m512i x3 = high_mul(x2, x);
    const __m512i x4 = high_mul(x2, x2);
    const __m512i higher = divide_by_power(
        _mm512_add_epi64(high_mul(_mm512_add_epi64(divide_by_power(x4, 2), x3), third), x2), 1);
    __m512i result = _mm512_min_epi64(
        _mm512_add_epi64(at_center, high_mul(at_center, _mm512_add_epi64(x, higher))),
        _mm512_set1_epi64(INT32_MAX));
    int k;
    for (k = 0; k < 7; k++) { /* 2^31 leaves the result as it is */
        const __mmask8 set = _mm512_test_epi64_mask(quarters, _mm512_set1_epi64(quarter << k));
        const __m512i power = _mm512_mask_mov_epi64(_mm512_set1_epi64(1ll << 31), set,
                                                    _mm512_set1_epi64(powers[k]));
        const __m512i product = _mm512_mul_epu32(result, power);
        result = _mm512_srli_epi64(_mm512_add_epi64(product, _mm512_set1_epi64(1 << 30)), 31);
    }
    return _mm512_mask_mov_epi64(
        result, _mm512_testn_epi64_mask(a, a), _mm512_set1_epi64(INT32_MAX));
}

/* Eight values, or the last n of them. */
ALWAYS __m512i eight_at(const int8_t *x, int32_t n)
{
    uint64_t word = 0;
    if (n >= 8) {
        (void)memcpy(&word, x, 8);
    } else {
        while (n-- > 0) {
            word = (word << 8) | (uint8_t)x[n];
        }
    }
    return _mm512_cvtepi8_epi64(_mm_cvtsi64_si128((int64_t)word));
}

/* exp(x - largest), 0 if that is below p->lowest.  Each value has a largest of its own, or all
 * have the first. */
static void exponentials(const ernn_softmax_s8_t *p, const int8_t *x, const int8_t *largest,
                         int each, int32_t n, int32_t *found)
{
    const __m512i multiplier = _mm512_set1_epi64(p->multiplier);
    const __m512i lowest = _mm512_set1_epi64(p->lowest), first = _mm512_set1_epi64(*largest);
    const __m128i left = _mm_cvtsi32_si128(p->shift > 0 ? p->shift : 0);
    int32_t i;
    for (i = 0; i < n; i += 8) {
        const __m512i value = eight_at(x + i, n - i);
        const __m512i most = each ? eight_at(largest + i, n - i) : first;
        const __m512i difference = _mm512_sub_epi64(value, most);
        const __mmask8 counts = _mm512_cmpge_epi64_mask(difference, lowest);
        const __m512i real =
            exp_of_negative(high_mul(_mm512_sll_epi64(difference, left), multiplier));
        _mm256_storeu_si256((void *)(found + i), _mm512_maskz_cvtepi64_epi32(counts, real));
    }
}

static int8_t largest_of(const int8_t *x, int32_t n)
{
    int8_t largest = *x++;
    for (; n > 1; n--, x++) {
        largest = *x > largest ? *x : largest;
    }
    return largest;
}

/* 1 / (1 + a), as ernn_one_over_one_plus. */
ALWAYS __m512i shifted_left(__m512i x, unsigned n)
{
    const __m512i wide = _mm512_slli_epi64(x, n);
    return _mm512_max_epi64(_mm512_min_epi64(wide, _mm512_set1_epi64(INT32_MAX)),
                            _mm512_set1_epi64(INT32_MIN));
}

ALWAYS __m512i one_over_one_plus(__m512i a)
{
    const __m512i half_denominator =
        _mm512_srai_epi64(_mm512_add_epi64(a, _mm512_set1_epi64(1ll << 31)), 1);
    __m512i x = _mm512_add_epi64(_mm512_set1_epi64(1515870810),
                                 high_mul(half_denominator, _mm512_set1_epi64(-1010580540)));
    int i;
    for (i = 0; i < 3; i++) {
        const __m512i error =
            _mm512_sub_epi64(_mm512_set1_epi64(1 << 29), high_mul(half_denominator, x));
        x = _mm512_add_epi64(x, shifted_left(high_mul(x, error), 2));
    }
    return shifted_left(x, 1);
}

static uint32_t sum_of(const int32_t *exponential, int32_t n)
{
    uint32_t total = 0;
    for (; n > 0; n--) {
        total += ((uint32_t)*exponential++ + (1u << 11)) >> 12;
    }
    return total;
}

/* exp / total of eight values, `over` being 2^headroom / total. */
ALWAYS void shares(const int32_t *exponential, __m512i over, __m512i headroom, int8_t *y, int32_t n)
{
    const __m512i one = _mm512_set1_epi64(1);
    const __m512i right = _mm512_sub_epi64(_mm512_set1_epi64(35), headroom);
    const __m512i half = _mm512_sllv_epi64(one, _mm512_sub_epi64(right, one));
    const __m512i product =
        high_mul(over, _mm512_cvtepi32_epi64(_mm256_loadu_si256((const void *)exponential)));
    const __m512i share = _mm512_srav_epi64(_mm512_add_epi64(product, half), right);
    const __m128i codes = _mm512_cvtsepi64_epi8(_mm512_sub_epi64(share, _mm512_set1_epi64(128)));
    if (n >= 8) {
        _mm_storel_epi64((void *)y, codes);
    } else {
        _mm_mask_storeu_epi8(y, (__mmask16)((1u << n) - 1u), codes);
    }
}

/* 2^headroom / total, and headroom, which is the number of its leading zeros. */
ALWAYS __m512i over(__m512i total, __m512i headroom)
{
    return one_over_one_plus(
        _mm512_sub_epi64(_mm512_sllv_epi64(total, headroom), _mm512_set1_epi64(1ll << 31)));
}

/* A row of any width; beyond MOST values its exponentials are computed twice. */
static void one_row(const ernn_softmax_s8_t *p, const int8_t *x, int8_t *y, int32_t width)
{
    const int8_t largest = largest_of(x, width);
    int32_t exponential[MOST], i, j;
    uint32_t total = 0;
    __m512i headroom, scale;
    for (i = 0; i < width; i += MOST) {
        const int32_t n = width - i < MOST ? width - i : MOST;
        exponentials(p, x + i, &largest, 0, n, exponential);
        total += sum_of(exponential, n);
    }
    headroom = _mm512_set1_epi64(__builtin_clz(total));
    scale = over(_mm512_set1_epi64(total), headroom);
    for (i = 0; i < width; i += MOST) {
        const int32_t n = width - i < MOST ? width - i : MOST;
        if (width > MOST) {
            exponentials(p, x + i, &largest, 0, n, exponential);
        }
        for (j = 0; j < n; j += 8) {
            shares(exponential + j, scale, headroom, y + i + j, n - j);
        }
    }
}

/* Several rows of at most MOST values together. */
static void short_rows(const ernn_softmax_s8_t *p, const int8_t *x, int8_t *y, int32_t width,
                       int32_t rows)
{
    const int32_t n = rows * width;
    int8_t largest[MOST] = {0};
    int32_t exponential[MOST], row, i;
    int64_t total[MOST], headroom[MOST]; /* of each row, and then for each value */
    for (row = 0; row < rows; row++) {
        (void)memset(largest + row * width, largest_of(x + row * width, width), (size_t)width);
    }
    exponentials(p, x, largest, 1, n, exponential);
    for (row = 0; row < rows; row++) {
        total[row] = sum_of(exponential + row * width, width);
        headroom[row] = __builtin_clz((uint32_t)total[row]);
    }
    for (i = rows; i % 8 != 0; i++) {
        total[i] = headroom[i] = 1;
    }
    for (i = 0; i < rows; i += 8) {
        _mm512_storeu_si512(&total[i], over(_mm512_loadu_si512(&total[i]),
                                            _mm512_loadu_si512(&headroom[i])));
    }
    for (row = rows - 1; row >= 0; row--) { /* from the last: none is written over */
        const int64_t scale = total[row], zeros = headroom[row];
        for (i = 0; i < width; i++) {
            total[row * width + i] = scale;
            headroom[row * width + i] = zeros;
        }
    }
    for (i = 0; i < n; i += 8) {
        shares(exponential + i, _mm512_loadu_si512(&total[i]), _mm512_loadu_si512(&headroom[i]),
               y + i, n - i);
    }
}

void ernn_softmax_s8(const ernn_softmax_s8_t *p, const int8_t *x, int8_t *y, int32_t width,
                     int32_t rows)
{
    const int32_t at_once = MOST / width;
    while (rows > 1 && at_once > 1) {
        const int32_t some = rows < at_once ? rows : at_once;
        short_rows(p, x, y, width, some);
        rows -= some;
        x += some * width;
        y += some * width;
    }
    for (; rows > 0; rows--, x += width, y += width) {
        one_row(p, x, y, width);
    }
}

#endif
