/* counter.c - a plugin of QEMU: instructions from each entry of one function to the next entry
 * of another.  It declares the few calls of QEMU's plugin API, version 1, that it uses, since
 * Debian ships no header for them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t id_t_;
typedef void (*executed)(unsigned vcpu, void *data);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_trans_cb(id_t_ id,
                                           void (*cb)(id_t_ id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, executed cb, int flags,
                                            void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op, void *at,
                                                uint64_t by);
void qemu_plugin_register_atexit_cb(id_t_ id, void (*cb)(id_t_ id, void *data), void *data);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static uint64_t begin, end, count, started;
static FILE *out;

static void at_begin(unsigned vcpu, void *data)
{
    (void)vcpu;
    (void)data;
    started = count;
}

static void at_end(unsigned vcpu, void *data)
{
    (void)vcpu;
    (void)data;
    fprintf(out, "%" PRIu64 "\n", count - started);
}

static void translated(id_t_ id, struct qemu_plugin_tb *tb)
{
    size_t i, n = qemu_plugin_tb_n_insns(tb);
    (void)id;
    for (i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const uint64_t at = qemu_plugin_insn_vaddr(insn);
        if (at == begin || at == end) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, at == begin ? at_begin : at_end, 0, NULL);
        }
        qemu_plugin_register_vcpu_insn_exec_inline(insn, 0, &count, 1);
    }
}

static void finished(id_t_ id, void *data)
{
    (void)id;
    (void)data;
    fclose(out);
}

__attribute__((visibility("default"))) int qemu_plugin_install(id_t_ id, const void *info,
                                                               int argc, char **argv)
{
    int i;
    (void)info;
    for (i = 0; i < argc; i++) {
        if (strncmp(argv[i], "begin=", 6) == 0) {
            begin = strtoull(argv[i] + 6, NULL, 0);
        } else if (strncmp(argv[i], "end=", 4) == 0) {
            end = strtoull(argv[i] + 4, NULL, 0);
        } else if (strncmp(argv[i], "out=", 4) == 0) {
            out = fopen(argv[i] + 4, "w");
        }
    }
    if (out == NULL) {
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finished, NULL);
    return 0;
}
