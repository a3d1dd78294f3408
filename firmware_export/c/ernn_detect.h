/* ernn_detect.h - from scores to detections, in integers.
 *
 * The arithmetic of edgernn/detect.py, whose docstring gives it: for each watched label a
 * moving average over n steps, a threshold, a hysteresis and a refractory time. */
#ifndef ERNN_DETECT_H
#define ERNN_DETECT_H
#include <stdint.h>

/* What fires; all of it constant. */
typedef struct {
    const int32_t *label;       /* of the scores, the index of each watched one         */
    const int32_t *n;           /* steps whose scores are averaged                      */
    const int32_t *pause;       /* steps after its detection in which nothing fires     */
    const int32_t *fire;        /* n * round(32768 * threshold)                         */
    const int32_t *rearm;       /* a sum below this lets the label fire again           */
    int32_t watched;            /* how many labels can fire                             */
    int32_t rows;               /* the largest n                                        */
} ernn_detect_t;

/* What it remembers, as places in the caller's memory. */
typedef struct {
    int32_t *at_wait;           /* 2: place in the window, steps until any may fire     */
    int32_t *sum;               /* watched                                              */
    int16_t *window;            /* rows of watched                                      */
    uint8_t *armed;             /* watched                                              */
} ernn_detect_memory_t;

void ernn_detect_reset(const ernn_detect_t *p, ernn_detect_memory_t memory);

/* Take one step's scores, 1.0 being 32768.  Gives the place among the watched labels of the
 * one that fired, or -1; its smoothed score is sum[place] / (n[place] * 32768). */
int32_t ernn_detect_push(const ernn_detect_t *p, ernn_detect_memory_t memory,
                         const int16_t *scores);

#endif
