/* ernn.h - the kernels that a step is made of.
 *
 * Dependency-free C99: no heap, no libm, no global state.  Every kernel computes, to the
 * bit, what the kernel of TensorFlow Lite Micro of the same op computes; the numbers in the
 * structs are made by edgernn/plan/lower.py.
 *
 * Which instructions do the work is chosen in ernn_target.h when this is compiled; the
 * results are the same bytes with all of them.
 *
 * Unless a kernel says otherwise its pointers may be equal, and must not overlap in part.
 */
#ifndef ERNN_H
#define ERNN_H
#include <stdint.h>

/* ---- sums of products ------------------------------------------------------------- */

/* y = W x + b on int8:  y[i] = saturate(y_zero + scale_i (offset[i] + sum over j of
 * weights[i][j] x[j])).  scale_i = multiplier[i] 2^(-31 - right[i]).
 * weights are in the order that ERNN_LAYOUT names (ernn_target.h).
 * x: rows times `inputs`, y: rows times `outputs`; they must not overlap. */
typedef struct {
    const int8_t *weights;
    const int32_t *offset;      /* bias - (x_zero + ERNN_X_PLUS) * (sum of the row's weights) */
    const int32_t *multiplier;
    const int8_t *right;        /* 1 to 30 */
    int32_t inputs, outputs;
    int32_t y_zero, y_low;      /* y_low: smallest code, y_zero after a relu   */
} ernn_fc_s8_t;
void ernn_fc_s8(const ernn_fc_s8_t *p, const int8_t *x, int8_t *y, int32_t rows);

/* The same, and each code as an int16: a matmul and the CAST after it. */
void ernn_fc_s8_s16(const ernn_fc_s8_t *p, const int8_t *x, int16_t *y, int32_t rows);

/* The same on int16, with int8 weights (always row by row) and sums of 64 bits:
 * y[i] = saturate((sum * multiplier[i] + half) >> shift[i]). */
typedef struct {
    const int8_t *weights;
    const int64_t *offset;
    const int16_t *multiplier;
    const int8_t *shift;        /* 1 to 46 */
    int32_t inputs, outputs;
    int32_t y_zero, y_low;
} ernn_fc_s16_t;
void ernn_fc_s16(const ernn_fc_s16_t *p, const int16_t *x, int16_t *y, int32_t rows);

/* A column of `taps` frames under a column of weights, channel by channel:
 * sum over t of weights[t][c] x[t][c]; the rest as above.  x and y must not overlap. */
typedef struct {
    const int8_t *weights;
    const int32_t *offset;
    const int32_t *multiplier;
    const int8_t *right;
    int32_t taps, channels;
    int32_t y_zero, y_low;
} ernn_depthwise_s8_t;
void ernn_depthwise_s8(const ernn_depthwise_s8_t *p, const int8_t *x, int8_t *y);

typedef struct {
    const int8_t *weights;
    const int64_t *offset;
    const int16_t *multiplier;
    const int8_t *shift;
    int32_t taps, channels;
    int32_t y_zero, y_low;
} ernn_depthwise_s16_t;
void ernn_depthwise_s16(const ernn_depthwise_s16_t *p, const int16_t *x, int16_t *y);

/* y[h] = a[h] b[h] for each head h; a: rows x inner, b: inner x columns, or columns x inner
 * if transposed.  y overlaps neither. */
typedef struct {
    int32_t multiplier, shift;  /* of int16: 15 bits, and a shift to the right */
    int32_t heads, rows, inner, columns, transposed;
    int32_t a_zero, b_zero, y_zero;
} ernn_matmul_t;
void ernn_matmul_s8(const ernn_matmul_t *p, const int8_t *a, const int8_t *b, int8_t *y);
void ernn_matmul_s16(const ernn_matmul_t *p, const int16_t *a, const int16_t *b, int16_t *y);

/* ---- value by value, n of them ---------------------------------------------------- */

/* y = a + b, or a - b: both sides are brought to twice the larger scale first.  A right of 0 is
 * that of the larger one, whose multiplier is one half; all others are 1 to 30. */
typedef struct {
    int32_t a_multiplier, a_right, b_multiplier, b_right, y_multiplier, y_right;
    int32_t a_zero, b_zero, y_zero, y_low;
} ernn_add_t;
void ernn_add_s8(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n);
void ernn_add_s16(const ernn_add_t *p, const int16_t *a, const int16_t *b, int16_t *y, int32_t n);
void ernn_sub_s8(const ernn_add_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n);
void ernn_sub_s16(const ernn_add_t *p, const int16_t *a, const int16_t *b, int16_t *y, int32_t n);

/* y = scale (a - a_zero) (b - b_zero) + y_zero, saturated. */
typedef struct {
    int32_t multiplier, right;  /* 1 to 30 */
    int32_t a_zero, b_zero, y_zero;
} ernn_mul_t;
void ernn_mul_s8(const ernn_mul_t *p, const int8_t *a, const int8_t *b, int8_t *y, int32_t n);
void ernn_mul_s16(const ernn_mul_t *p, const int16_t *a, const int16_t *b, int16_t *y, int32_t n);

/* y = table[x + 128]: any function of one int8. */
typedef struct {
    const int8_t *table;        /* 256 values */
} ernn_lut_t;
void ernn_lut_s8(const ernn_lut_t *p, const int8_t *x, int8_t *y, int32_t n);

/* 1 / (1 + exp(-x)) and tanh(x) on int16, 1.0 being 32768, interpolated in a table whose
 * grid the input is brought to: (x * multiplier + half) >> shift. */
typedef struct {
    int32_t multiplier, shift;
} ernn_gate_t;
void ernn_logistic_s16(const ernn_gate_t *p, const int16_t *x, int16_t *y, int32_t n);
void ernn_tanh_s16(const ernn_gate_t *p, const int16_t *x, int16_t *y, int32_t n);

/* y = scale (x - x_zero) + y_zero, saturated. */
typedef struct {
    int32_t multiplier, shift, x_zero, y_zero;
} ernn_quantize_t;
void ernn_quantize_s16_s8(const ernn_quantize_t *p, const int16_t *x, int8_t *y, int32_t n);
void ernn_quantize_s8_s16(const ernn_quantize_t *p, const int8_t *x, int16_t *y, int32_t n);
void ernn_quantize_s16_s16(const ernn_quantize_t *p, const int16_t *x, int16_t *y, int32_t n);

void ernn_cast_s8_s16(const int8_t *x, int16_t *y, int32_t n);

/* y = scale / sqrt(x); x of 0 gives the largest y, and so does a negative one. */
typedef struct {
    int32_t multiplier, shift;
} ernn_rsqrt_t;
void ernn_rsqrt_s16(const ernn_rsqrt_t *p, const int16_t *x, int16_t *y, int32_t n);

/* ---- rows of `width` values ------------------------------------------------------- */

/* exp(x - largest x) / sum.  int8: differences below `lowest` count as nothing. */
typedef struct {
    int32_t multiplier, shift, lowest;
} ernn_softmax_s8_t;
void ernn_softmax_s8(const ernn_softmax_s8_t *p, const int8_t *x, int8_t *y, int32_t width,
                     int32_t rows);

typedef struct {
    int32_t multiplier, shift;
} ernn_softmax_s16_t;
void ernn_softmax_s16(const ernn_softmax_s16_t *p, const int16_t *x, int16_t *y, int32_t width,
                      int32_t rows);

/* ---- the same integers, elsewhere ------------------------------------------------- */

/* `runs` runs of `length` values: from x + x_begin on, x_step apart, to y + y_begin on,
 * y_step apart.  x and y do not overlap. */
typedef struct {
    int32_t runs, length, x_begin, x_step, y_begin, y_step;
} ernn_copy_t;
void ernn_copy_s8(const ernn_copy_t *p, const int8_t *x, int8_t *y);
void ernn_copy_s16(const ernn_copy_t *p, const int16_t *x, int16_t *y);

/* y = n times the value at x. */
void ernn_fill_s8(const int8_t *x, int8_t *y, int32_t n);
void ernn_fill_s16(const int16_t *x, int16_t *y, int32_t n);

/* Rows of a table, by number; the caller has looked whether the table has that row. */
typedef struct {
    const int8_t *table;
    int32_t width;
} ernn_gather_s8_t;
void ernn_gather_s8(const ernn_gather_s8_t *p, const int32_t *ids, int8_t *y, int32_t n);

typedef struct {
    const int16_t *table;
    int32_t width;
} ernn_gather_s16_t;
void ernn_gather_s16(const ernn_gather_s16_t *p, const int32_t *ids, int16_t *y, int32_t n);

#endif
