/* @name@_model.h - written by edgernn @version@; do not edit.
 *   from   @model@  sha256 @sha256@
 *   again  @command@
 *
 * @about@
 * Weights @weight_bytes@ bytes of flash; RAM sizeof(@name@_state), @state_bytes@ bytes.
 *
 * Give one frame of features to @name@_step() every @step_ms@; @name@_hold() lets a missing
 * frame pass; @name@_reset() begins a new stream.  All memory is yours. */
#ifndef @NAME@_MODEL_H
#define @NAME@_MODEL_H
#include <stddef.h>
#include <stdint.h>
@includes@
#ifdef __cplusplus
extern "C" {
#endif

#define @NAME@_FEATURES @features@ /* values of a frame                                */
#define @NAME@_LABELS   @labels@ /* order of @name@_labels and of scores             */
@scales@
extern const char *const @name@_labels[@NAME@_LABELS];

typedef @feature_t@ @name@_feature; /* @feature_what@ */
typedef @score_t@ @name@_score;

@state@

extern const size_t @name@_state_size; /* sizeof(@name@_state), for memory that is not static */

/* Forget everything. */
void @name@_reset(@name@_state *state);

/* One frame in, one score per label out.  Gives 0@step_errors@. */
int @name@_step(@name@_state *state, const @name@_feature features[@NAME@_FEATURES],
        @name@_score scores[@NAME@_LABELS]);

/* Let a masked or missing frame pass: the state stays, the last scores are repeated. */
void @name@_hold(const @name@_state *state, @name@_score scores[@NAME@_LABELS]);

/* Whether this build computes what edgernn computed: the weights' checksums, then @golden_steps@ steps
 * from reset compared with the emulator's, scores and state.  Gives 0; -1 if the weights are
 * damaged; or the number of the first step that differs, from 1.  `state` is left reset. */
int @name@_selfcheck(@name@_state *state);
@more@
#ifdef __cplusplus
}
#endif
#endif
