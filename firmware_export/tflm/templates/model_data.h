/* @name@_model_data.h - written by edgernn @version@; do not edit.
 *   from   @model@  sha256 @sha256@, without the edgernn.json behind it */
#ifndef @NAME@_MODEL_DATA_H
#define @NAME@_MODEL_DATA_H

extern const unsigned char @array@[];
extern const unsigned int @size@;

#endif
