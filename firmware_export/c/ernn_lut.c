/* ernn_lut.c - any function of one int8, by its table. */
#include "ernn.h"
#include "ernn_target.h"

#if defined(ERNN_VNNI)
#include "ernn_round_vnni.h"

/* A byte permutation knows 128 values: the lower or the upper half of the table, by sign. */
typedef struct {
    __m512i quarter[4];
} table_t;

ERNN_ALWAYS table_t table_at(const int8_t *table)
{
    const table_t found = {{_mm512_loadu_si512(table), _mm512_loadu_si512(table + 64),
                            _mm512_loadu_si512(table + 128), _mm512_loadu_si512(table + 192)}};
    return found;
}

ERNN_ALWAYS __m512i looked_up(const table_t *t, __m512i codes)
{
    const __m512i lower = _mm512_permutex2var_epi8(t->quarter[0], codes, t->quarter[1]);
    const __m512i upper = _mm512_permutex2var_epi8(t->quarter[2], codes, t->quarter[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), upper, lower);
}

static __attribute__((noinline)) void look_up_any(const int8_t *table, const int8_t *x, int8_t *y,
                                                  int32_t n)
{
    const table_t t = table_at(table);
    for (; n >= 64; n -= 64, x += 64, y += 64) {
        _mm512_storeu_si512(y, looked_up(&t, _mm512_loadu_si512(x)));
    }
    if (n > 0) {
        ernn_bytes_to(y, looked_up(&t, ernn_bytes_at(x, n)), n);
    }
}

void ernn_lut_s8(const ernn_lut_t *p, const int8_t *x, int8_t *y, int32_t n)
{
    if (n == 64) {
        const table_t t = table_at(p->table);
        _mm512_storeu_si512(y, looked_up(&t, _mm512_loadu_si512(x)));
    } else {
        look_up_any(p->table, x, y, n);
    }
}

#elif defined(ERNN_NEON)
#include <arm_neon.h>
#include <string.h>

static inline uint8x16x4_t quarter(const int8_t *table)
{
    const uint8_t *bytes = (const uint8_t *)table;
    const uint8x16x4_t found = {{vld1q_u8(bytes), vld1q_u8(bytes + 16), vld1q_u8(bytes + 32),
                                 vld1q_u8(bytes + 48)}};
    return found;
}

/* A table instruction knows 64 values, and leaves those beyond them as they were. */
static inline uint8x16_t look_up(const uint8x16x4_t quarters[4], uint8x16_t place)
{
    const uint8x16_t further = vdupq_n_u8(64);
    uint8x16_t found = vqtbl4q_u8(quarters[0], place);
    place = vsubq_u8(place, further);
    found = vqtbx4q_u8(found, quarters[1], place);
    place = vsubq_u8(place, further);
    found = vqtbx4q_u8(found, quarters[2], place);
    return vqtbx4q_u8(found, quarters[3], vsubq_u8(place, further));
}

void ernn_lut_s8(const ernn_lut_t *p, const int8_t *x, int8_t *y, int32_t n)
{
    const uint8x16x4_t quarters[4] = {quarter(p->table), quarter(p->table + 64),
                                      quarter(p->table + 128), quarter(p->table + 192)};
    const uint8x16_t lowest = vdupq_n_u8(128);
    uint8_t padded[16] = {0};
    for (; n >= 16; n -= 16, x += 16, y += 16) {
        const uint8x16_t codes = vreinterpretq_u8_s8(vld1q_s8(x));
        vst1q_s8(y, vreinterpretq_s8_u8(look_up(quarters, veorq_u8(codes, lowest))));
    }
    if (n > 0) {
        (void)memcpy(padded, x, (size_t)n);
        vst1q_u8(padded, look_up(quarters, veorq_u8(vld1q_u8(padded), lowest)));
        (void)memcpy(y, padded, (size_t)n);
    }
}

#elif !ERNN_MVE

void ernn_lut_s8(const ernn_lut_t *p, const int8_t *x, int8_t *y, int32_t n)
{
    const int8_t *const table = &p->table[128], *const end = x + n;
    while (x < end) {
        *y++ = table[*x++];
    }
}

#endif
