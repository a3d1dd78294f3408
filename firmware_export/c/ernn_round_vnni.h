/* ernn_round_vnni.h - rescaling 64 sums to int8 in float32, without ever rounding differently.
 *
 * ernn_times_small rounds twice, ties away from zero at the end: for right >= 1 that is
 *     floor(r + 1/2)  with  r = total m 2^(-31 - right) + the sign of total times 2^(-1 - right).
 * Below 256, beyond which int8 saturates, r in float32 is off by less than 2^-14: a conversion
 * of the total, one of m, and one rounding.  So where r is farther than NEAR from a tie, its
 * nearest integer is the answer.  Where it is not, the caller computes the vectors again with
 * integers: less than one in a hundred. */
#ifndef ERNN_ROUND_VNNI_H
#define ERNN_ROUND_VNNI_H
#include "ernn_target.h"

#if defined(ERNN_VNNI)
#include <immintrin.h>
#include <stdint.h>

#include "ernn.h"
#include "ernn_lanes.h"

#define ERNN_ALWAYS static inline __attribute__((always_inline))
#define ERNN_NEAR (1.0f / 16384.0f)

/* In integers, of ernn_elementwise_lanes.c. */
void ernn_add_s8_exactly(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y,
                         int32_t n);
void ernn_sub_s8_exactly(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y,
                         int32_t n);
void ernn_mul_s8_exactly(const ernn_mul_t *p, const int8_t *a, const int8_t *b, int8_t *y,
                         int32_t n);

/* 64 bytes, or the first n of them and zeros; and back.  Whole vectors are not masked: what was
 * stored under a mask has to reach the cache before it can be loaded. */
ERNN_ALWAYS __mmask64 ernn_first(int32_t n) { return n >= 64 ? ~0ull : (1ull << n) - 1u; }

ERNN_ALWAYS __m512i ernn_bytes_at(const int8_t *x, int32_t n)
{
    return n >= 64 ? _mm512_loadu_si512(x) : _mm512_maskz_loadu_epi8(ernn_first(n), x);
}

ERNN_ALWAYS void ernn_bytes_to(int8_t *y, __m512i bytes, int32_t n)
{
    if (n >= 64) {
        _mm512_storeu_si512(y, bytes);
    } else {
        _mm512_mask_storeu_epi8(y, ernn_first(n), bytes);
    }
}

/* The first n of 16 bytes, or all, in whole pieces. */
ERNN_ALWAYS void ernn_pieces_to(int8_t *y, __m128i bytes, int32_t n)
{
    if (n >= 16) {
        _mm_storeu_si128((void *)y, bytes);
        return;
    }
    if ((n & 8) != 0) {
        _mm_storel_epi64((void *)y, bytes);
        bytes = _mm_srli_si128(bytes, 8);
        y += 8;
    }
    if ((n & 4) != 0) {
        const int32_t four = _mm_cvtsi128_si32(bytes);
        (void)memcpy(y, &four, 4);
        bytes = _mm_srli_si128(bytes, 4);
        y += 4;
    }
    for (n &= 3; n > 0; n--) {
        *y++ = (int8_t)_mm_extract_epi8(bytes, 0);
        bytes = _mm_srli_si128(bytes, 1);
    }
}

/* How 16 sums become codes. */
typedef struct {
    __m512 scale; /* m 2^(-31 - right) */
    __m512 half;  /* 2^(-1 - right)    */
} ernn_rescale;

/* `right` of 1 to 30 and m of 2^30 or more, or sums that are 0: exponents are put together as
 * integers. */
ERNN_ALWAYS ernn_rescale ernn_rescale_of(__m512i m, __m512i right)
{
    const __m512i power = _mm512_slli_epi32(right, 23);
    const __m512i exponent = _mm512_add_epi32(power, _mm512_set1_epi32(31 << 23));
    const __m512i scale =
        _mm512_sub_epi32(_mm512_castps_si512(_mm512_cvtepi32_ps(m)), exponent);
    const __m512i half = _mm512_sub_epi32(_mm512_set1_epi32(126 << 23), power);
    const ernn_rescale found = {_mm512_castsi512_ps(scale), _mm512_castsi512_ps(half)};
    return found;
}

/* r. */
ERNN_ALWAYS __m512 ernn_rescaled(__m512 total, const ernn_rescale *to)
{
    const __m512 sign = _mm512_set1_ps(-0.0f);
    const __m512 half = _mm512_castsi512_ps(_mm512_ternarylogic_epi32(
        _mm512_castps_si512(total), _mm512_castps_si512(sign), _mm512_castps_si512(to->half),
        0xEA)); /* (total & sign) | half */
    return _mm512_fmadd_ps(total, to->scale, half);
}

/* The larger of two distances from the nearest integer. */
ERNN_ALWAYS __m512 ernn_farther(__m512 a, __m512 b) { return _mm512_range_ps(a, b, 11); }

/* Whether one of four r is as far from an integer as `tie`. */
ERNN_ALWAYS int ernn_are_near(__m512 a, __m512 b, __m512 c, __m512 d, __m512 tie)
{
    const __m512 ab = ernn_farther(_mm512_reduce_ps(a, 8), _mm512_reduce_ps(b, 8));
    const __m512 cd = ernn_farther(_mm512_reduce_ps(c, 8), _mm512_reduce_ps(d, 8));
    return _mm512_cmp_ps_mask(ernn_farther(ab, cd), tie, _CMP_GE_OQ) != 0;
}

#define ERNN_TIE _mm512_set1_ps(0.5f - ERNN_NEAR)

ERNN_ALWAYS __m512i ernn_nearest(__m512 r)
{
    return _mm512_cvt_roundps_epi32(r, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* What codes of 64 outputs have in common.  Read once: the compiler must think that codes which
 * are stored might be a kernel's parameters. */
typedef struct {
    __m512i y_zero;
    int32_t y_low;
} ernn_ends;

ERNN_ALWAYS ernn_ends ernn_ends_of(int32_t y_zero, int32_t y_low)
{
    const ernn_ends ends = {_mm512_set1_epi16((int16_t)y_zero), y_low};
    return ends;
}

/* None below y_low; mostly no int8 is. */
ERNN_ALWAYS __m512i ernn_at_least(__m512i codes, int32_t y_low)
{
    return y_low == -128 ? codes : _mm512_max_epi8(codes, _mm512_set1_epi8((int8_t)y_low));
}

/* Four vectors of integers as 64 int8, saturated. */
ERNN_ALWAYS __m512i ernn_narrowed(__m512i a, __m512i b, __m512i c, __m512i d, __m512i y_zero)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i ab = _mm512_adds_epi16(_mm512_packs_epi32(a, b), y_zero);
    const __m512i cd = _mm512_adds_epi16(_mm512_packs_epi32(c, d), y_zero);
    return _mm512_permutexvar_epi32(order, _mm512_packs_epi16(ab, cd));
}

/* Four vectors of integers as 64 int8: y_zero added, saturated, none below y_low. */
ERNN_ALWAYS __m512i ernn_codes(__m512i a, __m512i b, __m512i c, __m512i d, const ernn_ends *ends)
{
    return ernn_at_least(ernn_narrowed(a, b, c, d, ends->y_zero), ends->y_low);
}

#endif
#endif
