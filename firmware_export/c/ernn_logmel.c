/* ernn_logmel.c - see ernn_logmel.h; steps 1 to 8 are those of edgernn/frontend/logmel.py.
 *
 * Both stages of the transform round once, at the end of exact sums; so the sums may be made
 * in any order, and terms whose coefficients are equal may be added first.  That saves nearly
 * all products.  The DFT of M values x[n], c and s being cos and sin of 2 pi / M:
 *
 *   even k   the DFT of the M / 2 sums x[n] + x[n + M/2]: the same again
 *   odd k    the differences d[n] = x[n] - x[n + M/2], n < M/2, folded around Q = M/4:
 *
 *            X[k] = C - j S,   X[M - k] = C + j S
 *            C = sum over m < Q of f[m] c(k m),   f[0] = d[0],  f[m] = d[m] - d[M/2 - m]
 *            S = sum over m < Q of g[m] c(k m),   g[0] = d[Q],  g[m] = d[Q - m] + d[Q + m]
 *
 *            for k = 1, 5, 9 ..; and -3, -7 .., since s(k (Q - m)) = c(k m) for these k.
 *            The terms of even m and of odd m, apart, give bin M/2 - k too:
 *            there C = even - odd, S = odd - even.
 *
 * fold() makes all f and g, in place.  Right shifts of negative numbers are arithmetic:
 * see ernn_fixed.h. */
#include "ernn_logmel.h"
#include "ernn_fixed.h"

#define FIRST 16 /* points of the first stage */
#define Q15_ONE 32767

/* Complex numbers: their parts lie side by side. */
typedef struct {
    int64_t re, im;
} sum_t;

/* cos of a circle of 16, Q15. */
static const int16_t circle_of_16[FIRST] = {
    32767,  30273,  23170,  12539,  0, -12539, -23170, -30273,
    -32767, -30273, -23170, -12539, 0, 12539,  23170,  30273};

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

/* The first half of the z, less and plus, the second. */
static void butterflies(int32_t *z, int32_t half)
{
    int32_t i;
    for (i = 0; i < 2 * half; i++) {
        const int32_t a = z[i], b = z[i + 2 * half];
        z[i] = a + b;
        z[i + 2 * half] = a - b;
    }
}

/* d[0 .. half-1] as f[0 .. half/2-1] and then g[0 .. half/2-1]. */
static void fold_around_quarter(int32_t *d, int32_t half)
{
    int32_t *last = &d[2 * (half - 1)];
    for (d += 2; d < last; d += 2, last -= 2) {
        const int32_t re = d[0], im = d[1];
        d[0] = re - last[0];
        d[1] = im - last[1];
        last[0] += re;
        last[1] += im;
    }
}

/* x[0 .. m-1] as: the sum and the difference of two (bins 0 and M/2); f, g (bins of odd k) of
 * 4 values, of 8, .. of m. */
static void fold(int32_t *z, int32_t m)
{
    for (; m > 1; m /= 2) {
        butterflies(z, m / 2);
        fold_around_quarter(&z[m], m / 2);
    }
}

/* Sums over even m and over odd m < q of x[m] cos(step m), of a circle of mask + 1. */
static void sums(const int32_t *x, int32_t q, const int16_t *circle, uint32_t mask, uint32_t step,
                 sum_t *even, sum_t *odd)
{
    sum_t e = {0, 0}, o = {0, 0};
    uint32_t at = 0;
    for (; q > 0; q -= 2, x += 4) {
        const int32_t c = circle[at & mask], d = circle[(at + step) & mask];
        at += 2u * step;
        e.re += (int64_t)x[0] * c;
        e.im += (int64_t)x[1] * c;
        o.re += (int64_t)x[2] * d;
        o.im += (int64_t)x[3] * d;
    }
    *even = e;
    *odd = o;
}

/* C and S of two odd k: of c[0], s[0] and, M/2 - k, of c[1], s[1].  x: f and then g. */
static void two_bins(const int32_t *x, int32_t q, const int16_t *circle, uint32_t mask, uint32_t step,
                     sum_t c[2], sum_t s[2])
{
    sum_t even, odd;
    sums(x, q, circle, mask, step, &even, &odd);
    c[0].re = even.re + odd.re;
    c[0].im = even.im + odd.im;
    c[1].re = even.re - odd.re;
    c[1].im = even.im - odd.im;
    sums(&x[2 * q], q, circle, mask, step, &even, &odd);
    s[0].re = odd.re + even.re;
    s[0].im = odd.im + even.im;
    s[1].re = odd.re - even.re;
    s[1].im = odd.im - even.im;
}

/* x times the largest cosine. */
static sum_t times_one(const int32_t *x)
{
    sum_t product;
    product.re = (int64_t)x[0] * Q15_ONE;
    product.im = (int64_t)x[1] * Q15_ONE;
    return product;
}

static sum_t minus(sum_t x)
{
    sum_t negative;
    negative.re = -x.re;
    negative.im = -x.im;
    return negative;
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

/* Two neighbours of a row of A; gives their sizes. */
static uint32_t put(int32_t *row, sum_t sum)
{
    row[0] = rounded(sum.re, 15);
    row[1] = rounded(sum.im, 15);
    return size_of(row[0]) | size_of(row[1]);
}

/* A, in place: rows of N / 16; row k1 = 0..8 is Re A[k1], row 16 - k1 is Im A[k1], k1 = 1..7.
 * (Im A[0] and Im A[8] are 0.)  Two columns of reals are one of complex numbers: then C belongs
 * to the real parts, -S to the imaginary ones.  Gives all sizes, or'ed. */
static uint32_t first_stage(int32_t *work, int32_t second, scale_t scale, int32_t *z)
{
    uint32_t sizes = 0;
    sum_t c[2], s[2];
    int32_t n, i;
    for (n = 0; n < second; n += 2, work += 2) {
        for (i = 0; i < FIRST; i++) {
            z[2 * i] = scaled(work[i * second], scale);
            z[2 * i + 1] = scaled(work[i * second + 1], scale);
        }
        fold(z, FIRST);
        sizes |= put(work, times_one(&z[0]));
        sizes |= put(&work[8 * second], times_one(&z[2]));
        sizes |= put(&work[4 * second], times_one(&z[4]));
        sizes |= put(&work[12 * second], minus(times_one(&z[6])));
        two_bins(&z[8], 2, circle_of_16, 15u, 2u, c, s); /* k = 1 of 8 */
        sizes |= put(&work[2 * second], c[0]);
        sizes |= put(&work[14 * second], minus(s[0]));
        sizes |= put(&work[6 * second], c[1]);
        sizes |= put(&work[10 * second], minus(s[1]));
        two_bins(&z[16], 4, circle_of_16, 15u, 1u, c, s); /* k = 1 of 16 */
        sizes |= put(&work[1 * second], c[0]);
        sizes |= put(&work[15 * second], minus(s[0]));
        sizes |= put(&work[7 * second], c[1]);
        sizes |= put(&work[9 * second], minus(s[1]));
        two_bins(&z[16], 4, circle_of_16, 15u, 13u, c, s); /* k = -3: the mirror image of 3 */
        sizes |= put(&work[3 * second], c[0]);
        sizes |= put(&work[13 * second], s[0]);
        sizes |= put(&work[5 * second], c[1]);
        sizes |= put(&work[11 * second], s[1]);
    }
    return sizes;
}

/* ---- steps 4 to 7: twiddle, second stage, power ------------------------------------ */

/* z = B[k1], of A's row k1. */
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
        z[2 * n] = (c * x + s * y + (1 << 14)) >> 15;
        z[2 * n + 1] = (c * y - s * x + (1 << 14)) >> 15;
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
    const uint64_t power = (uint64_t)((int64_t)re * re + (int64_t)im * im);
    to[0] = (uint32_t)power;
    to[1] = (uint32_t)(power >> 32);
}

/* X[k2] = C - j S and X[-k2] = C + j S, k2 modulo N / 16. */
static void put_bins(const band_t *band, int32_t k2, sum_t c, sum_t s)
{
    if (k2 > band->second / 2) {
        k2 = band->second - k2;
        s = minus(s);
    }
    put_power(&band->low[2 * k2], c.re + s.im, c.im - s.re, band->shift);
    if (band->high != NULL) {
        put_power(&band->high[2 * (k2 - 1)], c.re - s.im, c.im + s.re, band->shift);
    }
}

static void second_stage(const ernn_logmel_t *p, band_t band, int32_t *z)
{
    const int32_t half = band.second / 2;
    const uint32_t mask = (uint32_t)band.second - 1u;
    sum_t c[2], s[2];
    int32_t m, k;
    fold(z, band.second);
    c[0] = times_one(&z[0]);
    put_power(band.low, c[0].re, c[0].im, band.shift);
    if (band.high != NULL) {
        c[0] = times_one(&z[2]);
        put_power(&band.high[2 * (half - 1)], c[0].re, c[0].im, band.shift);
    }
    put_bins(&band, half / 2, times_one(&z[4]), times_one(&z[6]));
    for (m = 8; m <= band.second; m *= 2) {
        for (k = 1; k < m / 4; k += 2) {
            /* 1, -3, 5, -7 .. */
            const uint32_t step = (uint32_t)((k & 2) == 0 ? k : m - k) *
                                  (uint32_t)(band.second / m);
            two_bins(&z[m], m / 4, p->circle, mask, step, c, s);
            put_bins(&band, (int32_t)step, c[0], s[0]);
            put_bins(&band, (int32_t)(((uint32_t)half - step) & mask), c[1], s[1]);
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
    const int32_t b = shift_to_14_bits(first_stage(work, second, scale_of(a), z));
    uint32_t *powers = (uint32_t *)work;
    band_t band;
    int32_t k1;
    band.second = second;
    band.shift = 11 + 31 - ernn_leading_zeros((uint32_t)second);
    for (k1 = 0; k1 <= FIRST / 2; k1++) {
        twiddled(p, work, k1, scale_of(b), z);
        band.low = &powers[k1 * second];
        band.high = k1 == 0 || k1 == 8 ? NULL : &powers[(FIRST - k1) * second];
        second_stage(p, band, z);
    }
    codes_of(p, powers, 512 * (a + b) + p->offset, codes);
}

void ernn_logmel_reset(ernn_logmel_memory_t memory)
{
    memory.count[0] = 0;
    memory.count[1] = 0;
}

size_t ernn_logmel_push(const ernn_logmel_t *p, ernn_logmel_memory_t memory,
                        const int16_t *samples, size_t n, int16_t *codes, int *ready)
{
    const size_t room = (size_t)(p->length - memory.count[0]);
    const size_t taken = n < room ? n : room;
    int16_t *to = &memory.samples[memory.count[0]];
    size_t i;
    int32_t j;
    for (i = 0; i < taken; i++) {
        to[i] = samples[i];
    }
    memory.count[0] += (int32_t)taken;
    *ready = memory.count[0] == p->length ? 1 : 0;
    if (*ready != 0) {
        make_row(p, memory.samples, memory.work, codes);
        memory.count[0] = p->length - p->hop;
        memory.count[1] = 1;
        for (j = 0; j < memory.count[0]; j++) {
            memory.samples[j] = memory.samples[j + p->hop];
        }
    }
    return taken;
}

int ernn_logmel_flush(const ernn_logmel_t *p, ernn_logmel_memory_t memory, int16_t *codes)
{
    const int is_short_clip = memory.count[1] == 0 && memory.count[0] >= p->hop ? 1 : 0;
    int32_t i;
    if (is_short_clip != 0) {
        for (i = memory.count[0]; i < p->length; i++) {
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
