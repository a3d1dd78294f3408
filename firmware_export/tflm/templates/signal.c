/* @name@_signal.c - written by edgernn @version@; do not edit.  See @name@.h.
 *
 * What stands before the model, and behind it. */
#include "@name@.h"

const char *const @name@_labels[@NAME@_LABELS] = {@label_strings@};
@source_more@
