/* main.c - written by edgernn @version@: is this board's build of @name@ to be trusted?
 *
 *   west build -b qemu_x86 samples/selfcheck -t run
 *
 * Then write read_@what@() for your board. */
#include <zephyr/kernel.h>

#include "@name@.h"

#define SAY printk
#define NOW_US() ((unsigned long)k_cyc_to_us_floor64(k_cycle_get_64()))

@example@
int main(void)
{
    const int good = trusted();
    while (good) {
        listen();
        k_msleep(1);
    }
    return 1;
}
