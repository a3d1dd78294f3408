/* ernn_lanes.h - ERNN_LANES values of 32 bits at a time, as AVX-512, AVX2 and NEON have them.
 *
 * Rounding is that of ernn_fixed.h, bit by bit. */
#ifndef ERNN_LANES_H
#define ERNN_LANES_H
#include "ernn_target.h"

#if defined(ERNN_LANES)
#include <stdint.h>
#include <string.h>

#if defined(ERNN_VNNI)
#include <immintrin.h>

typedef __m512i ernn_lanes;

static inline ernn_lanes ernn_lanes_all(int32_t x) { return _mm512_set1_epi32(x); }
static inline ernn_lanes ernn_lanes_s32(const int32_t *x) { return _mm512_loadu_si512(x); }
static inline ernn_lanes ernn_lanes_s16(const int16_t *x)
{
    return _mm512_cvtepi16_epi32(_mm256_loadu_si256((const void *)x));
}
static inline ernn_lanes ernn_lanes_s8(const int8_t *x)
{
    return _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)x));
}
static inline void ernn_lanes_to_s16(ernn_lanes x, int16_t *y)
{
    _mm256_storeu_si256((void *)y, _mm512_cvtsepi32_epi16(x));
}
static inline void ernn_lanes_to_s8(ernn_lanes x, int8_t *y)
{
    _mm_storeu_si128((void *)y, _mm512_cvtsepi32_epi8(x));
}
static inline ernn_lanes ernn_lanes_add(ernn_lanes a, ernn_lanes b)
{
    return _mm512_add_epi32(a, b);
}
static inline ernn_lanes ernn_lanes_sub(ernn_lanes a, ernn_lanes b)
{
    return _mm512_sub_epi32(a, b);
}
static inline ernn_lanes ernn_lanes_mul(ernn_lanes a, ernn_lanes b)
{
    return _mm512_mullo_epi32(a, b);
}
static inline ernn_lanes ernn_lanes_and(ernn_lanes a, ernn_lanes b)
{
    return _mm512_and_si512(a, b);
}
static inline ernn_lanes ernn_lanes_max(ernn_lanes a, ernn_lanes b)
{
    return _mm512_max_epi32(a, b);
}
static inline ernn_lanes ernn_lanes_min(ernn_lanes a, ernn_lanes b)
{
    return _mm512_min_epi32(a, b);
}
static inline ernn_lanes ernn_lanes_left(ernn_lanes x, ernn_lanes n)
{
    return _mm512_sllv_epi32(x, n);
}
static inline ernn_lanes ernn_lanes_right(ernn_lanes x, ernn_lanes n)
{
    return _mm512_srav_epi32(x, n);
}
/* -1 where x is negative, else 0. */
static inline ernn_lanes ernn_lanes_sign(ernn_lanes x) { return _mm512_srai_epi32(x, 31); }
/* a where `where` is -1, b where it is 0. */
static inline ernn_lanes ernn_lanes_select(ernn_lanes where, ernn_lanes a, ernn_lanes b)
{
    return _mm512_ternarylogic_epi32(where, a, b, 0xCA);
}
/* (table[i + 1] << 16) + table[i] for each i. */
static inline ernn_lanes ernn_lanes_pairs(const uint16_t *table, ernn_lanes i)
{
    return _mm512_i32gather_epi32(i, table, 2);
}
static inline ernn_lanes ernn_lanes_high_mul(ernn_lanes a, ernn_lanes b)
{
    /* Products of even lanes, then of odd ones, whose upper halves are where they belong. */
    const __m512i half = _mm512_set1_epi64(1 << 30);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(a, b), half);
    const __m512i odd = _mm512_add_epi64(
        _mm512_mul_epi32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32)), half);
    return _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 31),
                                   _mm512_slli_epi64(odd, 1));
}

#elif defined(ERNN_AVX2)
#include <immintrin.h>

typedef __m256i ernn_lanes;

static inline ernn_lanes ernn_lanes_all(int32_t x) { return _mm256_set1_epi32(x); }
static inline ernn_lanes ernn_lanes_s32(const int32_t *x)
{
    return _mm256_loadu_si256((const void *)x);
}
static inline ernn_lanes ernn_lanes_s16(const int16_t *x)
{
    return _mm256_cvtepi16_epi32(_mm_loadu_si128((const void *)x));
}
static inline ernn_lanes ernn_lanes_s8(const int8_t *x)
{
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)x));
}
static inline __m128i ernn_lanes_narrow(ernn_lanes x)
{
    return _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
}
static inline void ernn_lanes_to_s16(ernn_lanes x, int16_t *y)
{
    _mm_storeu_si128((void *)y, ernn_lanes_narrow(x));
}
static inline void ernn_lanes_to_s8(ernn_lanes x, int8_t *y)
{
    const __m128i narrow = ernn_lanes_narrow(x);
    _mm_storel_epi64((void *)y, _mm_packs_epi16(narrow, narrow));
}
static inline ernn_lanes ernn_lanes_add(ernn_lanes a, ernn_lanes b)
{
    return _mm256_add_epi32(a, b);
}
static inline ernn_lanes ernn_lanes_sub(ernn_lanes a, ernn_lanes b)
{
    return _mm256_sub_epi32(a, b);
}
static inline ernn_lanes ernn_lanes_mul(ernn_lanes a, ernn_lanes b)
{
    return _mm256_mullo_epi32(a, b);
}
static inline ernn_lanes ernn_lanes_and(ernn_lanes a, ernn_lanes b)
{
    return _mm256_and_si256(a, b);
}
static inline ernn_lanes ernn_lanes_max(ernn_lanes a, ernn_lanes b)
{
    return _mm256_max_epi32(a, b);
}
static inline ernn_lanes ernn_lanes_min(ernn_lanes a, ernn_lanes b)
{
    return _mm256_min_epi32(a, b);
}
static inline ernn_lanes ernn_lanes_left(ernn_lanes x, ernn_lanes n)
{
    return _mm256_sllv_epi32(x, n);
}
static inline ernn_lanes ernn_lanes_right(ernn_lanes x, ernn_lanes n)
{
    return _mm256_srav_epi32(x, n);
}
static inline ernn_lanes ernn_lanes_sign(ernn_lanes x) { return _mm256_srai_epi32(x, 31); }
static inline ernn_lanes ernn_lanes_select(ernn_lanes where, ernn_lanes a, ernn_lanes b)
{
    return _mm256_blendv_epi8(b, a, where);
}
static inline ernn_lanes ernn_lanes_pairs(const uint16_t *table, ernn_lanes i)
{
    return _mm256_i32gather_epi32((const void *)table, i, 2);
}
static inline ernn_lanes ernn_lanes_high_mul(ernn_lanes a, ernn_lanes b)
{
    const __m256i half = _mm256_set1_epi64x(1 << 30);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(a, b), half);
    const __m256i odd = _mm256_add_epi64(
        _mm256_mul_epi32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32)), half);
    return _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0xAA);
}

#else /* ERNN_NEON */
#include <arm_neon.h>

typedef struct {
    int32x4_t low, high;
} ernn_lanes;

static inline ernn_lanes ernn_lanes_join(int32x4_t low, int32x4_t high)
{
    const ernn_lanes joined = {low, high};
    return joined;
}
static inline ernn_lanes ernn_lanes_all(int32_t x)
{
    return ernn_lanes_join(vdupq_n_s32(x), vdupq_n_s32(x));
}
static inline ernn_lanes ernn_lanes_s32(const int32_t *x)
{
    return ernn_lanes_join(vld1q_s32(x), vld1q_s32(x + 4));
}
static inline ernn_lanes ernn_lanes_widen(int16x8_t x)
{
    return ernn_lanes_join(vmovl_s16(vget_low_s16(x)), vmovl_high_s16(x));
}
static inline ernn_lanes ernn_lanes_s16(const int16_t *x) { return ernn_lanes_widen(vld1q_s16(x)); }
static inline ernn_lanes ernn_lanes_s8(const int8_t *x)
{
    return ernn_lanes_widen(vmovl_s8(vld1_s8(x)));
}
static inline int16x8_t ernn_lanes_narrow(ernn_lanes x)
{
    return vqmovn_high_s32(vqmovn_s32(x.low), x.high);
}
static inline void ernn_lanes_to_s16(ernn_lanes x, int16_t *y)
{
    vst1q_s16(y, ernn_lanes_narrow(x));
}
static inline void ernn_lanes_to_s8(ernn_lanes x, int8_t *y)
{
    vst1_s8(y, vqmovn_s16(ernn_lanes_narrow(x)));
}
static inline ernn_lanes ernn_lanes_add(ernn_lanes a, ernn_lanes b)
{
    return ernn_lanes_join(vaddq_s32(a.low, b.low), vaddq_s32(a.high, b.high));
}
static inline ernn_lanes ernn_lanes_sub(ernn_lanes a, ernn_lanes b)
{
    return ernn_lanes_join(vsubq_s32(a.low, b.low), vsubq_s32(a.high, b.high));
}
static inline ernn_lanes ernn_lanes_mul(ernn_lanes a, ernn_lanes b)
{
    return ernn_lanes_join(vmulq_s32(a.low, b.low), vmulq_s32(a.high, b.high));
}
static inline ernn_lanes ernn_lanes_and(ernn_lanes a, ernn_lanes b)
{
    return ernn_lanes_join(vandq_s32(a.low, b.low), vandq_s32(a.high, b.high));
}
static inline ernn_lanes ernn_lanes_max(ernn_lanes a, ernn_lanes b)
{
    return ernn_lanes_join(vmaxq_s32(a.low, b.low), vmaxq_s32(a.high, b.high));
}
static inline ernn_lanes ernn_lanes_min(ernn_lanes a, ernn_lanes b)
{
    return ernn_lanes_join(vminq_s32(a.low, b.low), vminq_s32(a.high, b.high));
}
static inline ernn_lanes ernn_lanes_left(ernn_lanes x, ernn_lanes n)
{
    return ernn_lanes_join(vshlq_s32(x.low, n.low), vshlq_s32(x.high, n.high));
}
static inline ernn_lanes ernn_lanes_right(ernn_lanes x, ernn_lanes n)
{
    return ernn_lanes_join(vshlq_s32(x.low, vnegq_s32(n.low)),
                           vshlq_s32(x.high, vnegq_s32(n.high)));
}
static inline ernn_lanes ernn_lanes_sign(ernn_lanes x)
{
    return ernn_lanes_join(vshrq_n_s32(x.low, 31), vshrq_n_s32(x.high, 31));
}
static inline ernn_lanes ernn_lanes_select(ernn_lanes where, ernn_lanes a, ernn_lanes b)
{
    return ernn_lanes_join(vbslq_s32(vreinterpretq_u32_s32(where.low), a.low, b.low),
                           vbslq_s32(vreinterpretq_u32_s32(where.high), a.high, b.high));
}
static inline ernn_lanes ernn_lanes_pairs(const uint16_t *table, ernn_lanes i)
{
    int32_t index[8], found[8];
    int k;
    vst1q_s32(index, i.low);
    vst1q_s32(index + 4, i.high);
    for (k = 0; k < 8; k++) {
        (void)memcpy(&found[k], &table[index[k]], sizeof found[k]);
    }
    return ernn_lanes_s32(found);
}
static inline ernn_lanes ernn_lanes_high_mul(ernn_lanes a, ernn_lanes b)
{
    return ernn_lanes_join(vqrdmulhq_s32(a.low, b.low), vqrdmulhq_s32(a.high, b.high));
}

#endif

/* x / 2^right, ties away from zero; `half` is 2^(right - 1). */
static inline ernn_lanes ernn_lanes_rounded(ernn_lanes x, ernn_lanes half, ernn_lanes right)
{
    return ernn_lanes_right(ernn_lanes_add(ernn_lanes_add(x, half), ernn_lanes_sign(x)), right);
}

/* ernn_times_small. */
static inline ernn_lanes ernn_lanes_times(ernn_lanes x, ernn_lanes m, ernn_lanes half,
                                          ernn_lanes right)
{
    return ernn_lanes_rounded(ernn_lanes_high_mul(x, m), half, right);
}

#endif
#endif
