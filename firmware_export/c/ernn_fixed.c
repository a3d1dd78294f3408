/* ernn_fixed.c - functions of numbers with 31 bits after the point, as in gemmlowp's
 * fixedpoint.h, which TensorFlow Lite's reference kernels are written in. */
#include "ernn_fixed.h"

/* exp of a in [-1/4, 0): Taylor around -1/8 to the fourth power. */
static int32_t exp_of_less_than_a_quarter(int32_t a)
{
    const int32_t at_center = 1895147668; /* exp(-1/8) */
    const int32_t third = 715827883;      /* 1/3       */
    const int32_t x = a + (1 << 28);
    const int32_t x2 = ernn_high_mul(x, x);
    const int32_t x3 = ernn_high_mul(x2, x);
    const int32_t x4 = ernn_high_mul(x2, x2);
    const int32_t higher = ernn_divide_by_power(
        ernn_high_mul(ernn_divide_by_power(x4, 2) + x3, third) + x2, 1);
    const int64_t sum = (int64_t)at_center + ernn_high_mul(at_center, x + higher);
    return sum > INT32_MAX ? INT32_MAX : (int32_t)sum;
}

int32_t ernn_exp_of_negative(int32_t a)
{
    /* exp(-2^k) for k = -2 .. 4: each bit of the number of quarters multiplies by one. */
    static const int32_t powers[7] = {1672461947, 1302514674, 790015084, 290630308,
                                      39332535,   720401,     242};
    const int32_t quarter = 1 << 24;
    const int32_t rest = (int32_t)((uint32_t)a & (uint32_t)(quarter - 1)) - quarter;
    const uint32_t quarters = (uint32_t)(rest - a);
    int32_t result;
    int32_t k;
    if (a == 0) {
        return INT32_MAX;
    }
    result = exp_of_less_than_a_quarter(ernn_shift_left(rest, 5));
    for (k = 0; k < 7; k++) {
        if ((quarters & ((uint32_t)quarter << k)) != 0u) {
            result = ernn_high_mul(result, powers[k]);
        }
    }
    return result;
}

int32_t ernn_one_over_one_plus(int32_t a)
{
    /* Newton's steps towards 2 / (1 + a), with 2 bits before the point. */
    const int32_t half_denominator = (int32_t)(((int64_t)a + INT32_MAX + 1) >> 1);
    int32_t x = 1515870810 + ernn_high_mul(half_denominator, -1010580540); /* 48/17 - 32/17 d */
    int32_t i;
    for (i = 0; i < 3; i++) {
        const int32_t error = (1 << 29) - ernn_high_mul(half_denominator, x);
        x += ernn_shift_left(ernn_high_mul(x, error), 2);
    }
    return ernn_shift_left(x, 1);
}
