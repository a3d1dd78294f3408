    @name@_detection found;
    if (@name@_step(&state, features, scores) == 0 &&
        @name@_detect_push(&detector, scores, &found) != 0) {
        SAY("%s, %d %%\n", @name@_labels[found.label],
            (int)((int64_t)100 * found.sum / found.one));
    }
