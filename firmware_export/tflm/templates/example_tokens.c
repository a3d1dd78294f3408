/* Yours to write: a frame of tokens' numbers; gives 1, or 0 if there is none yet. */
static int read_frame(@name@_feature frame[@NAME@_FEATURES])
{
    (void)frame;
    return 0;
}

/* Called again and again. */
static void listen(void)
{
    @name@_feature frame[@NAME@_FEATURES];
    if (read_frame(frame) != 0) {
        step(frame);
    }
}
