
/* What the detector says of one step's scores. */
static void tell(const @name@_score scores[@NAME@_LABELS])
{
    const double time_s = @time@;
    @name@_detection found;
    steps_done++;
    if (print_scores) {
        print_all_scores(scores, time_s);
    }
    if (@name@_detect_push(&detector, scores, &found) != 0) {
        (void)printf("{\"label\": ");
        print_string(@name@_labels[found.label]);
        (void)printf(", \"score\": %.4f, \"time_s\": %.3f}\n",
                     (double)found.sum / found.one, time_s);
    }
    (void)fflush(stdout);
}
