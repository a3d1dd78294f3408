/* Yours to write: up to n samples of the microphone, mono, @rate@ Hz; gives how many there are. */
static size_t read_samples(int16_t *samples, size_t n)
{
    (void)samples;
    (void)n;
    return 0u;
}

/* Called again and again. */
static void listen(void)
{
    static int16_t samples[@NAME@_HOP], codes[@NAME@_FEATURES];
    static @name@_feature features[@NAME@_FEATURES];
    const size_t n = read_samples(samples, @NAME@_HOP);
    size_t used = 0u;
    int ready;
    while (used < n) {
        used += @name@_logmel_push(&frontend, &samples[used], n - used, codes, &ready);
        if (ready != 0) {
            @name@_encode(codes, features);
            step(features);
        }
    }
}
