/* chip.h - what a program on an emulated chip needs: its host's files, and to end. */
#ifndef CHIP_H
#define CHIP_H
#include <stddef.h>
#include <stdint.h>

/* The program; what it gives is the exit code of the emulator. */
int chip_main(void);

/* Up to `bytes` bytes of the host's file "input", in order; gives how many were there. */
size_t chip_read(void *to, size_t bytes);

/* Append to the host's file "output". */
void chip_write(const void *from, size_t bytes);

/* Print to the host's terminal. */
void chip_print(const char *text);

/* Bytes of stack used since the start, at the deepest. */
size_t chip_stack_used(void);

/* The instruction counter counts from the first to the second. */
void chip_begin(void);
void chip_end(void);

#endif
