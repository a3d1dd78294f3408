/* ernn_target.h - which instructions the kernels use, and so in which order weights lie.
 *
 * Chosen from what the compiler may use (-mcpu, -march); define ERNN_PORTABLE to use C alone.
 * ERNN_TARGET names the choice.
 * ERNN_LAYOUT names the order of a weight matrix of int8, padded with zeros; the orders are
 * made by edgernn/plan/layout.py:
 *
 *   ERNN_ROWS    row after row
 *   ERNN_TILES   tiles of 16 rows by 4 columns, each row of a tile being one 32-bit word;
 *                all tiles of 16 rows, then the next 16 rows
 */
#ifndef ERNN_TARGET_H
#define ERNN_TARGET_H

#define ERNN_ROWS  1
#define ERNN_TILES 2

#define ERNN_TARGET "portable"
#define ERNN_LAYOUT ERNN_ROWS

#endif
