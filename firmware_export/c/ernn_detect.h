/* ernn_detect.h - from scores to detections, in integers.
 *
 * The arithmetic of edgernn/detect.py, whose docstring gives it: a moving average over n
 * steps, a threshold and a hysteresis for each watched label, and a refractory time. */
#ifndef ERNN_DETECT_H
#define ERNN_DETECT_H
#include <stdint.h>

/* What fires; all of it constant. */
typedef struct {
    const int32_t *label;       /* of the scores, the index of each watched one         */
    const int32_t *fire;        /* n * round(32768 * threshold)                         */
    const int32_t *rearm;       /* a sum below this lets the label fire again           */
    int32_t watched;            /* how many labels can fire                             */
    int32_t n;                  /* steps whose scores are averaged                      */
    int32_t pause;              /* steps after a detection in which nothing fires       */
} ernn_detect_t;

/* What it remembers, as places in the caller's memory. */
typedef struct {
    int32_t *at_since;          /* 2: place in the window, steps since the last firing  */
    int32_t *sum;               /* watched                                              */
    int16_t *window;            /* n rows of watched                                    */
    uint8_t *armed;             /* watched                                              */
} ernn_detect_memory_t;

void ernn_detect_reset(const ernn_detect_t *p, ernn_detect_memory_t memory);

/* Take one step's scores, 1.0 being 32768.  Gives the place among the watched labels of the
 * one that fired, or -1; its smoothed score is sum[place] / (n * 32768). */
int32_t ernn_detect_push(const ernn_detect_t *p, ernn_detect_memory_t memory,
                         const int16_t *scores);

#endif
