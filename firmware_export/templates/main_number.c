
/* One step's numbers. */
static void tell(const @name@_score scores[@NAME@_LABELS])
{
    const double time_s = @time@;
    steps_done++;
    print_all_scores(scores, time_s);
    (void)fflush(stdout);
}
