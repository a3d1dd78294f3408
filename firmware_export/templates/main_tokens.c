
static void print_label(const @name@_score scores[@NAME@_LABELS], const char *before)
{
    int i, best = 0;
    for (i = 1; i < @NAME@_LABELS; i++) {
        best = scores[i] > scores[best] ? i : best;
    }
    (void)printf("%s", before);
    print_string(@name@_labels[best]);
    if (@whole@) {
        (void)printf(", \"score\": %.4f", real_of(scores[best]));
    }
}

/* ---- the loop: each line is a text, its tokens as numbers with spaces between ---- */
static int listen(void)
{
    int32_t frame[@NAME@_FEATURES];
    @name@_score scores[@NAME@_LABELS];
    int known = 0, value, after;
    while (scanf("%d", &value) == 1) {
        frame[known++] = (int32_t)value;
        if (known == @NAME@_FEATURES) {
            known = 0;
            if (@name@_step(&state, frame, scores) != 0) {
                (void)fprintf(stderr, "the model has no such token\n");
                return 1;
            }
            if (!@whole@) {
                print_label(scores, steps_done == 0u ? "{\"labels\": [" : ", ");
            }
            if (print_scores) {
                print_all_scores(scores, (double)steps_done);
            }
            steps_done++;
        }
        do {
            after = getchar();
        } while (after == ' ' || after == '\t' || after == '\r');
        if (after != '\n' && after != EOF) {
            (void)ungetc(after, stdin);
        } else if (steps_done > 0u) { /* the end of a text */
            if (@whole@) {
                print_label(scores, "{\"label\": ");
            }
            (void)printf("%s}\n", @whole@ ? "" : "]");
            (void)fflush(stdout);
            @name@_reset(&state);
            steps_done = 0;
            known = 0;
        }
    }
    return 0;
}
