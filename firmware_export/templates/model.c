/* @name@_model.c - written by edgernn @version@; do not edit.  See @name@_model.h. */
#include "@name@_model.h"

#include <string.h>

#include "ernn.h"
#include "ernn_target.h"

const char *const @name@_labels[@NAME@_LABELS] = {@label_strings@};

const size_t @name@_state_size = sizeof(@name@_state);

/* ---- the model's numbers, in the order of the calls below -------------------------- */

@data@
/* ---- the step ---------------------------------------------------------------------- */

void @name@_reset(@name@_state *state)
{
    int32_t i;
    (void)memset(state, 0, sizeof *state);
@resets@
    for (i = 0; i < @NAME@_LABELS; i++) {
        state->scores[i] = @score_zero@; /* 0.0 */
    }
}

int @name@_step(@name@_state *state, const @name@_feature features[@NAME@_FEATURES],
        @name@_score scores[@NAME@_LABELS])
{
@checks@@calls@
    (void)memcpy(scores, state->scores, sizeof state->scores);
    return 0;
}

void @name@_hold(const @name@_state *state, @name@_score scores[@NAME@_LABELS])
{
    (void)memcpy(scores, state->scores, sizeof state->scores);
}
@source_more@
/* ---- the proof --------------------------------------------------------------------- */

/* Frames, and what edgernn's emulator made of them. */
@golden@
/* Adler-32, which any flipped bit changes. */
static uint32_t adler(const int8_t *data, size_t n, uint32_t sum)
{
    uint32_t low = sum & 0xFFFFu, high = sum >> 16;
    for (; n > 0u; n--) {
        low = (low + (uint8_t)*data++) % 65521u;
        high = (high + low) % 65521u;
    }
    return (high << 16) | low;
}

static int weights_are_whole(void)
{
    uint32_t sum = 1u;
@sums@
    return sum == checksum;
}

int @name@_selfcheck(@name@_state *state)
{
    @name@_score scores[@NAME@_LABELS];
    int step, wrong = weights_are_whole() ? 0 : -1;
    @name@_reset(state);
    for (step = 0; step < @golden_steps@ && wrong == 0; step++) {
        if (@name@_step(state, golden_features[step], scores) != 0 ||
            memcmp(scores, golden_scores[step], sizeof scores) != 0@state_compares@) {
            wrong = step + 1;
        }
    }
    @name@_reset(state);
    return wrong;
}
