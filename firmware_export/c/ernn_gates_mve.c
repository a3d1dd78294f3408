/* ernn_gates_mve.c - LOGISTIC and TANH on int16 by Helium; see ernn_gates.h. */
#include "ernn.h"
#include "ernn_gates.h"
#include "ernn_mve.h"
#include "ernn_target.h"

#if ERNN_MVE

/* x in units of 1 / (3 * 4096). */
static inline int32x4_t on_the_grid(const ernn_gate_t *p, int32x4_t x)
{
    return vrshlq_n_s32(vmulq_n_s32(x, p->multiplier), -p->shift); /* which rounds ties up */
}

/* The table at size / 2^bits, with 16 + bits bits after the point; `high` at its end. */
static inline int32x4_t interpolate(uint32x4_t size, int32_t bits, int32_t high)
{
    const uint32x4_t index = vshlq_r_u32(size, -bits);
    const uint32x4_t inside = vminq_u32(index, vdupq_n_u32(254));
    const uint32x4_t part = vandq_u32(size, vdupq_n_u32((1u << bits) - 1u));
    const uint32x4_t low = vldrhq_gather_shifted_offset_u32(ernn_sigmoid_table, inside);
    const uint32x4_t next = vldrhq_gather_shifted_offset_u32(ernn_sigmoid_table + 1, inside);
    const uint32x4_t found =
        vaddq_u32(vshlq_r_u32(low, bits), vmulq_u32(part, vsubq_u32(next, low)));
    return vpselq_s32(vdupq_n_s32(high), vreinterpretq_s32_u32(found),
                      vcmphiq_n_u32(index, 254));
}

static inline int32x4_t logistic(const ernn_gate_t *p, int32x4_t x)
{
    const int32x4_t value = on_the_grid(p, x);
    const int32x4_t found =
        interpolate(vreinterpretq_u32_s32(vabsq_s32(value)), 9, 0x7FFF << 10);
    const int32x4_t mirrored = vsubq_s32(vdupq_n_s32((1 << 25) - 1), found);
    return vrshrq_n_s32(vpselq_s32(found, mirrored, vcmpgeq_n_s32(value, 0)), 10);
}

static inline int32x4_t hyperbolic(const ernn_gate_t *p, int32x4_t x)
{
    const int32x4_t value = on_the_grid(p, x);
    const int32x4_t found = vsubq_n_s32(
        interpolate(vreinterpretq_u32_s32(vabsq_s32(value)), 8, 0xFFFF << 8), 1 << 23);
    /* A negative one is -found - 1, which is found with its bits turned. */
    return vrshrq_n_s32(vpselq_s32(found, vmvnq_s32(found), vcmpgeq_n_s32(value, 0)), 8);
}

void ernn_logistic_s16(const ernn_gate_t *p, const int16_t *x, int16_t *y, int32_t n)
{
    for (; n >= 4; n -= 4, x += 4, y += 4) {
        vstrhq_s32(y, logistic(p, vldrhq_s32(x)));
    }
    if (n > 0) { /* lanes beyond n are neither read nor written */
        const mve_pred16_t in = vctp32q((uint32_t)n);
        vstrhq_p_s32(y, logistic(p, vldrhq_z_s32(x, in)), in);
    }
}

void ernn_tanh_s16(const ernn_gate_t *p, const int16_t *x, int16_t *y, int32_t n)
{
    for (; n >= 4; n -= 4, x += 4, y += 4) {
        vstrhq_s32(y, hyperbolic(p, vldrhq_s32(x)));
    }
    if (n > 0) {
        const mve_pred16_t in = vctp32q((uint32_t)n);
        vstrhq_p_s32(y, hyperbolic(p, vldrhq_z_s32(x, in)), in);
    }
}

#else
typedef int ernn_gates_mve_is_not_used;
#endif
