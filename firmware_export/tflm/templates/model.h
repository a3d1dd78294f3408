/* @name@.h - written by edgernn @version@; do not edit.
 *   from   @model@  sha256 @sha256@
 *   again  @command@
 *
 * @about@
 * Runs in TensorFlow Lite Micro.  The model is @model_bytes@ bytes of flash; RAM
 * sizeof(@name@_state), of which the arena is @NAME@_ARENA_BYTES.
 *
 * Give one frame of features to @name@_step() every @step_ms@; @name@_hold() lets a missing
 * frame pass; @name@_reset() begins a new stream.  All memory is yours.  The calls are those of
 * edgernn export --target c, but for the arena. */
#ifndef @NAME@_H
#define @NAME@_H
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

/* The memory of TensorFlow Lite Micro: @arena_note@
 * Laying it out borrows some of it for a moment, so @name@_arena_used() after a reset is less
 * than is needed.  Define another for the whole build; if it is too small, the reset says so. */
#ifndef @NAME@_ARENA_BYTES
#define @NAME@_ARENA_BYTES @arena_bytes@
#endif

/* Room for its interpreter and for what it must know of @op_count@ ops; @name@@suffix@ checks it. */
#ifndef @NAME@_ENGINE_BYTES
#define @NAME@_ENGINE_BYTES (@engine_pointers@u * sizeof(void *))
#endif

/* What the model remembers. Yours to allocate; one per stream.  It may not be moved after
 * @name@_reset(): there are pointers into it. */
typedef struct {
@state@
    void *engine;                    /* the interpreter; NULL if it refused the model       */
    const char *differs;             /* of @name@_selfcheck(): what differed                 */
    unsigned char engine_memory[@NAME@_ENGINE_BYTES + 16u];
    unsigned char arena[@NAME@_ARENA_BYTES + 16u];
} @name@_state;

extern const size_t @name@_state_size; /* sizeof(@name@_state), for memory that is not static */

/* Forget everything.  Gives 0; or -1 if TensorFlow Lite Micro refuses the model (it says why with
 * MicroPrintf) or the arena is too small.  It lays out the arena anew, which takes about as long
 * as a step. */
int @name@_reset(@name@_state *state);

/* One frame in, one score per label out.  Gives 0@step_errors@;
 * or -1 if TensorFlow Lite Micro fails, or failed at the reset; the state is then as it was. */
int @name@_step(@name@_state *state, const @name@_feature features[@NAME@_FEATURES],
        @name@_score scores[@NAME@_LABELS]);

/* Let a masked or missing frame pass: the state stays, the last scores are repeated. */
void @name@_hold(const @name@_state *state, @name@_score scores[@NAME@_LABELS]);

/* Whether this build computes what edgernn computed: the model's checksum, then @golden_steps@ steps
 * from reset compared with the emulator's, scores and states.  Gives 0 and leaves `state` reset;
 * -1 if the model is damaged or TensorFlow Lite Micro refuses it; or the number of the first
 * step that differs, from 1.  `state->differs` then names what differed: scores, or a state. */
int @name@_selfcheck(@name@_state *state);

/* Bytes of the arena in use between steps; 0 if the reset failed. */
size_t @name@_arena_used(const @name@_state *state);
@more@
#ifdef __cplusplus
}
#endif
#endif
