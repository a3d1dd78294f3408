/* All memory there is: no heap. */
static @name@_state state;
@memory@

/* Does this board compute what edgernn computed?  How long does a step take? */
static int trusted(void)
{
    static const @name@_feature frame[@NAME@_FEATURES] = {@one_frame@};
    @name@_score scores[@NAME@_LABELS];
    const int wrong = @name@_selfcheck(&state);
    unsigned long begun;
    int i;
    if (wrong != 0) {
        SAY("selfcheck: %s differs, at step %d\n", state.differs, wrong);
        return 0;
    }
    begun = NOW_US();
    for (i = 0; i < 100; i++) {
        (void)@name@_step(&state, frame, scores);
    }
    SAY("selfcheck passed; %lu us a step, %lu of %lu bytes of arena\n", (NOW_US() - begun) / 100u,
        (unsigned long)@name@_arena_used(&state), (unsigned long)@NAME@_ARENA_BYTES);
    (void)@name@_reset(&state);
@start@    return 1;
}

/* One frame in; what was found is said. */
static void step(const @name@_feature features[@NAME@_FEATURES])
{
    @name@_score scores[@NAME@_LABELS];
@found@}

@listen@
