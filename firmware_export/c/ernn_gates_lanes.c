/* ernn_gates_lanes.c - LOGISTIC and TANH on int16, several values at a time: ernn_gates.h. */
#include "ernn_gates.h"
#include "ernn_lanes.h"
#include "ernn_target.h"

#if defined(ERNN_LANES)

/* In units of 1 / (3 * 4096); and what a gate makes of the distance to 0. */
typedef struct {
    ernn_lanes multiplier, half, shift;
} grid_t;

static inline ernn_lanes size_of(ernn_lanes value)
{
    return ernn_lanes_max(value, ernn_lanes_sub(ernn_lanes_all(0), value));
}

/* The table at size / 2^bits; from its last entry on, `high`. */
static inline ernn_lanes interpolate(ernn_lanes size, int32_t bits, int32_t high)
{
    const ernn_lanes last = ernn_lanes_all(255), low_half = ernn_lanes_all(0xFFFF);
    const ernn_lanes shift = ernn_lanes_all(bits), sixteen = ernn_lanes_all(16);
    const ernn_lanes index = ernn_lanes_right(size, shift);
    const ernn_lanes part = ernn_lanes_and(size, ernn_lanes_all((1 << bits) - 1));
    const ernn_lanes pairs =
        ernn_lanes_pairs(ernn_sigmoid_table, ernn_lanes_min(index, ernn_lanes_all(254)));
    const ernn_lanes here = ernn_lanes_and(pairs, low_half);
    const ernn_lanes next = ernn_lanes_and(ernn_lanes_right(pairs, sixteen), low_half);
    const ernn_lanes found = ernn_lanes_add(ernn_lanes_left(here, shift),
                                            ernn_lanes_mul(part, ernn_lanes_sub(next, here)));
    return ernn_lanes_select(ernn_lanes_sign(ernn_lanes_sub(index, last)), found,
                             ernn_lanes_all(high));
}

static inline ernn_lanes on_the_grid(const grid_t *grid, ernn_lanes x)
{
    return ernn_lanes_right(ernn_lanes_add(ernn_lanes_mul(x, grid->multiplier), grid->half),
                            grid->shift);
}

static inline ernn_lanes logistic(const grid_t *grid, ernn_lanes x)
{
    const ernn_lanes value = on_the_grid(grid, x), sign = ernn_lanes_sign(value);
    const ernn_lanes found = interpolate(size_of(value), 9, 0x7FFF << 10);
    const ernn_lanes above = ernn_lanes_add(found, ernn_lanes_all(1 << 9));
    const ernn_lanes below =
        ernn_lanes_sub(ernn_lanes_all((1 << 25) + (1 << 9) - 1), found);
    return ernn_lanes_right(ernn_lanes_select(sign, below, above), ernn_lanes_all(10));
}

static inline ernn_lanes hyperbolic(const grid_t *grid, ernn_lanes x)
{
    const ernn_lanes value = on_the_grid(grid, x), sign = ernn_lanes_sign(value);
    const ernn_lanes found = ernn_lanes_sub(interpolate(size_of(value), 8, 0xFFFF << 8),
                                            ernn_lanes_all(1 << 23));
    const ernn_lanes above = ernn_lanes_add(found, ernn_lanes_all(1 << 7));
    const ernn_lanes below = ernn_lanes_sub(ernn_lanes_all((1 << 7) - 1), found);
    return ernn_lanes_right(ernn_lanes_select(sign, below, above), ernn_lanes_all(8));
}

/* The last vector is padded with zeros. */
#define EACH(gate)                                                                                \
    do {                                                                                          \
        const grid_t grid = {ernn_lanes_all(p->multiplier),                                       \
                             ernn_lanes_all((int32_t)((1u << p->shift) >> 1)),                    \
                             ernn_lanes_all(p->shift)};                                           \
        int16_t padded[ERNN_LANES] = {0};                                                         \
        for (; n >= ERNN_LANES; n -= ERNN_LANES, x += ERNN_LANES, y += ERNN_LANES) {              \
            ernn_lanes_to_s16(gate(&grid, ernn_lanes_s16(x)), y);                                 \
        }                                                                                         \
        if (n > 0) {                                                                              \
            (void)memcpy(padded, x, (size_t)n * sizeof *x);                                       \
            ernn_lanes_to_s16(gate(&grid, ernn_lanes_s16(padded)), padded);                       \
            (void)memcpy(y, padded, (size_t)n * sizeof *y);                                       \
        }                                                                                         \
    } while (0)

void ernn_logistic_s16(const ernn_gate_t *p, const int16_t *x, int16_t *y, int32_t n)
{
    EACH(logistic);
}

void ernn_tanh_s16(const ernn_gate_t *p, const int16_t *x, int16_t *y, int32_t n)
{
    EACH(hyperbolic);
}

#endif
