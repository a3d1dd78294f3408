/* ernn_fc_tiles.h - FULLY_CONNECTED over tiles of 16 rows, but for the sums of products.
 *
 * A file that includes this defines before, with the instructions that it is about,
 *     static void tile_sums(const int8_t *w, const int8_t *x, int32_t n, int32_t rows,
 *                           int32_t sums[ROWS][16]);
 * sums of 16 rows of weights times `rows` rows of x, 1 to ROWS, each n values long. */
#ifndef ERNN_FC_TILES_H
#define ERNN_FC_TILES_H
#include "ernn.h"
#include "ernn_lanes.h"
#include "ernn_requantize.h"

/* The parameters of 16 outputs; beyond the last one, such as do no harm. */
typedef struct {
    int32_t offset[16], multiplier[16];
    int8_t right[16];
} outputs_t;

static outputs_t outputs_of(const ernn_fc_s8_t *p, int32_t first, int32_t count)
{
    outputs_t found = {{0}, {0}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}};
    (void)memcpy(found.offset, p->offset + first, (size_t)count * sizeof found.offset[0]);
    (void)memcpy(found.multiplier, p->multiplier + first,
                 (size_t)count * sizeof found.multiplier[0]);
    (void)memcpy(found.right, p->right + first, (size_t)count);
    return found;
}

/* Codes of 16 sums. */
static inline void requantize(const outputs_t *o, const int32_t sums[16], int32_t y_zero,
                              int8_t codes[16])
{
    const ernn_lanes one = ernn_lanes_all(1), zero = ernn_lanes_all(y_zero);
    int32_t i;
    for (i = 0; i < 16; i += ERNN_LANES) {
        const ernn_lanes total = ernn_lanes_add(ernn_lanes_s32(&sums[i]),
                                                ernn_lanes_s32(&o->offset[i]));
        const ernn_lanes right = ernn_lanes_s8(&o->right[i]);
        const ernn_lanes half = ernn_lanes_left(one, ernn_lanes_sub(right, one));
        ernn_lanes_to_s8(ernn_lanes_add(ernn_lanes_times(total, ernn_lanes_s32(&o->multiplier[i]),
                                                         half, right), zero),
                         &codes[i]);
    }
}

static inline void store_s8(const int8_t codes[16], int8_t *y, int32_t count)
{
    (void)memcpy(y, codes, (size_t)count);
}

static inline void store_s16(const int8_t codes[16], int16_t *y, int32_t count)
{
    int32_t i;
    for (i = 0; i < count; i++) {
        y[i] = codes[i];
    }
}

/* ROWS rows of x at a time, so that weights are loaded once for all of them. */
#define FC(STORE, AT_LEAST)                                                                       \
    do {                                                                                          \
        const int32_t n = p->inputs, width = (n + 3) / 4 * 64; /* bytes of 16 rows of weights */  \
        for (; rows > 0; rows -= ROWS, x += ROWS * n, y += ROWS * p->outputs) {                   \
            const int32_t some = rows < ROWS ? rows : ROWS;                                       \
            const int8_t *w = p->weights;                                                         \
            int32_t first, row;                                                                   \
            for (first = 0; first < p->outputs; first += 16, w += width) {                        \
                const int32_t count = p->outputs - first < 16 ? p->outputs - first : 16;          \
                const outputs_t outputs = outputs_of(p, first, count);                            \
                int32_t sums[ROWS][16];                                                           \
                tile_sums(w, x, n, some, sums);                                                   \
                for (row = 0; row < some; row++) {                                                \
                    int8_t codes[16];                                                             \
                    requantize(&outputs, sums[row], p->y_zero, codes);                            \
                    STORE(codes, &y[row * p->outputs + first], count);                            \
                }                                                                                 \
            }                                                                                     \
            AT_LEAST(y, some * p->outputs, p->y_low);                                             \
        }                                                                                         \
    } while (0)

/* The four values of x at a column; those beyond the end are zeros. */
static inline int32_t word_at(const int8_t *x, int32_t left)
{
    int32_t word = 0;
    if (left >= 4) {
        (void)memcpy(&word, x, 4);
    } else {
        (void)memcpy(&word, x, (size_t)left);
    }
    return word;
}

#endif
