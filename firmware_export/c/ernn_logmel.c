/* ernn_logmel.c - see ernn_logmel.h; steps 1 to 8 are those of edgernn/frontend/logmel.py.
 *
 * Each stage of the transform rounds once, after exact sums; so sums may be made in any order,
 * and what has equal coefficients is added before it is multiplied.  That leaves a hundredth
 * of the products.  The DFT of M values x[n], with c and s for cos and sin of 2 pi / M:
 *
 *   even k   is that of the M / 2 values x[n] + x[n + M/2]: the same again;
 *   odd k    is that of d[n] = x[n] - x[n + M/2], n < M/2, folded around Q = M / 4:
 *
 *            X[k] = C - j S,    X[-k] = C + j S
 *            C = sum over m < Q of f[m] c(k m),   f[0] = d[0],  f[m] = d[m] - d[M/2 - m]
 *            S = sum over m < Q of g[m] c(k m),   g[0] = d[Q],  g[m] = d[Q - m] + d[Q + m]
 *
 *            if k is 1 modulo 4, as s(k (Q - m)) is c(k m) then; -k is, if k is not.
 *            The terms of even m and of odd m, kept apart, give bin M/2 - k as well:
 *            its C is even - odd, its S odd - even.
 *
 * fold() makes every f and g in the place of x, of real numbers: real and imaginary parts lie
 * apart.  Right shifts of negative numbers are arithmetic: see ernn_fixed.h. */
#include "ernn_logmel.h"
#include "ernn_fixed.h"

#define FIRST 16 /* points of the first stage */
#define Q15_ONE 32767

/* `cosines` of a DFT of 16. */
static const int16_t cosines_of_16[10] = {
    32767, 23170,                       /* M = 8,  k = 1 */
    32767, 30273, 23170,  12539,        /* M = 16, k = 1 */
    32767, 12539, -23170, -30273};      /*         k = 3 */

/* log2(1 + i / 64), Q14. */
static const uint16_t log2_table[65] = {
        0,   366,   727,  1083,  1433,  1778,  2118,  2453,
     2784,  3110,  3432,  3749,  4062,  4371,  4676,  4977,
     5274,  5568,  5858,  6145,  6428,  6707,  6984,  7257,
     7527,  7794,  8059,  8320,  8578,  8834,  9086,  9337,
     9584,  9829, 10071, 10311, 10549, 10784, 11017, 11248,
    11476, 11702, 11926, 12148, 12368, 12586, 12802, 13016,
    13228, 13438, 13646, 13853, 14057, 14260, 14461, 14661,
    14858, 15055, 15249, 15442, 15634, 15823, 16012, 16199,
    16384};

/* ---- rounding --------------------------------------------------------------------- */

/* round(x, s) of the docstring, for one s and many x. */
typedef struct {
    int32_t gain, half, shift;
} scale_t;

static scale_t scale_of(int32_t s)
{
    scale_t scale;
    scale.gain = s < 0 ? (int32_t)(1u << -s) : 1;
    scale.half = s > 0 ? (int32_t)(1u << (s - 1)) : 0;
    scale.shift = s > 0 ? s : 0;
    return scale;
}

static int32_t scaled(int32_t x, scale_t scale)
{
    return (x * scale.gain + scale.half) >> scale.shift;
}

/* The same of a sum, 1 <= s <= 31, where the result fits 32 bits.  Times a power of two and
 * from there on the upper half: cheaper than a shift of two words. */
static int32_t rounded(int64_t x, int32_t s)
{
    const int64_t gain = (int64_t)(1u << (32 - s));
    return (int32_t)(((x + (int64_t)(1u << (s - 1))) * gain) >> 32);
}

static uint32_t size_of(int32_t x)
{
    return x < 0 ? 0u - (uint32_t)x : (uint32_t)x;
}

/* What to shift by so that the largest of some numbers has 14 bits; `sizes` are all their sizes,
 * or'ed. */
static int32_t shift_to_14_bits(uint32_t sizes)
{
    return (sizes == 0u ? 0 : 32 - ernn_leading_zeros(sizes)) - 14;
}

/* ---- exact sums ------------------------------------------------------------------- */

/* x[0 .. m-1] becomes: x[0] of bin 0; x[1] of bin M / 2; f and g of 4 values; of 8; .. of m. */
static void fold(int32_t *x, int32_t m)
{
    int32_t half, a, b, i;
    for (half = m / 2; half > 1; half /= 2) {
        const int32_t q = half / 2;
        int32_t *up = &x[1], *down = &x[half - 1];
        a = x[0];
        b = x[half];
        x[0] = a + b;
        x[half] = a - b;
        for (i = 1; i < q; i++, up++, down--) {
            const int32_t d = up[0] - up[half], mirrored = down[0] - down[half];
            up[0] += up[half];
            down[0] += down[half];
            up[half] = d - mirrored;
            down[half] = d + mirrored;
        }
        a = x[q];
        b = x[half + q];
        x[q] = a + b;
        x[half + q] = a - b;
    }
    a = x[0];
    b = x[1];
    x[0] = a + b;
    x[1] = a - b;
}

/* C and S of bin k, and of bin M/2 - k. */
typedef struct {
    int64_t c, s, other_c, other_s;
} bins_t;

/* From f, g and cosines[m] = c(k m) of q = M / 4 values, q >= 2. */
static bins_t bins_of(const int32_t *f, const int32_t *g, const int16_t *cosines, int32_t q)
{
    const int16_t *end = &cosines[q];
    int64_t c_even = 0, c_odd = 0, s_even = 0, s_odd = 0;
    bins_t bins;
    for (; cosines != end; cosines += 2, f += 2, g += 2) {
        c_even += (int64_t)f[0] * cosines[0];
        c_odd += (int64_t)f[1] * cosines[1];
        s_even += (int64_t)g[0] * cosines[0];
        s_odd += (int64_t)g[1] * cosines[1];
    }
    bins.c = c_even + c_odd;
    bins.s = s_odd + s_even;
    bins.other_c = c_even - c_odd;
    bins.other_s = s_odd - s_even;
    return bins;
}

/* ---- steps 1 to 3: window, first stage -------------------------------------------- */

/* work = samples times the window, zeros up to `points`; gives all sizes, or'ed. */
static uint32_t windowed(const ernn_logmel_t *p, const int16_t *samples, int32_t *work)
{
    uint32_t sizes;
    int32_t i, j;
    work[0] = samples[0] * p->window[0];
    sizes = size_of(work[0]);
    for (i = 1, j = p->length - 1; i <= j; i++, j--) {
        const int32_t w = p->window[i], a = samples[i] * w, b = samples[j] * w;
        work[i] = a;
        work[j] = b;
        sizes |= size_of(a) | size_of(b);
    }
    if (p->greater >= 0) {
        work[p->greater] += samples[p->greater];
        sizes |= size_of(work[p->greater]);
    }
    for (i = p->length; i < p->points; i++) {
        work[i] = 0;
    }
    return sizes;
}

/* round(sum, 15) into a row of A; gives its size. */
static uint32_t put(int32_t *row, int64_t sum)
{
    *row = rounded(sum, 15);
    return size_of(*row);
}

/* Bins k and 8 - k, where C - j S is bin k if sign is -1, and bin -k if it is 1. */
static uint32_t put_bins(int32_t *column, int32_t second, int32_t k, bins_t bins, int32_t sign)
{
    return put(&column[k * second], bins.c) |
           put(&column[(16 - k) * second], sign * bins.s) |
           put(&column[(8 - k) * second], bins.other_c) |
           put(&column[(8 + k) * second], sign * bins.other_s);
}

/* A, in place, column by column of N / 16: row k1 = 0..8 is Re A[k1], row 16 - k1 is Im A[k1],
 * k1 = 1..7.  (Im A[0] and Im A[8] are 0.)  Gives all sizes, or'ed. */
static uint32_t first_stage(int32_t *work, int32_t second, scale_t scale)
{
    uint32_t sizes = 0;
    int32_t x[FIRST], n, i;
    for (n = 0; n < second; n++) {
        int32_t *column = &work[n];
        for (i = 0; i < FIRST; i++) {
            x[i] = scaled(column[i * second], scale);
        }
        fold(x, FIRST);
        sizes |= put(&column[0], x[0] * (int64_t)Q15_ONE);
        sizes |= put(&column[8 * second], x[1] * (int64_t)Q15_ONE);
        sizes |= put(&column[4 * second], x[2] * (int64_t)Q15_ONE);
        sizes |= put(&column[12 * second], x[3] * (int64_t)-Q15_ONE);
        sizes |= put_bins(column, second, 2, bins_of(&x[4], &x[6], &cosines_of_16[0], 2), -1);
        sizes |= put_bins(column, second, 1, bins_of(&x[8], &x[12], &cosines_of_16[2], 4), -1);
        sizes |= put_bins(column, second, 3, bins_of(&x[8], &x[12], &cosines_of_16[6], 4), 1);
    }
    return sizes;
}

/* ---- steps 4 to 7: twiddle, second stage, power ------------------------------------ */

/* z = B[k1], of A's row k1: N / 16 real parts, then the imaginary ones. */
static void twiddled(const ernn_logmel_t *p, const int32_t *work, int32_t k1, scale_t scale,
                     int32_t *z)
{
    const int32_t second = p->points / FIRST, quarter = p->points / 4;
    const int32_t *re = &work[k1 * second], *im = &work[((FIRST - k1) & 15) * second];
    const int32_t is_real = k1 == 0 || k1 == 8;
    int32_t n, turn;
    for (n = 0, turn = 0; n < second; n++, turn += k1) {
        const int32_t x = scaled(re[n], scale), y = is_real ? 0 : scaled(im[n], scale);
        int32_t c, s;
        if (turn <= quarter) {
            c = p->quarter[turn];
            s = p->quarter[quarter - turn];
        } else {
            c = -p->quarter[2 * quarter - turn];
            s = p->quarter[turn - quarter];
        }
        z[n] = (c * x + s * y + (1 << 14)) >> 15;
        z[second + n] = (c * y - s * x + (1 << 14)) >> 15;
    }
}

/* Powers of one band, two words each: bins k1 + 16 q of k1 and, being the mirror images of bins
 * above N / 2, those of 16 - k1.  They lie where A's row k1 and row 16 - k1 lay. */
typedef struct {
    uint32_t *low, *high;       /* high: NULL where k1 is its own mirror image */
    int32_t second, shift;
} band_t;

static void put_power(uint32_t *to, int64_t re_sum, int64_t im_sum, int32_t shift)
{
    const int32_t re = rounded(re_sum, shift), im = rounded(im_sum, shift);
    const int64_t power = (int64_t)re * re + (int64_t)im * im;
    to[0] = (uint32_t)power;
    to[1] = (uint32_t)(power >> 32);
}

/* Powers of X[k2] = C - j S and X[-k2] = C + j S, 0 < k2 < N / 32; of reversed ones the other
 * way round.  a: of Re f and Im g, b: of Im f and Re g. */
static void put_pair(const band_t *band, int32_t k2, int reversed, int64_t a_c, int64_t a_s,
                     int64_t b_c, int64_t b_s)
{
    uint32_t *minus = &band->low[2 * k2];
    uint32_t *plus = band->high == NULL ? NULL : &band->high[2 * (k2 - 1)];
    if (reversed != 0) {
        uint32_t *const exchanged = minus;
        minus = plus;
        plus = exchanged;
    }
    if (minus != NULL) {
        put_power(minus, a_c + a_s, b_c - b_s, band->shift);
    }
    if (plus != NULL) {
        put_power(plus, a_c - a_s, b_c + b_s, band->shift);
    }
}

/* re, im: B of the band. */
static void second_stage(const ernn_logmel_t *p, band_t band, int32_t *re, int32_t *im)
{
    const int64_t one = Q15_ONE;
    const int32_t half = band.second / 2;
    const int16_t *cosines = p->cosines;
    int32_t m, k;
    fold(re, band.second);
    fold(im, band.second);
    put_power(band.low, re[0] * one, im[0] * one, band.shift);
    if (band.high != NULL) {
        put_power(&band.high[2 * (half - 1)], re[1] * one, im[1] * one, band.shift);
    }
    put_pair(&band, half / 2, 0, re[2] * one, im[3] * one, im[2] * one, re[3] * one);
    for (m = 8; m <= band.second; m *= 2) {
        const int32_t q = m / 4, f = 2 * q, g = 3 * q;
        for (k = 1; k < q; k += 2, cosines += q) {
            const bins_t a = bins_of(&re[f], &im[g], cosines, q);
            const bins_t b = bins_of(&im[f], &re[g], cosines, q);
            const int32_t k2 = k * (band.second / m);
            put_pair(&band, k2, k & 2, a.c, a.s, b.c, b.s);
            put_pair(&band, half - k2, k & 2, a.other_c, a.other_s, b.other_c, b.other_s);
        }
    }
}

/* ---- step 8: mel filters, log2 ----------------------------------------------------- */

static int16_t code_of(uint64_t energy, int32_t offset)
{
    const uint32_t upper = (uint32_t)(energy >> 32);
    const int32_t zeros = upper != 0u ? ernn_leading_zeros(upper)
                                      : 32 + ernn_leading_zeros((uint32_t)energy);
    const uint32_t fraction = (uint32_t)((energy << zeros) >> 47) & 0xFFFFu;
    const int32_t i = (int32_t)(fraction >> 10), r = (int32_t)(fraction & 1023u);
    const int32_t low = log2_table[i], step = log2_table[i + 1] - low;
    const int32_t log = ((63 - zeros) << 14) + low + ((step * r + 512) >> 10);
    return (int16_t)ernn_clamp(((log + 32) >> 6) + offset, 0, 8191);
}

/* Codes of all filters.  A bin at which filter m rises, with weight w, belongs to filter m - 1
 * with 4096 - w. */
static void codes_of(const ernn_logmel_t *p, const uint32_t *work, int32_t offset, int16_t *codes)
{
    const uint32_t row = (uint32_t)p->points / FIRST;
    const uint16_t *rise = p->rise;
    uint32_t bin = (uint32_t)p->first_bin;
    uint64_t rising = 0; /* of the filter before, where it rose */
    int32_t m;
    for (m = 0; m <= p->mels; m++) {
        uint64_t all = 0, sum = 0;
        uint32_t left;
        for (left = p->bins[m]; left > 0u; left--, bin++) {
            const uint32_t *words = &work[(bin & 15u) * row + 2u * (bin >> 4)];
            const uint64_t power = ((uint64_t)words[1] << 32) | words[0];
            all += power;
            sum += power * *rise++;
        }
        if (m > 0) {
            rising += 4096u * all - sum;
            codes[m - 1] = rising == 0u ? 0 : code_of(rising, offset);
        }
        rising = sum;
    }
}

/* ---- all steps ---------------------------------------------------------------------- */

static void make_row(const ernn_logmel_t *p, const int16_t *samples, int32_t *work,
                     int16_t *codes)
{
    const int32_t second = p->points / FIRST;
    int32_t *z = &work[p->points];
    const int32_t a = shift_to_14_bits(windowed(p, samples, work));
    const int32_t b = shift_to_14_bits(first_stage(work, second, scale_of(a)));
    uint32_t *powers = (uint32_t *)work; /* row by row they replace A */
    band_t band;
    int32_t k1;
    band.second = second;
    band.shift = 11 + 31 - ernn_leading_zeros((uint32_t)second);
    for (k1 = 0; k1 <= FIRST / 2; k1++) {
        twiddled(p, work, k1, scale_of(b), z);
        band.low = &powers[k1 * second];
        band.high = k1 == 0 || k1 == 8 ? NULL : &powers[(FIRST - k1) * second];
        second_stage(p, band, z, &z[second]);
    }
    codes_of(p, powers, 512 * (a + b) + p->offset, codes);
}

void ernn_logmel_reset(ernn_logmel_memory_t memory)
{
    memory.filled_begun[0] = 0;
    memory.filled_begun[1] = 0;
}

size_t ernn_logmel_push(const ernn_logmel_t *p, ernn_logmel_memory_t memory,
                        const int16_t *samples, size_t n, int16_t *codes, int *ready)
{
    const size_t room = (size_t)(p->length - memory.filled_begun[0]);
    const size_t taken = n < room ? n : room;
    int16_t *to = &memory.samples[memory.filled_begun[0]];
    size_t i;
    int32_t j;
    for (i = 0; i < taken; i++) {
        to[i] = samples[i];
    }
    memory.filled_begun[0] += (int32_t)taken;
    *ready = memory.filled_begun[0] == p->length ? 1 : 0;
    if (*ready != 0) {
        make_row(p, memory.samples, memory.work, codes);
        memory.filled_begun[0] = p->length - p->hop;
        memory.filled_begun[1] = 1;
        for (j = 0; j < memory.filled_begun[0]; j++) {
            memory.samples[j] = memory.samples[j + p->hop];
        }
    }
    return taken;
}

int ernn_logmel_flush(const ernn_logmel_t *p, ernn_logmel_memory_t memory, int16_t *codes)
{
    const int is_short_clip = memory.filled_begun[1] == 0 && memory.filled_begun[0] >= p->hop ? 1 : 0;
    int32_t i;
    if (is_short_clip != 0) {
        for (i = memory.filled_begun[0]; i < p->length; i++) {
            memory.samples[i] = 0;
        }
        make_row(p, memory.samples, memory.work, codes);
    }
    ernn_logmel_reset(memory);
    return is_short_clip;
}

/* ---- codes as a model's input ------------------------------------------------------- */

static int32_t shifted(int32_t code, int32_t code_zero, int32_t shift)
{
    return (code - code_zero + (int32_t)((1u << shift) >> 1)) >> shift;
}

void ernn_shift_codes_s8(const int16_t *codes, int32_t code_zero, int32_t shift, int32_t y_zero,
                         int8_t *y, int32_t n)
{
    int32_t i;
    for (i = 0; i < n; i++) {
        y[i] = (int8_t)ernn_clamp(shifted(codes[i], code_zero, shift) + y_zero, -128, 127);
    }
}

void ernn_shift_codes_s16(const int16_t *codes, int32_t code_zero, int32_t shift, int32_t y_zero,
                          int16_t *y, int32_t n)
{
    int32_t i;
    for (i = 0; i < n; i++) {
        y[i] = (int16_t)ernn_clamp(shifted(codes[i], code_zero, shift) + y_zero, -32768, 32767);
    }
}
