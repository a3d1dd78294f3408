/* program.h - a step as data: calls of the kernels in firmware_export/c, for one stream or
 * for several at once. */
#ifndef EDGERNN_PROGRAM_H
#define EDGERNN_PROGRAM_H
#include <stddef.h>
#include <stdint.h>

/* A field of a kernel's struct in ernn.h: an array of values of `size` bytes, or, if that is
 * 0, an int32_t. */
typedef struct {
    const char *name;
    size_t offset, size;
} field_t;

/* A kernel: how it is called, and what its struct is made of. */
typedef struct {
    const char *name;
    void (*run)(const void *p, void *const *at, const int32_t *counts);
    int inputs;
    int counts;
    int grows; /* which count says how many values or rows; -1: a stream at a time */
    size_t size;
    const field_t *fields; /* the last has no name */
} kernel_t;

/* The kernel of that name, or NULL. */
const kernel_t *find_kernel(const char *name);

/* What a call reads or writes.  Memory of several streams holds their rows one after
 * another; in scratch memory, which tensors share, so does the part of each tensor. */
typedef struct {
    char *constant;              /* the values themselves, if it is constant           */
    ptrdiff_t base;              /* which memory, otherwise                            */
    ptrdiff_t start, row, first; /* bytes: of the tensor in its memory, if one stream  */
                                 /* were all; of its row; of the call's part of a row  */
} operand_t;

typedef struct {
    const kernel_t *kernel;
    void *params;
    operand_t operands[3]; /* inputs, output */
    int32_t counts[2];
    int at_once;           /* one call for all streams: whole rows, of computed values */
} call_t;

/* Make `calls` for as many streams as memory at `bases` has rows. */
void run_calls(const call_t *calls, ptrdiff_t count, char *const *bases, int32_t rows);

#endif
