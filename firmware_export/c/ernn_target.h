/* ernn_target.h - which instructions the kernels use, and so in which order weights lie.
 *
 * Chosen from what the compiler may use (-mcpu, -march); define ERNN_PORTABLE to use C alone.
 * ERNN_TARGET names the choice.  ERNN_CMSIS_NN leaves matmuls of int8 to Arm's library
 * (ernn_fc_cmsis_nn.c); define either for all files alike.
 * ERNN_LAYOUT names the order of a weight matrix of int8, padded with zeros; the orders are
 * made by edgernn/plan/layout.py:
 *
 *   ERNN_ROWS    row after row
 *   ERNN_PAIRS   tiles of 4 rows a b c d by 4 columns 0 1 2 3, as four 32-bit words of two
 *                16-bit halves: (b0 a0, b2 a2), (b1 a1, b3 a3), (d0 c0, d2 c2), (d1 c1, d3 c3),
 *                b a standing for b * 256 + a
 *   ERNN_TILES   tiles of 16 rows by 4 columns, each row of a tile being one 32-bit word;
 *                all tiles of 16 rows, then the next 16 rows
 *
 * ERNN_X_PLUS is what the kernels add to x before they multiply, since some instructions want
 * it unsigned; offsets have it taken off again.
 */
#ifndef ERNN_TARGET_H
#define ERNN_TARGET_H

#define ERNN_ROWS  1
#define ERNN_PAIRS 2
#define ERNN_TILES 3

#if !defined(ERNN_PORTABLE) && defined(__ARM_FEATURE_MVE)
#define ERNN_MVE 1
#else
#define ERNN_MVE 0
#endif

#if !defined(ERNN_PORTABLE) && !ERNN_MVE && defined(__ARM_FEATURE_SIMD32) && defined(__thumb2__)
#define ERNN_DSP 1
#else
#define ERNN_DSP 0
#endif

#if !defined(ERNN_PORTABLE) && defined(ERNN_CMSIS_NN)
#define ERNN_FC_BY_CMSIS_NN 1
#else
#define ERNN_FC_BY_CMSIS_NN 0
#endif

#if defined(ERNN_PORTABLE)
#define ERNN_TARGET "portable"
#define ERNN_LAYOUT ERNN_ROWS
#elif ERNN_FC_BY_CMSIS_NN
#define ERNN_TARGET "cmsis-nn"
#define ERNN_LAYOUT ERNN_ROWS
#elif ERNN_MVE
#define ERNN_TARGET "mve"
#define ERNN_LAYOUT ERNN_ROWS
#elif ERNN_DSP
#define ERNN_TARGET "dsp"
#define ERNN_LAYOUT ERNN_PAIRS
#elif defined(__AVX512VNNI__) && defined(__AVX512VBMI__) && defined(__AVX512BW__) && \
    defined(__AVX512DQ__) && defined(__AVX512VL__)
#define ERNN_TARGET "vnni"
#define ERNN_VNNI
#define ERNN_X_PLUS 128
#define ERNN_LANES 16 /* values of 32 bits that are worked on at once: ernn_lanes.h */
#define ERNN_LAYOUT ERNN_TILES
#elif defined(__AVX2__)
#define ERNN_TARGET "avx2"
#define ERNN_AVX2
#define ERNN_LANES 8
#define ERNN_LAYOUT ERNN_TILES
#elif defined(__aarch64__) && defined(__ARM_NEON) && !defined(__ARM_BIG_ENDIAN)
#if defined(__ARM_FEATURE_DOTPROD)
#define ERNN_TARGET "neon with dot products"
#else
#define ERNN_TARGET "neon"
#endif
#define ERNN_NEON
#define ERNN_LANES 8
#define ERNN_LAYOUT ERNN_TILES
#else
#define ERNN_TARGET "portable"
#define ERNN_LAYOUT ERNN_ROWS
#endif

#if !defined(ERNN_X_PLUS)
#define ERNN_X_PLUS 0
#endif

/* Kernels that these instructions do elsewhere than in the files of portable C. */
#if ERNN_MVE || defined(ERNN_LANES) || ERNN_FC_BY_CMSIS_NN
#define ERNN_FC_ELSEWHERE
#endif
#if ERNN_MVE || defined(ERNN_LANES)
#define ERNN_ELEMENTWISE_ELSEWHERE
#define ERNN_GATES_ELSEWHERE
#endif
#if defined(ERNN_VNNI)
#define ERNN_SOFTMAX_S8_ELSEWHERE
#endif

/* Weights begin at such addresses, so that whole vectors of them can be loaded: of a cache
 * line, where vectors are so long. */
#if defined(ERNN_VNNI)
#define ERNN_ALIGNED __attribute__((aligned(64)))
#elif defined(__GNUC__)
#define ERNN_ALIGNED __attribute__((aligned(16)))
#else
#define ERNN_ALIGNED
#endif

#endif
