/* ernn_fc_avx2.c - FULLY_CONNECTED with AVX2. */
#include "ernn.h"
#include "ernn_target.h"

#if defined(ERNN_AVX2)
#include <immintrin.h>

#define ROWS 2
static void tile_sums(const int8_t *w, const int8_t *x, int32_t n, int32_t rows,
                      int32_t sums[ROWS][16]);
#include "ernn_fc_tiles.h"

/* total += 8 rows by 4 columns of weights times a word of x.  VPMADDUBSW wants one side
 * unsigned: |x|, up to 128, times weights with the sign of x, -127 to 127, of which two fit
 * 16 bits. */
static inline __m256i add_products(__m256i total, __m256i w, __m256i x)
{
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(w, x));
    return _mm256_add_epi32(total, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static void tile_sums(const int8_t *w, const int8_t *x, int32_t n, int32_t rows,
                      int32_t sums[ROWS][16])
{
    const int8_t *other = rows == ROWS ? x + n : x;
    __m256i upper[ROWS], lower[ROWS];
    int32_t j;
    upper[0] = upper[1] = lower[0] = lower[1] = _mm256_setzero_si256();
    for (j = 0; j < n; j += 4, w += 64) {
        const __m256i first = _mm256_loadu_si256((const void *)w);
        const __m256i last = _mm256_loadu_si256((const void *)(w + 32));
        const __m256i x0 = _mm256_set1_epi32(word_at(x + j, n - j));
        upper[0] = add_products(upper[0], first, x0);
        lower[0] = add_products(lower[0], last, x0);
        if (rows == ROWS) {
            const __m256i x1 = _mm256_set1_epi32(word_at(other + j, n - j));
            upper[1] = add_products(upper[1], first, x1);
            lower[1] = add_products(lower[1], last, x1);
        }
    }
    for (j = 0; j < rows; j++) {
        _mm256_storeu_si256((void *)&sums[j][0], upper[j]);
        _mm256_storeu_si256((void *)&sums[j][8], lower[j]);
    }
}

void ernn_fc_s8(const ernn_fc_s8_t *p, const int8_t *x, int8_t *y, int32_t rows)
{
    FC(store_s8, ernn_at_least_s8);
}

void ernn_fc_s8_s16(const ernn_fc_s8_t *p, const int8_t *x, int16_t *y, int32_t rows)
{
    FC(store_s16, ernn_at_least_s16);
}

#endif
