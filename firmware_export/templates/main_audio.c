
static void take_row(const int16_t codes[@NAME@_FEATURES])
{
    @name@_feature features[@NAME@_FEATURES];
    @name@_encode(codes, features);
    take(features);
}

/* ---- the loop ---- */
static int listen(void)
{
    uint8_t bytes[2 * @NAME@_HOP];
    int16_t samples[@NAME@_HOP], codes[@NAME@_FEATURES];
    size_t got;
    int ready;
    @name@_logmel_reset(&frontend);
    while ((got = fread(bytes, 2, @NAME@_HOP, stdin)) > 0u) {
        size_t i, used = 0;
        for (i = 0; i < got; i++) { /* little-endian, whatever this machine is */
            samples[i] = (int16_t)(uint16_t)((unsigned)bytes[2 * i] | ((unsigned)bytes[2 * i + 1] << 8));
        }
        while (used < got) {
            used += @name@_logmel_push(&frontend, &samples[used], got - used, codes, &ready);
            if (ready != 0) {
                take_row(codes);
            }
        }
    }
    if (@name@_logmel_flush(&frontend, codes) != 0) {
        take_row(codes);
    }
    return 0;
}
