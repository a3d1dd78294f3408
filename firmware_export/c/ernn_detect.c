/* ernn_detect.c - see ernn_detect.h. */
#include "ernn_detect.h"

void ernn_detect_reset(const ernn_detect_t *p, ernn_detect_memory_t memory)
{
    int32_t i;
    memory.at_since[0] = 0;
    memory.at_since[1] = p->pause;
    for (i = 0; i < p->watched; i++) {
        memory.sum[i] = 0;
        memory.armed[i] = 1u;
    }
    for (i = 0; i < p->n * p->watched; i++) {
        memory.window[i] = 0;
    }
}

int32_t ernn_detect_push(const ernn_detect_t *p, ernn_detect_memory_t memory,
                         const int16_t *scores)
{
    int16_t *oldest = &memory.window[memory.at_since[0] * p->watched];
    int32_t best = -1, margin = -1, i;
    for (i = 0; i < p->watched; i++) {
        memory.sum[i] += scores[p->label[i]] - oldest[i];
        oldest[i] = scores[p->label[i]];
        if (memory.sum[i] < p->rearm[i]) {
            memory.armed[i] = 1u;
        }
        if (memory.armed[i] != 0u && memory.sum[i] - p->fire[i] > margin) {
            best = i;
            margin = memory.sum[i] - p->fire[i];
        }
    }
    memory.at_since[0] = (memory.at_since[0] + 1) % p->n;
    if (memory.at_since[1] < p->pause) {
        memory.at_since[1]++;
    }
    if (memory.at_since[1] < p->pause || best < 0) {
        return -1;
    }
    memory.armed[best] = 0u;
    memory.at_since[1] = 0;
    return best;
}
