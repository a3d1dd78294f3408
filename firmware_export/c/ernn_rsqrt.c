/* ernn_rsqrt.c - RSQRT on int16: 1 / sqrt(x) by Newton's steps. */
#include "ernn.h"
#include "ernn_fixed.h"

/* 1 / sqrt(x) as root * 2^(shift - 31), for x of 1 or more (GetInvSqrtQuantizedMultiplierExp). */
static int32_t inverse_root(int32_t x, int32_t *shift)
{
    const int32_t three_halves = (1 << 28) + (1 << 27);
    const int32_t pairs = (ernn_leading_zeros((uint32_t)x) - 1) / 2 - 1;
    int32_t half, root, right, i;
    if (x == 1) {
        *shift = 0;
        return INT32_MAX;
    }
    half = ernn_divide_by_power((x << (2 * pairs)) >> 1, 1);
    root = 1 << 28; /* 1, with 3 bits before the point */
    for (i = 0; i < 5; i++) {
        const int32_t square = ernn_high_mul(root, root);
        const int32_t cube = ernn_shift_left(ernn_high_mul(square, root), 6);
        root = ernn_shift_left(ernn_high_mul(three_halves, root) - ernn_high_mul(half, cube), 3);
    }
    root = ernn_high_mul(root, 1518500250); /* sqrt(2) / 2 */
    right = 11 - pairs;
    if (right < 0) {
        root = ernn_shift_left(root, -right);
        right = 0;
    }
    *shift = -right;
    return root;
}

void ernn_rsqrt_s16(const ernn_rsqrt_t *p, const int16_t *x, int16_t *y, int32_t n)
{
    for (; n > 0; n--, x++, y++) {
        if (*x <= 0) {
            *y = 32767;
        } else {
            int32_t shift;
            const int32_t root = inverse_root(*x, &shift);
            /* 20 bits are borrowed between the two rescales. */
            const int32_t data = ernn_times(1, root, shift + 20);
            *y = (int16_t)ernn_clamp(ernn_times(data, p->multiplier, p->shift - 20), -32768,
                                     32767);
        }
    }
}
