/* selfcheck.c - written by edgernn @version@: is this board's build of @name@ to be trusted?
 *
 *   idf.py -C examples/selfcheck set-target esp32s3 build flash monitor
 *
 * Then write read_@what@() for your board. */
#include <stdio.h>

#include "esp_timer.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"

#include "@name@.h"

#define SAY printf
#define NOW_US() ((unsigned long)esp_timer_get_time())

@example@
void app_main(void)
{
    const int good = trusted();
    for (;;) {
        if (good) {
            listen();
        }
        vTaskDelay(1);
    }
}
