/* @name@@suffix@ - written by edgernn @version@; do not edit.  See @name@.h. */
#include "@name@.h"

#include <string.h>

#include <new>
@runtime_include@
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

#include "@name@_golden.h"
#include "@name@_model_data.h"

namespace {

/* TensorFlow Lite Micro, as far as this model needs it. */
struct Engine {
    tflite::MicroMutableOpResolver<@op_count@> resolver;
    tflite::MicroInterpreter interpreter;

    Engine(uint8_t *arena, size_t bytes)
        : interpreter(tflite::GetModel(@array@), resolver, arena, bytes)
    {
    }

    /* Exactly the ops that the model uses: the linker leaves the others out. */
    bool ready()
    {
        return @adders@ &&
               interpreter.AllocateTensors() == kTfLiteOk;
    }

    /* Into input `place` of the model's list. */
    bool give(size_t place, const void *from, size_t bytes)
    {
        TfLiteTensor *tensor = interpreter.input(place);
        if (tensor == nullptr || tensor->bytes != bytes) {
            return false;
        }
        memcpy(tensor->data.data, from, bytes);
        return true;
    }

    /* Out of output `place`. */
    bool take(size_t place, void *to, size_t bytes)
    {
        const TfLiteTensor *tensor = interpreter.output(place);
        if (tensor == nullptr || tensor->bytes != bytes) {
            return false;
        }
        memcpy(to, tensor->data.data, bytes);
        return true;
    }
};

static_assert(sizeof(Engine) <= @NAME@_ENGINE_BYTES,
              "this TensorFlow Lite Micro needs a larger @NAME@_ENGINE_BYTES; define it for the whole build");

uint8_t *aligned(unsigned char *memory)
{
    return reinterpret_cast<uint8_t *>((reinterpret_cast<uintptr_t>(memory) + 15u) &
                                       ~static_cast<uintptr_t>(15u));
}

/* Adler-32, which any flipped bit changes. */
uint32_t adler(const unsigned char *data, size_t n)
{
    uint32_t low = 1u, high = 0u;
    for (; n > 0u; n--) {
        low = (low + *data++) % 65521u;
        high = (high + low) % 65521u;
    }
    return (high << 16) | low;
}

} /* namespace */

extern "C" {

const size_t @name@_state_size = sizeof(@name@_state);

int @name@_reset(@name@_state *state)
{
@resets@
    /* Always made anew: memory that was never reset looks like any other.  An interpreter that
     * was there is left as it is; it has nothing outside of this memory. */
    state->engine = nullptr;
    Engine *engine = new (aligned(state->engine_memory))
        Engine(aligned(state->arena), @NAME@_ARENA_BYTES);
    if (!engine->ready()) {
        return -1;
    }
    state->engine = engine;
    return 0;
}

int @name@_step(@name@_state *state, const @name@_feature features[@NAME@_FEATURES],
        @name@_score scores[@NAME@_LABELS])
{
    Engine *engine = static_cast<Engine *>(state->engine);
@checks@    /* All inputs, every time: the interpreter uses their memory for other things. */
    if (engine == nullptr ||
@gives@
        engine->interpreter.Invoke() != kTfLiteOk ||
@takes@) {
        return -1;
    }
    memcpy(scores, state->scores, sizeof state->scores);
    return 0;
}

void @name@_hold(const @name@_state *state, @name@_score scores[@NAME@_LABELS])
{
    memcpy(scores, state->scores, sizeof state->scores);
}

int @name@_selfcheck(@name@_state *state)
{
    @name@_score scores[@NAME@_LABELS];
    state->engine = nullptr;
    state->differs = "the model";
    if (adler(@array@, @size@) != golden_checksum) {
        return -1;
    }
    state->differs = "TensorFlow Lite Micro";
    if (@name@_reset(state) != 0) {
        return -1;
    }
    state->differs = nullptr;
    for (int step = 0; step < @golden_steps@; step++) {
        if (@name@_step(state, golden_features[step], scores) != 0) {
            state->differs = "TensorFlow Lite Micro";
        } else if (memcmp(scores, golden_scores[step], sizeof scores) != 0) {
            state->differs = "scores";
@state_compares@        }
        if (state->differs != nullptr) {
            return step + 1;
        }
    }
    return @name@_reset(state);
}

size_t @name@_arena_used(const @name@_state *state)
{
    const Engine *engine = static_cast<const Engine *>(state->engine);
    return engine == nullptr ? 0u : engine->interpreter.arena_used_bytes();
}

} /* extern "C" */
