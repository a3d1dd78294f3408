
/* Whether a line is @NAME@_FEATURES finite numbers with commas between; a line of names is not. */
static int read_row(const char *line, float row[@NAME@_FEATURES])
{
    int i;
    for (i = 0; i < @NAME@_FEATURES; i++) {
        char *end;
        const double value = strtod(line, &end);
        if (end == line || !(value >= -1e30 && value <= 1e30)) {
            return 0;
        }
        row[i] = (float)value;
        end += strspn(end, " \t");
        if (i + 1 < @NAME@_FEATURES && *end++ != ',') {
            return 0;
        }
        line = end;
    }
    return *line == '\0' || *line == '\n' || *line == '\r';
}

/* Let `missing` rows pass: a short gap is held, after a long one all begins anew. */
static void lose(int missing)
{
    @name@_score scores[@NAME@_LABELS];
    if (missing > @longest_hold@) {
        @name@_reset(&state);
@restart@        steps_done += (unsigned long)missing;
        return;
    }
    for (; missing > 0; missing--) {
        @name@_hold(&state, scores);
        tell(scores);
    }
}

/* ---- the loop ---- */
static int listen(void)
{
    static char line[64 * @NAME@_FEATURES + 1024];
    float row[@NAME@_FEATURES];
    @name@_feature features[@NAME@_FEATURES];
    int missing = 0, first = 1;
    while (fgets(line, (int)sizeof line, stdin) != NULL) {
        if (line[strspn(line, " \t\r\n")] == '\0') {
            continue;
        }
        if (read_row(line, row) != 0) {
            lose(missing);
            missing = 0;
            @name@_encode(row, features);
            take(features);
        } else if (first == 0 || strpbrk(line, "0123456789") != NULL) {
            missing++;
        }
        first = 0;
    }
    return 0;
}
