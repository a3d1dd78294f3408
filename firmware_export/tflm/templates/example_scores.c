    int i;
    if (@name@_step(&state, features, scores) != 0) {
        return;
    }
    for (i = 0; i < @NAME@_LABELS; i++) {
        SAY("%s %d/1000\n", @name@_labels[i],
            (int)(1000.0f * @NAME@_SCORE_SCALE * (float)(scores[i] - @NAME@_SCORE_ZERO)));
    }
