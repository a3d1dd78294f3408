/* main.c - @name@ on a desktop: @reads@ from stdin, @prints@ as JSON lines to stdout.
 *
 *   ./@name@ < @example@
 *   ./@name@ --scores < @example@     every step's scores too
 *   ./@name@ --selfcheck              does this build compute what edgernn computed?
 *
 * On a device take what is between "the loop" and its end, and feed it from your driver. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "@header@"

/* All memory there is: no heap. */
static @name@_state state;
@memory@
static unsigned long steps_done;
static int print_scores;

/* A label as JSON wants it. */
static void print_string(const char *text)
{
    (void)putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            (void)putchar('\\');
        }
        if ((unsigned char)*text < 32u) {
            (void)printf("\\u%04x", (unsigned)*text);
        } else {
            (void)putchar(*text);
        }
    }
    (void)putchar('"');
}

static double real_of(@name@_score score)
{
    return (double)((int)score - @score_zero@) * @score_scale@;
}

static void print_all_scores(const @name@_score scores[@NAME@_LABELS], double time_s)
{
    int i;
    (void)printf("{\"scores\": {");
    for (i = 0; i < @NAME@_LABELS; i++) {
        (void)printf("%s", i == 0 ? "" : ", ");
        print_string(@name@_labels[i]);
        (void)printf(": %.5f", real_of(scores[i]));
    }
    (void)printf("}, \"time_s\": %.3f}\n", time_s);
}
@body@
int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "--selfcheck") == 0) {
        const int wrong = @name@_selfcheck(&state);
        (void)printf(wrong == 0  ? "selfcheck passed\n"
                     : wrong < 0 ? "selfcheck: @damaged@\n"
                                 : "selfcheck: step %d differs\n",
                     wrong);
        return wrong == 0 ? 0 : 1;
    }
    print_scores = count > 1 && strcmp(arguments[1], "--scores") == 0;
    if (count > 1 && !print_scores) {
        (void)fprintf(stderr, "usage: %s [--scores | --selfcheck] < @example@\n", arguments[0]);
        return 2;
    }
    @name@_reset(&state);
@start@    return listen();
}
