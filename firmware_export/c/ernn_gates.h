/* ernn_gates.h - LOGISTIC and TANH of one int16. */
#ifndef ERNN_GATES_H
#define ERNN_GATES_H
#include <stdint.h>

#include "ernn.h"

extern const uint16_t ernn_sigmoid_table[256];

/* x in units of 1 / (3 * 4096). */
static inline int32_t ernn_on_the_grid(const ernn_gate_t *p, int32_t x)
{
    return (x * p->multiplier + (int32_t)((1u << p->shift) >> 1)) >> p->shift;
}

/* The table at size / 2^bits, with 16 + bits bits after the point; `high` at its end. */
static inline int32_t ernn_interpolate(uint32_t size, uint32_t bits, uint32_t high)
{
    const uint32_t index = size >> bits;
    const uint32_t part = size & ((1u << bits) - 1u);
    if (index >= 255u) {
        return (int32_t)high;
    }
    return (int32_t)(((uint32_t)ernn_sigmoid_table[index] << bits) +
                     part * ((uint32_t)ernn_sigmoid_table[index + 1u] - ernn_sigmoid_table[index]));
}

static inline int16_t ernn_logistic_one(const ernn_gate_t *p, int16_t x)
{
    const int32_t value = ernn_on_the_grid(p, x);
    const uint32_t size = (uint32_t)(value < 0 ? -value : value);
    const int32_t found = ernn_interpolate(size, 9, 0x7FFFu << 10);
    return (int16_t)((value >= 0 ? found + (1 << 9) : (1 << 25) - found + (1 << 9) - 1) >> 10);
}

/* tanh(x) = 2 sigmoid(2x) - 1. */
static inline int16_t ernn_tanh_one(const ernn_gate_t *p, int16_t x)
{
    const int32_t value = ernn_on_the_grid(p, x);
    const uint32_t size = (uint32_t)(value < 0 ? -value : value);
    const int32_t found = ernn_interpolate(size, 8, 0xFFFFu << 8) - (1 << 23);
    return (int16_t)((value >= 0 ? found + (1 << 7) : -found + (1 << 7) - 1) >> 8);
}

#endif
