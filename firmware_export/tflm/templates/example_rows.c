/* Yours to write: a row of the sensor, in its own units; gives 1, or 0 if there is none yet. */
static int read_row(float row[@NAME@_FEATURES])
{
    (void)row;
    return 0;
}

/* Called again and again. */
static void listen(void)
{
    float row[@NAME@_FEATURES];
    @name@_feature features[@NAME@_FEATURES];
    if (read_row(row) != 0) {
        @name@_encode(row, features);
        step(features);
    }
}
