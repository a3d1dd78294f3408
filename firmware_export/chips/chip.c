/* chip.c - semihosting: a debugger's trap through which a chip without an operating system
 * reads and writes its host's files ("Semihosting for AArch32 and AArch64", Arm; "RISC-V
 * Semihosting", the same calls behind another trap).  And the start: memory, then main. */
#include "chip.h"

enum { SYS_OPEN = 0x01, SYS_WRITE0 = 0x04, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT = 0x20 };
enum { READ_BINARY = 1, WRITE_BINARY = 5 };
#define EXITED 0x20026 /* ADP_Stopped_ApplicationExit */

typedef uintptr_t word;

/* Of the linker script. */
extern uint32_t chip_data_from[], chip_data[], chip_data_end[], chip_bss[], chip_bss_end[];
extern uint32_t chip_stack[], chip_stack_top[];

#define PAINT 0xC0FFEE00u

#if defined(__riscv)
static word host(word call, const word *arguments)
{
    register word a0 __asm__("a0") = call;
    register word a1 __asm__("a1") = (word)arguments;
    /* The three may not lie on two pages, and none may be a short instruction. */
    __asm__ volatile(".balign 16\n.option push\n.option norvc\n"
                     "slli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n.option pop"
                     : "+r"(a0) : "r"(a1) : "memory");
    return a0;
}
#else
static word host(word call, const word *arguments)
{
    register word r0 __asm__("r0") = call;
    register word r1 __asm__("r1") = (word)arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
#endif

static void leave(int code)
{
    const word arguments[2] = {EXITED, (word)code};
    for (;;) {
        (void)host(SYS_EXIT, arguments);
    }
}

static word opened(const char *name, size_t length, word mode)
{
    const word arguments[3] = {(word)name, mode, length};
    const word file = host(SYS_OPEN, arguments);
    if (file == (word)-1) {
        chip_print("cannot open a file of the host\n");
        leave(120);
    }
    return file;
}

size_t chip_read(void *to, size_t bytes)
{
    static word file;
    word arguments[3];
    if (file == 0u) {
        file = opened("input", 5, READ_BINARY);
    }
    arguments[0] = file;
    arguments[1] = (word)to;
    arguments[2] = bytes;
    return bytes - host(SYS_READ, arguments); /* which says how many are missing */
}

void chip_write(const void *from, size_t bytes)
{
    static word file;
    word arguments[3];
    if (file == 0u) {
        file = opened("output", 6, WRITE_BINARY);
    }
    arguments[0] = file;
    arguments[1] = (word)from;
    arguments[2] = bytes;
    if (host(SYS_WRITE, arguments) != 0u) {
        leave(121);
    }
}

void chip_print(const char *text)
{
    (void)host(SYS_WRITE0, (const word *)(const void *)text);
}

size_t chip_stack_used(void)
{
    const uint32_t *at = chip_stack;
    while (at < chip_stack_top && *at == PAINT) {
        at++;
    }
    return (size_t)(chip_stack_top - at) * sizeof *at;
}

__attribute__((noinline)) void chip_begin(void)
{
    __asm__ volatile("");
}

__attribute__((noinline)) void chip_end(void)
{
    __asm__ volatile("");
}

/* A compiler may call these for struct copies and loops. */
void *memcpy(void *to, const void *from, size_t n)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    while (n-- > 0u) {
        *t++ = *f++;
        __asm__ volatile(""); /* or this loop becomes a call of memcpy */
    }
    return to;
}

void *memset(void *to, int value, size_t n)
{
    unsigned char *t = to;
    while (n-- > 0u) {
        *t++ = (unsigned char)value;
        __asm__ volatile("");
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *p = a, *q = b;
    for (; n > 0u; n--, p++, q++) {
        if (*p != *q) {
            return *p < *q ? -1 : 1;
        }
    }
    return 0;
}

static void fault(void)
{
    chip_print("the processor faulted\n");
    leave(122);
}

/* Called by the reset, with the stack at its top and nothing else done. */
void chip_start(void);
void chip_start(void)
{
    const uint32_t *from = chip_data_from;
    uint32_t *to;
    uint32_t *end = (uint32_t *)__builtin_frame_address(0) - 16;
#if defined(__ARM_ARCH) && (defined(__ARM_FP) || defined(__ARM_FEATURE_MVE))
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: floats and vectors */
    __asm__ volatile("dsb\nisb");
#endif
    for (to = chip_stack; to < end; to++) {
        *to = PAINT;
    }
    for (to = chip_data; to < chip_data_end; to++) {
        *to = *from++;
    }
    for (to = chip_bss; to < chip_bss_end; to++) {
        *to = 0u;
    }
    leave(chip_main());
}

#if defined(__riscv)
void chip_reset(void);
__attribute__((naked, section(".reset"), used)) void chip_reset(void)
{
    __asm__ volatile(".option push\n.option norelax\nla gp, __global_pointer$\n"
                     ".option arch, +zicsr\n"
                     "la t0, chip_trap\ncsrw mtvec, t0\nla sp, chip_stack_top\nj chip_start\n.option pop");
}
__attribute__((aligned(4), used)) void chip_trap(void);
void chip_trap(void)
{
    fault();
}
#else
__attribute__((section(".reset"), used)) static const word vectors[16] = {
    (word)chip_stack_top, (word)chip_start, (word)fault, (word)fault, (word)fault, (word)fault,
    (word)fault};
#endif
