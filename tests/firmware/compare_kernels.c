/* compare_kernels.c - kernels of some instructions beside those of portable C.
 *
 * The portable ones are linked under names that begin with plain_ (test_host_kernels.py renames
 * them).  Numbers are random within what edgernn/plan/lower.py promises; widths are small and
 * odd ones among them; scales that are powers of two, where ties are common, are as frequent as
 * others.  Prints how many calls there were; stops at the first that differs. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ernn.h"
#include "ernn_target.h"
#include "plain.h"

enum { MOST = 300, ROWS = 11, GUARD = 64 };

static uint64_t state = 88172645463325252u;

static uint32_t bits(void) /* xorshift64 */
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static int32_t between(int32_t low, int32_t high)
{
    return low + (int32_t)(bits() % (uint32_t)(high - low + 1));
}

static int32_t multiplier(void)
{
    return between(0, 1) != 0 ? 1 << 30 : (int32_t)((1u << 30) + bits() % (1u << 30));
}

/* A zero point: those that edgernn chooses most are frequent. */
static int32_t zero(void)
{
    return between(0, 2) != 0 ? between(-128, 127) : (between(0, 1) != 0 ? 0 : -128);
}

static void fill(void *to, size_t count, int32_t bytes)
{
    const int32_t extreme = between(0, 3);
    size_t i;
    for (i = 0; i < count; i++) {
        if (bytes == 1) {
            ((int8_t *)to)[i] = (int8_t)(extreme != 0 ? between(-128, 127)
                                                      : (between(0, 1) != 0 ? 127 : -128));
        } else {
            ((int16_t *)to)[i] = (int16_t)(extreme != 0 ? between(-32768, 32767)
                                                        : (between(0, 1) != 0 ? 32767 : -32768));
        }
    }
}

/* Outputs, with bytes around them that nobody may write. */
static union {
    int8_t s8[ROWS * MOST + 2 * GUARD];
    int16_t s16[ROWS * MOST + 2 * GUARD];
} found, wanted;
static long calls;

static void begin(void)
{
    memset(&found, 0x55, sizeof found);
    memset(&wanted, 0x55, sizeof wanted);
}

static void compare(const char *kernel, int32_t a, int32_t b)
{
    calls++;
    if (memcmp(&found, &wanted, sizeof found) != 0) {
        size_t i = 0;
        while (((char *)&found)[i] == ((char *)&wanted)[i]) {
            i++;
        }
        printf("%s of %s differs (%ld, %ld) at byte %ld: %d, not %d\n", kernel, ERNN_TARGET,
               (long)a, (long)b, (long)i, ((signed char *)&found)[i], ((signed char *)&wanted)[i]);
        exit(1);
    }
}

#define S8(u) (&(u).s8[GUARD])
#define S16(u) (&(u).s16[GUARD])

/* ---- sums of products ---------------------------------------------------------------- */

/* The order of ERNN_TILES, said another way than edgernn/plan/layout.py does. */
static void tiles(const int8_t *matrix, int32_t outputs, int32_t inputs, int8_t *to)
{
    const int32_t groups = (inputs + 3) / 4;
    int32_t i, j;
    memset(to, 0, (size_t)((outputs + 15) / 16 * 16 * groups * 4));
    for (i = 0; i < outputs; i++) {
        for (j = 0; j < inputs; j++) {
            to[((i / 16 * groups + j / 4) * 16 + i % 16) * 4 + j % 4] = matrix[i * inputs + j];
        }
    }
}

static void test_fc(void)
{
    static int8_t matrix[MOST * MOST], tiled[(MOST + 16) * (MOST + 4)], x[ROWS * MOST];
    static int32_t offset[MOST], less[MOST], m[MOST];
    static int8_t right[MOST];
    const int32_t outputs = between(0, 1) != 0 ? between(1, 40) : 16 * between(1, 13);
    const int32_t inputs = between(1, 3) != 1 ? between(1, 70) : between(1, MOST);
    const int32_t rows = between(1, outputs > 200 ? 4 : ROWS), some = multiplier();
    ernn_fc_s8_t p = {matrix, offset, m, right, inputs, outputs, between(-128, 127), -128};
    ernn_fc_s8_t q;
    int32_t i, j;
    for (i = 0; i < outputs * inputs; i++) {
        matrix[i] = (int8_t)between(-127, 127);
    }
    for (i = 0; i < outputs; i++) {
        int32_t sum = 0;
        for (j = 0; j < inputs; j++) {
            sum += matrix[i * inputs + j];
        }
        offset[i] = between(-100000, 100000);
        less[i] = offset[i] - ERNN_X_PLUS * sum;
        m[i] = between(0, 3) != 0 ? multiplier() : some;
        right[i] = (int8_t)between(1, between(0, 3) != 0 ? 12 : 30);
    }
    p.y_low = between(0, 2) != 0 ? -128 : p.y_zero;
    fill(x, (size_t)(rows * inputs), 1);
    q = p;
    q.offset = less;
    if (ERNN_LAYOUT == ERNN_TILES) {
        tiles(matrix, outputs, inputs, tiled);
        q.weights = tiled;
    }
    begin();
    ernn_fc_s8(&q, x, S8(found), rows);
    plain_fc_s8(&p, x, S8(wanted), rows);
    compare("fc_s8", outputs, inputs);
    begin();
    ernn_fc_s8_s16(&q, x, S16(found), rows);
    plain_fc_s8_s16(&p, x, S16(wanted), rows);
    compare("fc_s8_s16", outputs, inputs);
}

static void test_fc_s16(void)
{
    static int8_t matrix[MOST * MOST], shift[MOST];
    static int16_t x[4 * MOST], m[MOST];
    static int64_t offset[MOST];
    const int32_t outputs = between(1, 40), inputs = between(1, MOST), rows = between(1, 4);
    const ernn_fc_s16_t p = {matrix, offset, m, shift, inputs, outputs, 0, -32768};
    int32_t i;
    fill(matrix, (size_t)(outputs * inputs), 1);
    fill(x, (size_t)(rows * inputs), 2);
    for (i = 0; i < outputs; i++) {
        offset[i] = (int64_t)between(-1000000, 1000000) * between(1, 1000);
        m[i] = (int16_t)between(16384, 32767);
        shift[i] = (int8_t)between(16, 40);
    }
    begin();
    ernn_fc_s16(&p, x, S16(found), rows);
    plain_fc_s16(&p, x, S16(wanted), rows);
    compare("fc_s16", outputs, inputs);
}

/* ---- value by value ------------------------------------------------------------------ */

/* Rights: of the side with the larger scale 0, its multiplier one half. */
static ernn_add_t some_add(int32_t bytes)
{
    const int32_t bits_more = bytes == 1 ? 20 : 15, halves = between(0, 2);
    ernn_add_t p = {1 << 30, 0, 1 << 30, 0, multiplier(), 0, 0, 0, 0, 0};
    if (halves != 0) {
        p.b_multiplier = multiplier();
        p.b_right = between(1, between(0, 1) != 0 ? 3 : 30);
    }
    if (halves == 2) {
        p.a_multiplier = p.b_multiplier;
        p.a_right = p.b_right;
        p.b_multiplier = 1 << 30;
        p.b_right = 0;
    }
    p.y_right = between(0, 3) != 0 ? between(bits_more - 4, bits_more + 2)
                                   : between(1, bits_more + 8 < 30 ? bits_more + 8 : 30);
    p.y_low = bytes == 1 ? -128 : -32768;
    if (bytes == 1) {
        p.a_zero = zero();
        p.b_zero = zero();
        p.y_zero = zero();
        p.y_low = between(0, 3) != 0 ? -128 : p.y_zero;
    }
    return p;
}

static void test_elementwise(void)
{
    static int8_t a8[MOST], b8[MOST], table[256];
    static int16_t a16[MOST], b16[MOST];
    const int32_t n = between(0, 1) != 0 ? between(1, MOST) : 16 * between(1, 16);
    const ernn_add_t add8 = some_add(1), add16 = some_add(2);
    const ernn_mul_t mul8 = {multiplier(), between(1, between(0, 3) != 0 ? 12 : 30), zero(), zero(),
                             zero()};
    const ernn_mul_t mul16 = {multiplier(), between(1, 30), 0, 0, 0};
    const ernn_lut_t lut = {table};
    const int32_t in_place = between(0, 1);
    fill(a8, MOST, 1);
    fill(b8, MOST, 1);
    fill(a16, MOST, 2);
    fill(b16, MOST, 2);
    fill(table, sizeof table, 1);
#define TWO(kernel, p, a, b, U)                                                                   \
    do {                                                                                          \
        begin();                                                                                  \
        memcpy(U(found), a, (size_t)n * sizeof *a);                                               \
        ernn_##kernel(p, in_place != 0 ? U(found) : a, b, U(found), n);                           \
        plain_##kernel(p, a, b, U(wanted), n);                                                    \
        compare(#kernel, n, in_place);                                                            \
    } while (0)
    TWO(add_s8, &add8, a8, b8, S8);
    TWO(sub_s8, &add8, a8, b8, S8);
    TWO(mul_s8, &mul8, a8, b8, S8);
    TWO(add_s16, &add16, a16, b16, S16);
    TWO(sub_s16, &add16, a16, b16, S16);
    TWO(mul_s16, &mul16, a16, b16, S16);
#define ONE(kernel, p, x, U)                                                                      \
    do {                                                                                          \
        begin();                                                                                  \
        ernn_##kernel(p, x, U(found), n);                                                         \
        plain_##kernel(p, x, U(wanted), n);                                                       \
        compare(#kernel, n, 0);                                                                   \
    } while (0)
    ONE(lut_s8, &lut, a8, S8);
    begin();
    ernn_cast_s8_s16(a8, S16(found), n);
    plain_cast_s8_s16(a8, S16(wanted), n);
    compare("cast_s8_s16", n, 0);
    {
        const ernn_quantize_t down = {multiplier(), between(-12, 3), 0, zero()};
        const ernn_quantize_t up = {multiplier(), between(-3, 14), zero(), 0};
        const ernn_quantize_t wide = {multiplier(), between(-14, 5), 0, 0};
        ONE(quantize_s16_s8, &down, a16, S8);
        ONE(quantize_s8_s16, &up, a8, S16);
        ONE(quantize_s16_s16, &wide, a16, S16);
    }
    {
        /* x * multiplier has 32 bits: edgernn/emulator/activation.py, table_multiplier. */
        const ernn_gate_t gate = {between(16384, 32767), between(8, 20)};
        ONE(logistic_s16, &gate, a16, S16);
        ONE(tanh_s16, &gate, a16, S16);
    }
}

static void test_softmax(void)
{
    static int8_t x[ROWS * MOST];
    const int32_t width = between(0, 1) != 0 ? between(1, 12) : between(1, 150);
    const int32_t rows = between(1, ROWS), shift = between(18, 23);
    const ernn_softmax_s8_t p = {multiplier(), shift,
                                 -(int32_t)(31ll * (1 << 26) / (1ll << shift)) < -256
                                     ? -256 : -(int32_t)(31ll * (1 << 26) / (1ll << shift))};
    fill(x, (size_t)(rows * width), 1);
    begin();
    ernn_softmax_s8(&p, x, S8(found), width, rows);
    plain_softmax_s8(&p, x, S8(wanted), width, rows);
    compare("softmax_s8", width, rows);
}

int main(int count, char **arguments)
{
    long turns = count > 1 ? atol(arguments[1]) : 1000;
    for (; turns > 0; turns--) {
        test_fc();
        test_fc_s16();
        test_elementwise();
        test_elementwise();
        test_softmax();
    }
    printf("%s %ld\n", ERNN_TARGET, calls);
    return 0;
}
