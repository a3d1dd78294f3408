/* @name@_model_data@suffix@ - written by edgernn @version@; do not edit. */
#include "@name@_model_data.h"

/* Read in place by TensorFlow Lite Micro, which wants 16 bytes of alignment. */
alignas(16) const unsigned char @array@[] = {
@bytes@
};
const unsigned int @size@ = @byte_count@;
