/* ernn_mve.h - the rounding of ernn_fixed.h, four numbers at a time (Helium). */
#ifndef ERNN_MVE_H
#define ERNN_MVE_H
#include "ernn_target.h"

#if ERNN_MVE
#include <arm_mve.h>

/* x m 2^(-31 - right), right >= 1: VQRDMULH rounds as ernn_high_mul; VRSHL rounds ties up, so a
 * negative number is lowered by one first. */
static inline int32x4_t ernn_mve_times(int32x4_t x, int32x4_t m, int32x4_t right)
{
    const int32x4_t high = vqrdmulhq_s32(x, m);
    return vrshlq_s32(vaddq_s32(high, vshrq_n_s32(high, 31)), vnegq_s32(right));
}

/* The same with one m and one right for all, which may be 0: then no bit is rounded. */
static inline int32x4_t ernn_mve_times_n(int32x4_t x, int32_t m, int32_t right)
{
    const int32x4_t high = vqrdmulhq_n_s32(x, m);
    const int32x4_t lowered = vandq_s32(high, vdupq_n_s32(-right)); /* below 0 if both are */
    return vrshlq_n_s32(vaddq_s32(high, vshrq_n_s32(lowered, 31)), -right);
}

static inline int32x4_t ernn_mve_saturate_s8(int32x4_t x)
{
    return vmaxq_s32(vminq_s32(x, vdupq_n_s32(127)), vdupq_n_s32(-128));
}

static inline int32x4_t ernn_mve_saturate_s16(int32x4_t x)
{
    return vmaxq_s32(vminq_s32(x, vdupq_n_s32(32767)), vdupq_n_s32(-32768));
}
#endif

#endif
