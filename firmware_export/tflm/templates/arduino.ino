/* selfcheck.ino - written by edgernn @version@: is this board's build of @name@ to be trusted?
 *
 * Open the serial monitor at 115200 baud.  Then write read_@what@() for your board. */
#include <stdarg.h>
#include <stdio.h>

@include@#include <@name@.h>

static void say(const char *format, ...)
{
    static char line[160];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(line, sizeof line, format, values);
    va_end(values);
    Serial.print(line);
}

#define SAY say
#define NOW_US micros

@example@
static int good;

void setup()
{
    Serial.begin(115200);
    while (!Serial) {
    }
    good = trusted();
}

void loop()
{
    if (good) {
        listen();
    }
}
