/* Owns the making of BPF programs. Knows nothing of policies; see syscalls.c for the rules. */
#include "sandbox/bpf.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#if defined(__x86_64__)
#define AUDIT_ARCH_HERE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define AUDIT_ARCH_HERE AUDIT_ARCH_AARCH64
#else
#error "unknown architecture"
#endif

#define DATA_NR      ((uint32_t)offsetof(struct seccomp_data, nr))
#define DATA_ARCH    ((uint32_t)offsetof(struct seccomp_data, arch))
#define DATA_ARG(n)  ((uint32_t)(offsetof(struct seccomp_data, args) + 8u * (n)))
#define DATA_HIGH(n) (DATA_ARG(n) + 4u)

/* A run of system calls [first, next run's first) with the same constant answer, or one system call
 * whose answer depends on its arguments. */
struct run {
    uint32_t first;
    uint32_t action;
    int32_t rule; /* index of the first rule of this number, or -1 */
};

struct builder {
    const sl_bpf_rules *rules;
    struct run runs[SL_BPF_NR_MAX * 2 + 2];
    size_t run_count;
    struct sock_filter *insns;
    size_t len;
    bool full;
};

int sl_bpf_add(sl_bpf_rules *rules, const sl_bpf_rule *rule)
{
    if (rule->nr < 0 || rule->nr >= SL_BPF_NR_MAX || (uint32_t)rule->nr >= rules->known) {
        return -EINVAL;
    }
    if (rules->count == SL_BPF_RULES_MAX) {
        return -E2BIG;
    }
    rules->items[rules->count++] = *rule;
    return 0;
}

static void emit(struct builder *b, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
    if (b->len == SL_BPF_INSNS_MAX) {
        b->full = true;
        return;
    }
    b->insns[b->len++] = (struct sock_filter){.code = code, .jt = jt, .jf = jf, .k = k};
}

static void emit_ret(struct builder *b, uint32_t action)
{
    emit(b, BPF_RET | BPF_K, action, 0, 0);
}

/* The condition's test: falls through when it holds; a failing test jumps with jf or jt to be
 * patched, marked by 0xff. */
#define FAIL 0xff

static void emit_cond(struct builder *b, const sl_bpf_cond *c)
{
    switch (c->op) {
    case SL_BPF_EQ:
    case SL_BPF_NE:
        emit(b, BPF_LD | BPF_W | BPF_ABS, DATA_ARG(c->arg), 0, 0);
        if (c->mask != 0xffffffffu) {
            emit(b, BPF_ALU | BPF_AND | BPF_K, c->mask, 0, 0);
        }
        emit(b, BPF_JMP | BPF_JEQ | BPF_K, c->value, c->op == SL_BPF_EQ ? 0 : FAIL,
             c->op == SL_BPF_EQ ? FAIL : 0);
        break;
    case SL_BPF_NULL:
        emit(b, BPF_LD | BPF_W | BPF_ABS, DATA_ARG(c->arg), 0, 0);
        emit(b, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, FAIL);
        emit(b, BPF_LD | BPF_W | BPF_ABS, DATA_HIGH(c->arg), 0, 0);
        emit(b, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, FAIL);
        break;
    case SL_BPF_NOT_NULL:
        emit(b, BPF_LD | BPF_W | BPF_ABS, DATA_ARG(c->arg), 0, 0);
        emit(b, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2);
        emit(b, BPF_LD | BPF_W | BPF_ABS, DATA_HIGH(c->arg), 0, 0);
        emit(b, BPF_JMP | BPF_JEQ | BPF_K, 0, FAIL, 0);
        break;
    default:
        break;
    }
}

/* One rule: its conditions, then its answer; a failing condition goes on behind it. */
static void emit_rule(struct builder *b, const sl_bpf_rule *rule)
{
    size_t start = b->len;
    for (size_t i = 0; i < SL_BPF_CONDS_MAX && rule->conds[i].op != SL_BPF_NONE; i++) {
        emit_cond(b, &rule->conds[i]);
    }
    emit_ret(b, rule->action);
    for (size_t i = start; i < b->len; i++) {
        struct sock_filter *f = &b->insns[i];
        if (BPF_CLASS(f->code) == BPF_JMP && BPF_OP(f->code) != BPF_JA) {
            uint8_t over = (uint8_t)(b->len - i - 1);
            f->jt = f->jt == FAIL ? over : f->jt;
            f->jf = f->jf == FAIL ? over : f->jf;
        }
    }
}

static void emit_run(struct builder *b, const struct run *run)
{
    if (run->rule < 0) {
        emit_ret(b, run->action);
        return;
    }
    int nr = b->rules->items[run->rule].nr;
    for (size_t i = (size_t)run->rule; i < b->rules->count; i++) {
        const sl_bpf_rule *rule = &b->rules->items[i];
        if (rule->nr != nr) {
            continue;
        }
        emit_rule(b, rule);
        if (rule->conds[0].op == SL_BPF_NONE) {
            return; /* unconditional: nothing behind it can be reached */
        }
    }
    emit_ret(b, SECCOMP_RET_ALLOW);
}

/* The tree over runs [lo, hi): `A` holds the number. */
static void emit_tree(struct builder *b, size_t lo, size_t hi)
{
    if (hi - lo == 1) {
        emit_run(b, &b->runs[lo]);
        return;
    }
    size_t mid = lo + (hi - lo) / 2;
    size_t test = b->len;
    emit(b, BPF_JMP | BPF_JGE | BPF_K, b->runs[mid].first, 0, 1);
    emit(b, BPF_JMP | BPF_JA, 0, 0, 0);
    emit_tree(b, lo, mid);
    if (b->full) {
        return;
    }
    size_t left = b->len - test - 2;
    if (left + 1 <= 255) {
        /* Near enough for the conditional jump alone: take the long jump out again. */
        memmove(&b->insns[test + 1], &b->insns[test + 2], left * sizeof(*b->insns));
        b->len--;
        b->insns[test].jt = (uint8_t)left;
        b->insns[test].jf = 0;
    } else {
        b->insns[test + 1].k = (uint32_t)left;
    }
    emit_tree(b, mid, hi);
}

static void add_run(struct builder *b, uint32_t first, uint32_t action, int32_t rule)
{
    if (b->run_count > 0 && rule < 0) {
        const struct run *last = &b->runs[b->run_count - 1];
        if (last->rule < 0 && last->action == action) {
            return;
        }
    }
    b->runs[b->run_count++] = (struct run){.first = first, .action = action, .rule = rule};
}

static void make_runs(struct builder *b)
{
    int32_t first_rule[SL_BPF_NR_MAX];
    memset(first_rule, 0xff, sizeof(first_rule));
    for (size_t i = b->rules->count; i-- > 0;) {
        first_rule[b->rules->items[i].nr] = (int32_t)i;
    }
    for (uint32_t nr = 0; nr < b->rules->known; nr++) {
        int32_t rule = first_rule[nr];
        if (rule >= 0 && b->rules->items[rule].conds[0].op == SL_BPF_NONE) {
            add_run(b, nr, b->rules->items[rule].action, -1);
        } else {
            add_run(b, nr, SECCOMP_RET_ALLOW, rule);
        }
    }
    add_run(b, b->rules->known, SECCOMP_RET_ERRNO | ENOSYS, -1);
}

int sl_bpf_build(const sl_bpf_rules *rules, struct sock_filter *insns, unsigned short *ret_len)
{
    if (rules->known > SL_BPF_NR_MAX) {
        return -EINVAL;
    }
    sl_autofree struct builder *b = calloc(1, sizeof(*b));
    if (b == NULL) {
        return -ENOMEM;
    }
    b->rules = rules;
    b->insns = insns;
    make_runs(b);
    emit(b, BPF_LD | BPF_W | BPF_ABS, DATA_ARCH, 0, 0);
    emit(b, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_HERE, 1, 0);
    emit_ret(b, SECCOMP_RET_KILL_PROCESS);
    emit(b, BPF_LD | BPF_W | BPF_ABS, DATA_NR, 0, 0);
    /* x32 numbers are unknown numbers too: ENOSYS. */
    emit_tree(b, 0, b->run_count);
    if (b->full) {
        return -E2BIG;
    }
    *ret_len = (unsigned short)b->len;
    return 0;
}
