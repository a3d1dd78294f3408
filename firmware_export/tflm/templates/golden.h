/* @name@_golden.h - written by edgernn @version@; do not edit.
 *
 * @golden_steps@ frames, and what edgernn's emulator made of them from reset: the scores of each,
 * and every state after the last.  Read by @name@_selfcheck() alone. */
#ifndef @NAME@_GOLDEN_H
#define @NAME@_GOLDEN_H
#include <stdint.h>

static const uint32_t golden_checksum = @checksum@u; /* Adler-32 of the model */

@golden@
#endif
