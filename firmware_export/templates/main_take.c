
/* One step. */
static void take(const @name@_feature features[@NAME@_FEATURES])
{
    @name@_score scores[@NAME@_LABELS];
    (void)@name@_step(&state, features, scores);
    tell(scores);
}
