/* ernn_logmel.h - from samples to log-mel codes, in integers.
 *
 * The arithmetic of edgernn/frontend/logmel.py, whose docstring gives it, to the bit: a Hann
 * window, a DFT of N points in two stages of 16 and N / 16, mel filters, log2.  N is `points`.
 */
#ifndef ERNN_LOGMEL_H
#define ERNN_LOGMEL_H
#include <stddef.h>
#include <stdint.h>

/* One frontend; all of it constant, made by firmware_export/logmel.py. */
typedef struct {
    const int16_t *window;      /* Hann, Q15; its first half: length / 2 + 1            */
    const int16_t *quarter;     /* cos, Q15, a quarter of a circle of N: N / 4 + 1      */
    const int16_t *cosines;     /* cos(2 pi k m / M), Q15, m = 0 .. M / 4 - 1,          */
                                /* of k = 1, 3, .. below M / 4, of M = 8, 16, .. N / 16 */
    const uint16_t *rise;       /* weight of each bin in the filter that rises at it,   */
                                /* Q12; in the filter before that, the rest to 4096     */
    const uint16_t *bins;       /* mels + 1: bins at which filter 0, 1, .. rises, and   */
                                /* those at which the last one falls                    */
    int32_t length;             /* samples in a window                                  */
    int32_t greater;            /* place in the window of the one value that is 1 more  */
                                /* than its mirror image; -1: all are equal             */
    int32_t hop;                /* samples from one row to the next                     */
    int32_t points;             /* N: 128 .. 4096                                       */
    int32_t mels;
    int32_t first_bin;          /* the bin of rise[0]                                   */
    int32_t offset;             /* of the code: all constant scales                     */
} ernn_logmel_t;

/* Length of `work` for a transform of n points. */
#define ERNN_LOGMEL_WORK(n) ((n) + (n) / 8)

/* What it remembers, as places in the caller's memory. */
typedef struct {
    int32_t *filled_begun;      /* 2: samples in the window; 1 after the first row      */
    int16_t *samples;           /* length                                               */
    int32_t *work;              /* ERNN_LOGMEL_WORK(N); no meaning between calls        */
} ernn_logmel_memory_t;

/* Forget all samples. */
void ernn_logmel_reset(ernn_logmel_memory_t memory);

/* Hear samples up to the one that completes the next row; gives how many that were.  *ready is
 * then 1 and `codes` the row, of `mels` codes 0 .. 8191; if n were too few, *ready is 0.  Push
 * the rest again: how audio is cut never changes the rows. */
size_t ernn_logmel_push(const ernn_logmel_t *p, ernn_logmel_memory_t memory,
                        const int16_t *samples, size_t n, int16_t *codes, int *ready);

/* End the stream.  Gives 1 and the row of a clip that was shorter than a window and no shorter
 * than a hop, else 0; then forgets all samples. */
int ernn_logmel_flush(const ernn_logmel_t *p, ernn_logmel_memory_t memory, int16_t *codes);

/* Codes as a model's input, whose scale is 2^shift times coarser:
 * y[i] = saturate(((codes[i] - code_zero + half) >> shift) + y_zero). */
void ernn_shift_codes_s8(const int16_t *codes, int32_t code_zero, int32_t shift, int32_t y_zero,
                         int8_t *y, int32_t n);
void ernn_shift_codes_s16(const int16_t *codes, int32_t code_zero, int32_t shift, int32_t y_zero,
                          int16_t *y, int32_t n);

#endif
