/* Owns two independent readings of a filter: instruction by instruction, and rule by rule. Shares
 * no line with the generator. */
#include "bpf_sim.h"

#include <errno.h>
#include <linux/audit.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/bpf.h"

static void refuse(const char *why, size_t at)
{
    fprintf(stderr, "instruction %zu: %s\n", at, why);
    abort();
}

static bool jumps(const struct sock_filter *f, uint32_t a, size_t at)
{
    switch (f->code) {
    case BPF_JMP | BPF_JEQ | BPF_K:
        return a == f->k;
    case BPF_JMP | BPF_JGE | BPF_K:
        return a >= f->k;
    case BPF_JMP | BPF_JGT | BPF_K:
        return a > f->k;
    case BPF_JMP | BPF_JSET | BPF_K:
        return (a & f->k) != 0;
    default:
        refuse("an unknown jump", at);
        return false;
    }
}

uint32_t bpf_sim_run(const struct sock_filter *insns, size_t len, const struct seccomp_data *data)
{
    uint32_t a = 0;
    if (len == 0 || len > BPF_MAXINSNS) {
        refuse("a length that the kernel does not take", len);
    }
    for (size_t at = 0; at < len; at++) {
        const struct sock_filter *f = &insns[at];
        switch (f->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            if (f->k % 4 != 0 || f->k + 4 > sizeof(*data)) {
                refuse("a read outside the data", at);
            }
            memcpy(&a, (const char *)data + f->k, sizeof(a));
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= f->k;
            break;
        case BPF_RET | BPF_K:
            return f->k;
        case BPF_JMP | BPF_JA:
            if (f->k >= len - at - 1) {
                refuse("a jump past the end", at);
            }
            at += f->k;
            break;
        default:
            if (f->jt + at + 1 >= len || f->jf + at + 1 >= len) {
                refuse("a jump past the end", at);
            }
            at += jumps(f, a, at) ? f->jt : f->jf;
        }
    }
    refuse("no answer at the end", len);
    return 0;
}

static bool holds(const sl_bpf_cond *c, const struct seccomp_data *data)
{
    uint64_t arg = data->args[c->arg];
    switch (c->op) {
    case SL_BPF_EQ:
        return ((uint32_t)arg & c->mask) == c->value;
    case SL_BPF_NE:
        return ((uint32_t)arg & c->mask) != c->value;
    case SL_BPF_NULL:
        return arg == 0;
    case SL_BPF_NOT_NULL:
        return arg != 0;
    default:
        return true;
    }
}

uint32_t bpf_sim_rules(const sl_bpf_rules *rules, const struct seccomp_data *data)
{
#if defined(__x86_64__)
    const uint32_t here = AUDIT_ARCH_X86_64;
#else
    const uint32_t here = AUDIT_ARCH_AARCH64;
#endif
    if (data->arch != here) {
        return SECCOMP_RET_KILL_PROCESS;
    }
    if (data->nr < 0 || (uint32_t)data->nr >= rules->known) {
        return SECCOMP_RET_ERRNO | ENOSYS;
    }
    for (size_t i = 0; i < rules->count; i++) {
        const sl_bpf_rule *rule = &rules->items[i];
        bool all = rule->nr == data->nr;
        for (size_t c = 0; all && c < SL_BPF_CONDS_MAX; c++) {
            all = holds(&rule->conds[c], data);
        }
        if (all) {
            return rule->action;
        }
    }
    return SECCOMP_RET_ALLOW;
}
