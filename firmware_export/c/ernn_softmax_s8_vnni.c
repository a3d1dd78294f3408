/* ernn_softmax_s8_vnni.c - SOFTMAX on int8 with AVX-512: exponentials of eight values at once,
 * of several rows if they are short. */
#include "ernn.h"
#include "ernn_fixed.h"
#include "ernn_target.h"

#if defined(ERNN_VNNI)
#include "ernn_round_vnni.h"

enum { MOST = 64 }; /* values at a time */

/* As in ernn_fixed.h, of 32-bit numbers in lanes of 64 bits. */
ERNN_ALWAYS __m512i high_mul(__m512i a, __m512i b)
{
    const __m512i half = _mm512_set1_epi64(1 << 30);
    return _mm512_srai_epi64(_mm512_add_epi64(_mm512_mul_epi32(a, b), half), 31);
}

ERNN_ALWAYS __m512i divide_by_power(__m512i x, int n)
{
    const __m512i half = _mm512_add_epi64(_mm512_set1_epi64((1ll << n) >> 1),
                                          _mm512_srai_epi64(x, 63));
    return _mm512_srai_epi64(_mm512_add_epi64(x, half), (unsigned)n);
}

/* exp(a), as ernn_exp_of_negative, step by step. */
ERNN_ALWAYS __m512i exp_of_negative(__m512i a)
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
    const __m512i last_two = _mm512_set1_epi64((quarter << 5) | (quarter << 6)); /* 8 and 16 */
    const int most = _mm512_test_epi64_mask(quarters, last_two) != 0 ? 7 : 5;
    int k;
    for (k = 0; k < most; k++) { /* 2^31 leaves the result as it is */
        const __mmask8 set = _mm512_test_epi64_mask(quarters, _mm512_set1_epi64(quarter << k));
        const __m512i power = _mm512_mask_mov_epi64(_mm512_set1_epi64(1ll << 31), set,
                                                    _mm512_set1_epi64(powers[k]));
        const __m512i product = _mm512_mul_epu32(result, power);
        result = _mm512_srli_epi64(_mm512_add_epi64(product, _mm512_set1_epi64(1 << 30)), 31);
    }
    return _mm512_mask_mov_epi64(
        result, _mm512_testn_epi64_mask(a, a), _mm512_set1_epi64(INT32_MAX));
}

/* Eight bytes, or the last n of them and zeros. */
ERNN_ALWAYS uint64_t word_at(const int8_t *x, int32_t n)
{
    uint64_t word = 0;
    uint32_t low, high;
    if (n >= 8) {
        (void)memcpy(&word, x, 8);
    } else if (n >= 4) {
        (void)memcpy(&low, x, 4);
        (void)memcpy(&high, x + n - 4, 4);
        word = low | ((uint64_t)high << (8 * (n - 4)));
    } else {
        while (n-- > 0) {
            word = (word << 8) | (uint8_t)x[n];
        }
    }
    return word;
}

ERNN_ALWAYS __m512i eight_at(const int8_t *x, int32_t n)
{
    return _mm512_cvtepi8_epi64(_mm_cvtsi64_si128((int64_t)word_at(x, n)));
}

/* exp(differences), 0 for those below p->lowest. */
ERNN_ALWAYS __m512i exponential_of(const ernn_softmax_s8_t *p, __m512i difference)
{
    const __m128i left = _mm_cvtsi32_si128(p->shift > 0 ? p->shift : 0);
    const __mmask8 counts = _mm512_cmpge_epi64_mask(difference, _mm512_set1_epi64(p->lowest));
    const __m512i real = high_mul(_mm512_sll_epi64(difference, left),
                                  _mm512_set1_epi64(p->multiplier));
    return _mm512_maskz_mov_epi64(counts, exp_of_negative(real));
}

/* exp(x - largest) of n values, 0 if that is below p->lowest. */
static void exponentials(const ernn_softmax_s8_t *p, const int8_t *x, int8_t largest, int32_t n,
                         int32_t *found)
{
    const __m512i most = _mm512_set1_epi64(largest);
    int32_t i;
    for (i = 0; i < n; i += 8) {
        const __m512i difference = _mm512_sub_epi64(eight_at(x + i, n - i), most);
        _mm256_storeu_si256((void *)(found + i),
                            _mm512_cvtepi64_epi32(exponential_of(p, difference)));
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
ERNN_ALWAYS __m512i shifted_left(__m512i x, unsigned n)
{
    const __m512i wide = _mm512_slli_epi64(x, n);
    return _mm512_max_epi64(_mm512_min_epi64(wide, _mm512_set1_epi64(INT32_MAX)),
                            _mm512_set1_epi64(INT32_MIN));
}

ERNN_ALWAYS __m512i one_over_one_plus(__m512i a)
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

/* exp / total of eight values, `scale` being 2^headroom / total. */
ERNN_ALWAYS __m128i shares(__m512i exponential, __m512i scale, __m512i headroom)
{
    const __m512i one = _mm512_set1_epi64(1);
    const __m512i right = _mm512_sub_epi64(_mm512_set1_epi64(35), headroom);
    const __m512i half = _mm512_sllv_epi64(one, _mm512_sub_epi64(right, one));
    const __m512i share =
        _mm512_srav_epi64(_mm512_add_epi64(high_mul(scale, exponential), half), right);
    return _mm512_cvtsepi64_epi8(_mm512_sub_epi64(share, _mm512_set1_epi64(128)));
}

ERNN_ALWAYS __m512i eight_of(const int32_t *x)
{
    return _mm512_cvtepi32_epi64(_mm256_loadu_si256((const void *)x));
}

/* 2^headroom / total, and headroom, which is the number of its leading zeros. */
ERNN_ALWAYS __m512i over(__m512i total, __m512i headroom)
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
        exponentials(p, x + i, largest, n, exponential);
        total += sum_of(exponential, n);
    }
    headroom = _mm512_set1_epi64(__builtin_clz(total));
    scale = over(_mm512_set1_epi64(total), headroom);
    for (i = 0; i < width; i += MOST) {
        const int32_t n = width - i < MOST ? width - i : MOST;
        if (width > MOST) {
            exponentials(p, x + i, largest, n, exponential);
        }
        for (j = 0; j < n; j += 8) {
            ernn_pieces_to(y + i + j, shares(eight_of(exponential + j), scale, headroom),
                           n - j < 8 ? n - j : 8);
        }
    }
}

/* The sum of all lanes, in every lane. */
ERNN_ALWAYS __m512i sum_of_lanes(__m512i x)
{
    x = _mm512_add_epi64(x, _mm512_shuffle_i64x2(x, x, 0x4E));
    x = _mm512_add_epi64(x, _mm512_shuffle_i64x2(x, x, 0xB1));
    return _mm512_add_epi64(x, _mm512_shuffle_epi32(x, _MM_PERM_BADC));
}

/* A row of at most eight values, which never leaves the registers. */
static __attribute__((noinline)) void short_row(const ernn_softmax_s8_t *p, const int8_t *x,
                                                int8_t *y, int32_t width)
{
    const __mmask8 valid = (__mmask8)((1u << width) - 1u);
    const uint64_t lowest = 0x8080808080808080u << (8 * width - 8) << 8; /* beyond the end */
    const __m128i bytes = _mm_cvtsi64_si128((int64_t)(word_at(x, width) | lowest));
    __m128i largest = _mm_max_epi8(bytes, _mm_srli_epi64(bytes, 32));
    __m512i exponential, total, exponent, headroom, scale;
    largest = _mm_max_epi8(largest, _mm_srli_epi64(largest, 16));
    largest = _mm_max_epi8(largest, _mm_srli_epi64(largest, 8));
    exponential = _mm512_maskz_mov_epi64(
        valid, exponential_of(p, _mm512_sub_epi64(
                                     _mm512_cvtepi8_epi64(bytes),
                                     _mm512_cvtepi8_epi64(_mm_broadcastb_epi8(largest)))));
    total = sum_of_lanes(
        _mm512_srli_epi64(_mm512_add_epi64(exponential, _mm512_set1_epi64(1 << 11)), 12));
    /* The exponent of a float64 is that of its highest bit. */
    exponent = _mm512_srli_epi64(_mm512_castpd_si512(_mm512_cvtepi64_pd(total)), 52);
    headroom = _mm512_sub_epi64(_mm512_set1_epi64(1023 + 31), exponent);
    scale = over(total, headroom);
    ernn_pieces_to(y, shares(exponential, scale, headroom), width);
}

/* Numbers of ROWS rows; and that of the row to which each of eight values belongs. */
enum { ROWS = 16 };

typedef struct {
    __m512i first, last;
} rows_t;

ERNN_ALWAYS rows_t rows_at(const int64_t x[ROWS])
{
    const rows_t rows = {_mm512_loadu_si512(x), _mm512_loadu_si512(x + 8)};
    return rows;
}

ERNN_ALWAYS __m512i of_rows(const rows_t *rows, __m512i which)
{
    return _mm512_permutex2var_epi64(rows->first, which, rows->last);
}

/* Rows of eight values from number i on; up to MOST the product with the rounded reciprocal is
 * right. */
ERNN_ALWAYS __m512i rows_from(int32_t i, int32_t width)
{
    const __m512i number = _mm512_add_epi64(_mm512_set1_epi64(i),
                                            _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
    const __m512i reciprocal = _mm512_set1_epi64((65536 + width - 1) / width);
    return _mm512_srli_epi64(_mm512_mul_epu32(number, reciprocal), 16);
}

/* At most ROWS rows of together at most MOST values. */
static __attribute__((noinline)) void short_rows(const ernn_softmax_s8_t *p, const int8_t *x,
                                                 int8_t *y, int32_t width, int32_t rows)
{
    const int32_t n = rows * width;
    int32_t exponential[MOST], row, i;
    int64_t largest[ROWS] = {0}, total[ROWS], headroom[ROWS];
    rows_t most, zeros, scale;
    for (row = 0; row < rows; row++) {
        largest[row] = largest_of(x + row * width, width);
    }
    most = rows_at(largest);
    for (i = 0; i < n; i += 8) {
        const __m512i difference = _mm512_sub_epi64(eight_at(x + i, n - i),
                                                    of_rows(&most, rows_from(i, width)));
        _mm256_storeu_si256((void *)&exponential[i],
                            _mm512_cvtepi64_epi32(exponential_of(p, difference)));
    }
    for (row = 0; row < ROWS; row++) {
        total[row] = row < rows ? sum_of(exponential + row * width, width) : 1;
        headroom[row] = __builtin_clz((uint32_t)total[row]);
    }
    zeros = rows_at(headroom);
    scale = rows_at(total);
    scale.first = over(scale.first, zeros.first);
    scale.last = over(scale.last, zeros.last);
    for (i = 0; i < n; i += 8) {
        const __m512i which = rows_from(i, width);
        ernn_pieces_to(y + i, shares(eight_of(exponential + i), of_rows(&scale, which),
                                     of_rows(&zeros, which)), n - i < 8 ? n - i : 8);
    }
}

void ernn_softmax_s8(const ernn_softmax_s8_t *p, const int8_t *x, int8_t *y, int32_t width,
                     int32_t rows)
{
    const int32_t at_once = MOST / width < ROWS ? MOST / width : ROWS;
    while (rows > 1 && at_once > 1) {
        const int32_t some = rows < at_once ? rows : at_once;
        short_rows(p, x, y, width, some);
        rows -= some;
        x += some * width;
        y += some * width;
    }
    for (; rows > 0; rows--, x += width, y += width) {
        if (width <= 8) {
            short_row(p, x, y, width);
        } else {
            one_row(p, x, y, width);
        }
    }
}

#endif
