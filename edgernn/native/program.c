/* program.c - see program.h. */
#include "program.h"

#include <string.h>

#include "ernn.h"

/* ---- how each kernel is called ------------------------------------------------------ */

#define RUN(kernel) static void run_##kernel(const void *p, void *const *at, const int32_t *n)
#define ONE_INPUT(kernel) RUN(kernel) { ernn_##kernel(p, at[0], at[1], n[0]); }
#define TWO_INPUTS(kernel) RUN(kernel) { ernn_##kernel(p, at[0], at[1], at[2], n[0]); }
#define IN_ROWS(kernel) RUN(kernel) { ernn_##kernel(p, at[0], at[1], n[0], n[1]); }
#define FIXED(kernel) RUN(kernel) { (void)n; ernn_##kernel(p, at[0], at[1]); }
#define MATMUL(kernel) RUN(kernel) { (void)n; ernn_##kernel(p, at[0], at[1], at[2]); }
#define PLAIN(kernel) RUN(kernel) { (void)p; ernn_##kernel(at[0], at[1], n[0]); }

ONE_INPUT(fc_s8)
ONE_INPUT(fc_s8_s16)
ONE_INPUT(fc_s16)
FIXED(depthwise_s8)
FIXED(depthwise_s16)
MATMUL(matmul_s8)
MATMUL(matmul_s16)
TWO_INPUTS(add_s8)
TWO_INPUTS(add_s16)
TWO_INPUTS(sub_s8)
TWO_INPUTS(sub_s16)
TWO_INPUTS(mul_s8)
TWO_INPUTS(mul_s16)
ONE_INPUT(lut_s8)
ONE_INPUT(logistic_s16)
ONE_INPUT(tanh_s16)
ONE_INPUT(quantize_s16_s8)
ONE_INPUT(quantize_s8_s16)
ONE_INPUT(quantize_s16_s16)
PLAIN(cast_s8_s16)
ONE_INPUT(rsqrt_s16)
IN_ROWS(softmax_s8)
IN_ROWS(softmax_s16)
FIXED(copy_s8)
FIXED(copy_s16)
PLAIN(fill_s8)
PLAIN(fill_s16)
ONE_INPUT(gather_s8)
ONE_INPUT(gather_s16)

/* ---- what their structs are made of ------------------------------------------------- */

#define ARRAY(type, field) {#field, offsetof(type, field), sizeof *((type *)0)->field}
#define NUMBER(type, field) {#field, offsetof(type, field), 0}
#define END {NULL, 0, 0}

#define FC(type, shift)                                                                 \
    {ARRAY(type, weights), ARRAY(type, offset), ARRAY(type, multiplier),                \
     ARRAY(type, shift), NUMBER(type, inputs), NUMBER(type, outputs),                   \
     NUMBER(type, y_zero), NUMBER(type, y_low), END}
#define DEPTHWISE(type, shift)                                                          \
    {ARRAY(type, weights), ARRAY(type, offset), ARRAY(type, multiplier),                \
     ARRAY(type, shift), NUMBER(type, taps), NUMBER(type, channels),                    \
     NUMBER(type, y_zero), NUMBER(type, y_low), END}

static const field_t none_fields[] = {END};
static const field_t fc_s8_fields[] = FC(ernn_fc_s8_t, right);
static const field_t fc_s16_fields[] = FC(ernn_fc_s16_t, shift);
static const field_t depthwise_s8_fields[] = DEPTHWISE(ernn_depthwise_s8_t, right);
static const field_t depthwise_s16_fields[] = DEPTHWISE(ernn_depthwise_s16_t, shift);
static const field_t matmul_fields[] = {
    NUMBER(ernn_matmul_t, multiplier), NUMBER(ernn_matmul_t, shift),
    NUMBER(ernn_matmul_t, heads),      NUMBER(ernn_matmul_t, rows),
    NUMBER(ernn_matmul_t, inner),      NUMBER(ernn_matmul_t, columns),
    NUMBER(ernn_matmul_t, transposed), NUMBER(ernn_matmul_t, a_zero),
    NUMBER(ernn_matmul_t, b_zero),     NUMBER(ernn_matmul_t, y_zero), END};
static const field_t add_fields[] = {
    NUMBER(ernn_add_t, a_multiplier), NUMBER(ernn_add_t, a_right),
    NUMBER(ernn_add_t, b_multiplier), NUMBER(ernn_add_t, b_right),
    NUMBER(ernn_add_t, y_multiplier), NUMBER(ernn_add_t, y_right),
    NUMBER(ernn_add_t, a_zero),       NUMBER(ernn_add_t, b_zero),
    NUMBER(ernn_add_t, y_zero),       NUMBER(ernn_add_t, y_low), END};
static const field_t mul_fields[] = {
    NUMBER(ernn_mul_t, multiplier), NUMBER(ernn_mul_t, right), NUMBER(ernn_mul_t, a_zero),
    NUMBER(ernn_mul_t, b_zero), NUMBER(ernn_mul_t, y_zero), END};
static const field_t lut_fields[] = {ARRAY(ernn_lut_t, table), END};
static const field_t gate_fields[] = {
    NUMBER(ernn_gate_t, multiplier), NUMBER(ernn_gate_t, shift), END};
static const field_t quantize_fields[] = {
    NUMBER(ernn_quantize_t, multiplier), NUMBER(ernn_quantize_t, shift),
    NUMBER(ernn_quantize_t, x_zero), NUMBER(ernn_quantize_t, y_zero), END};
static const field_t rsqrt_fields[] = {
    NUMBER(ernn_rsqrt_t, multiplier), NUMBER(ernn_rsqrt_t, shift), END};
static const field_t softmax_s8_fields[] = {
    NUMBER(ernn_softmax_s8_t, multiplier), NUMBER(ernn_softmax_s8_t, shift),
    NUMBER(ernn_softmax_s8_t, lowest), END};
static const field_t softmax_s16_fields[] = {
    NUMBER(ernn_softmax_s16_t, multiplier), NUMBER(ernn_softmax_s16_t, shift), END};
static const field_t copy_fields[] = {
    NUMBER(ernn_copy_t, runs),    NUMBER(ernn_copy_t, length), NUMBER(ernn_copy_t, x_begin),
    NUMBER(ernn_copy_t, x_step),  NUMBER(ernn_copy_t, y_begin), NUMBER(ernn_copy_t, y_step),
    END};
static const field_t gather_s8_fields[] = {
    ARRAY(ernn_gather_s8_t, table), NUMBER(ernn_gather_s8_t, width), END};
static const field_t gather_s16_fields[] = {
    ARRAY(ernn_gather_s16_t, table), NUMBER(ernn_gather_s16_t, width), END};

/* name, inputs, counts, the count that grows with the streams, struct, its fields */
#define KERNEL(name, inputs, counts, grows, type, fields) \
    {#name, run_##name, inputs, counts, grows, sizeof(type), fields}

static const kernel_t kernels[] = {
    KERNEL(fc_s8, 1, 1, 0, ernn_fc_s8_t, fc_s8_fields),
    KERNEL(fc_s8_s16, 1, 1, 0, ernn_fc_s8_t, fc_s8_fields),
    KERNEL(fc_s16, 1, 1, 0, ernn_fc_s16_t, fc_s16_fields),
    KERNEL(depthwise_s8, 1, 0, -1, ernn_depthwise_s8_t, depthwise_s8_fields),
    KERNEL(depthwise_s16, 1, 0, -1, ernn_depthwise_s16_t, depthwise_s16_fields),
    KERNEL(matmul_s8, 2, 0, -1, ernn_matmul_t, matmul_fields),
    KERNEL(matmul_s16, 2, 0, -1, ernn_matmul_t, matmul_fields),
    KERNEL(add_s8, 2, 1, 0, ernn_add_t, add_fields),
    KERNEL(add_s16, 2, 1, 0, ernn_add_t, add_fields),
    KERNEL(sub_s8, 2, 1, 0, ernn_add_t, add_fields),
    KERNEL(sub_s16, 2, 1, 0, ernn_add_t, add_fields),
    KERNEL(mul_s8, 2, 1, 0, ernn_mul_t, mul_fields),
    KERNEL(mul_s16, 2, 1, 0, ernn_mul_t, mul_fields),
    KERNEL(lut_s8, 1, 1, 0, ernn_lut_t, lut_fields),
    KERNEL(logistic_s16, 1, 1, 0, ernn_gate_t, gate_fields),
    KERNEL(tanh_s16, 1, 1, 0, ernn_gate_t, gate_fields),
    KERNEL(quantize_s16_s8, 1, 1, 0, ernn_quantize_t, quantize_fields),
    KERNEL(quantize_s8_s16, 1, 1, 0, ernn_quantize_t, quantize_fields),
    KERNEL(quantize_s16_s16, 1, 1, 0, ernn_quantize_t, quantize_fields),
    KERNEL(cast_s8_s16, 1, 1, 0, char, none_fields),
    KERNEL(rsqrt_s16, 1, 1, 0, ernn_rsqrt_t, rsqrt_fields),
    KERNEL(softmax_s8, 1, 2, 1, ernn_softmax_s8_t, softmax_s8_fields),
    KERNEL(softmax_s16, 1, 2, 1, ernn_softmax_s16_t, softmax_s16_fields),
    KERNEL(copy_s8, 1, 0, -1, ernn_copy_t, copy_fields),
    KERNEL(copy_s16, 1, 0, -1, ernn_copy_t, copy_fields),
    KERNEL(fill_s8, 1, 1, -1, char, none_fields),
    KERNEL(fill_s16, 1, 1, -1, char, none_fields),
    KERNEL(gather_s8, 1, 1, 0, ernn_gather_s8_t, gather_s8_fields),
    KERNEL(gather_s16, 1, 1, 0, ernn_gather_s16_t, gather_s16_fields)};

const kernel_t *find_kernel(const char *name)
{
    size_t i;
    for (i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        if (strcmp(kernels[i].name, name) == 0) {
            return &kernels[i];
        }
    }
    return NULL;
}

/* ---- making the calls --------------------------------------------------------------- */

static void *address(const operand_t *operand, char *const *bases, int32_t rows, int32_t row)
{
    if (operand->constant != NULL) {
        return operand->constant;
    }
    return bases[operand->base] + operand->start * rows + operand->row * row + operand->first;
}

void run_calls(const call_t *calls, ptrdiff_t count, char *const *bases, int32_t rows)
{
    const call_t *call;
    for (call = calls; call < calls + count; call++) {
        const kernel_t *kernel = call->kernel;
        const int32_t times = call->at_once ? 1 : rows;
        int32_t counts[2] = {call->counts[0], call->counts[1]};
        int32_t row;
        if (call->at_once) {
            counts[kernel->grows] *= rows;
        }
        for (row = 0; row < times; row++) {
            void *at[3];
            int i;
            for (i = 0; i <= kernel->inputs; i++) {
                at[i] = address(&call->operands[i], bases, rows, row);
            }
            kernel->run(call->params, at, counts);
        }
    }
}
