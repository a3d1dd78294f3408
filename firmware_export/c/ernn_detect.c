/* ernn_detect.c - see ernn_detect.h. */
#include "ernn_detect.h"

void ernn_detect_reset(const ernn_detect_t *p, ernn_detect_memory_t memory)
{
    int32_t i;
    memory.at_wait[0] = 0;
    memory.at_wait[1] = 0;
    for (i = 0; i < p->watched; i++) {
        memory.sum[i] = 0;
        memory.armed[i] = 1u;
    }
    for (i = 0; i < p->rows * p->watched; i++) {
        memory.window[i] = 0;
    }
}

int32_t ernn_detect_push(const ernn_detect_t *p, ernn_detect_memory_t memory,
                         const int16_t *scores)
{
    const int32_t at = memory.at_wait[0];
    int32_t best = -1, margin = -1, i;
    for (i = 0; i < p->watched; i++) {
        const int32_t oldest = at - p->n[i] + (at < p->n[i] ? p->rows : 0);
        const int16_t score = scores[p->label[i]];
        memory.sum[i] += score - memory.window[oldest * p->watched + i];
        memory.window[at * p->watched + i] = score;
        if (memory.sum[i] < p->rearm[i]) {
            memory.armed[i] = 1u;
        }
        if (memory.armed[i] != 0u && memory.sum[i] - p->fire[i] > margin) {
            best = i;
            margin = memory.sum[i] - p->fire[i];
        }
    }
    memory.at_wait[0] = (at + 1) % p->rows;
    if (memory.at_wait[1] > 0) {
        memory.at_wait[1]--;
    }
    if (memory.at_wait[1] > 0 || best < 0) {
        return -1;
    }
    memory.armed[best] = 0u;
    memory.at_wait[1] = p->pause[best];
    return best;
}
