/* Owns the making of BPF programs. Knows nothing of policies; see syscalls.c for the rules. */
#include "kernel/bpf.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"
#include "kernel/arch/arch.h"

#define DATA_NR      ((uint32_t)offsetof(struct seccomp_data, nr))
#define DATA_ARCH    ((uint32_t)offsetof(struct seccomp_data, arch))
#define DATA_ARG(n)  ((uint32_t)(offsetof(struct seccomp_data, args) + 8u * (n)))
#define DATA_HIGH(n) (DATA_ARG(n) + 4u)

#define REACH       255
#define RETURNS_MAX 32

/* A run of system calls [first, next run's first) with the same constant answer, or one system call
 * whose answer depends on its arguments. */
struct run {
    uint32_t first;
    uint32_t action;
    int32_t rule; /* index of the first rule of this number, or -1 */
};

/* The program is written from its end to its start: every jump goes forward to a place that is
 * known already, and equal answers share one return. */
struct builder {
    const sl_bpf_rules *rules;
    struct run runs[SL_BPF_NR_MAX * 2 + 2];
    size_t run_count;
    struct sock_filter *insns;
    size_t pos; /* of the last one written; it moves down */
    bool full;
    struct {
        uint32_t action;
        size_t at;
    } returns[RETURNS_MAX];
    size_t return_count;
};

/* Where the test of a condition begins, for those who have its value loaded already. */
struct entry {
    size_t at;   /* with the load */
    size_t test; /* behind the load */
    uint8_t arg;
    uint32_t mask; /* 0: nobody may skip the load */
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

static size_t emit(struct builder *b, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
    if (b->pos == 0) {
        b->full = true;
        return 0;
    }
    b->insns[--b->pos] = (struct sock_filter){.code = code, .jt = jt, .jf = jf, .k = k};
    return b->pos;
}

static size_t emit_return(struct builder *b, uint32_t action)
{
    for (size_t i = 0; i < b->return_count; i++) {
        if (b->returns[i].action == action && b->returns[i].at - b->pos <= REACH) {
            return b->returns[i].at;
        }
    }
    size_t at = emit(b, BPF_RET | BPF_K, action, 0, 0);
    size_t slot = 0;
    while (slot < b->return_count && b->returns[slot].action != action) {
        slot++;
    }
    if (slot < RETURNS_MAX) {
        b->returns[slot].action = action;
        b->returns[slot].at = at;
        b->return_count = SL_MAX(b->return_count, slot + 1);
    }
    return at;
}

/* A place that a conditional jump written next can reach (its offset has eight bits). `spare`: how
 * many instructions may come in between. */
static size_t within_reach(struct builder *b, size_t target, size_t spare)
{
    if (target - b->pos + spare <= REACH) {
        return target;
    }
    if (b->insns[target].code == (BPF_RET | BPF_K)) {
        return emit_return(b, b->insns[target].k);
    }
    return emit(b, BPF_JMP | BPF_JA, (uint32_t)(target - b->pos), 0, 0);
}

static size_t emit_jump(struct builder *b, uint16_t test, uint32_t k, size_t yes, size_t no)
{
    yes = within_reach(b, yes, 2);
    no = within_reach(b, no, 1);
    return emit(b, BPF_JMP | test | BPF_K, k, (uint8_t)(yes - b->pos), (uint8_t)(no - b->pos));
}

static size_t emit_load(struct builder *b, uint32_t offset)
{
    return emit(b, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

/* One condition: to `yes` when it holds, else to `no`, behind whose load it may arrive. */
static struct entry emit_cond(struct builder *b, const sl_bpf_cond *c, size_t yes, struct entry no)
{
    struct entry e = {.arg = c->arg};
    if (c->op == SL_BPF_NULL || c->op == SL_BPF_NOT_NULL) {
        size_t zero = c->op == SL_BPF_NULL ? yes : no.at;
        size_t some = c->op == SL_BPF_NULL ? no.at : yes;
        size_t high = emit_jump(b, BPF_JEQ, 0, zero, some);
        high = emit_load(b, DATA_HIGH(c->arg));
        emit_jump(b, BPF_JEQ, 0, high, some);
        e.at = emit_load(b, DATA_ARG(c->arg));
        return e;
    }
    size_t fail = no.mask == c->mask && no.arg == c->arg ? no.test : no.at;
    e.mask = c->mask;
    e.test = c->op == SL_BPF_EQ ? emit_jump(b, BPF_JEQ, c->value, yes, fail)
                                : emit_jump(b, BPF_JEQ, c->value, fail, yes);
    if (c->mask != 0xffffffffu) {
        emit(b, BPF_ALU | BPF_AND | BPF_K, c->mask, 0, 0);
    }
    e.at = emit_load(b, DATA_ARG(c->arg));
    return e;
}

/* The rules of one number, the last first: each falls to the one behind it. */
static size_t emit_rules(struct builder *b, int nr)
{
    struct entry next = {.at = emit_return(b, SECCOMP_RET_ALLOW)};
    for (size_t i = b->rules->count; i-- > 0;) {
        const sl_bpf_rule *rule = &b->rules->items[i];
        if (rule->nr != nr) {
            continue;
        }
        struct entry place = {.at = emit_return(b, rule->action)};
        size_t conds = 0;
        while (conds < SL_BPF_CONDS_MAX && rule->conds[conds].op != SL_BPF_NONE) {
            conds++;
        }
        while (conds-- > 0) {
            place = emit_cond(b, &rule->conds[conds], place.at, next);
        }
        next = place;
    }
    return next.at;
}

/* The tree over runs [lo, hi): the accumulator holds the number. */
static size_t emit_tree(struct builder *b, size_t lo, size_t hi)
{
    if (hi - lo == 1) {
        const struct run *run = &b->runs[lo];
        return run->rule < 0 ? emit_return(b, run->action)
                             : emit_rules(b, b->rules->items[run->rule].nr);
    }
    size_t mid = lo + (hi - lo) / 2;
    size_t right = emit_tree(b, mid, hi);
    size_t left = emit_tree(b, lo, mid);
    return b->full ? 0 : emit_jump(b, BPF_JGE, b->runs[mid].first, right, left);
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
    add_run(b, b->rules->known, SL_BPF_ERRNO(ENOSYS), -1);
}

int sl_bpf_build(const sl_bpf_rules *rules, struct sock_filter *insns, unsigned short *ret_len)
{
    if (rules->known > SL_BPF_NR_MAX) {
        return -EINVAL;
    }
    sl_autofree struct builder *b = malloc(sizeof(*b));
    if (b == NULL) {
        return -ENOMEM;
    }
    b->rules = rules;
    b->run_count = 0;
    b->insns = insns;
    b->pos = SL_BPF_INSNS_MAX;
    b->full = false;
    b->return_count = 0;
    make_runs(b);
    size_t tree = emit_tree(b, 0, b->run_count);
    /* x32 numbers are unknown numbers too: ENOSYS. */
    size_t foreign = emit_return(b, SECCOMP_RET_KILL_PROCESS);
    if (b->full) {
        return -E2BIG;
    }
    if (tree != b->pos) {
        tree = emit(b, BPF_JMP | BPF_JA, (uint32_t)(tree - b->pos), 0, 0);
    }
    tree = emit_load(b, DATA_NR);
    emit_jump(b, BPF_JEQ, sl_arch_audit, tree, foreign);
    emit_load(b, DATA_ARCH);
    if (b->full) {
        return -E2BIG;
    }
    size_t len = SL_BPF_INSNS_MAX - b->pos;
    memmove(insns, insns + b->pos, len * sizeof(*insns));
    *ret_len = (unsigned short)len;
    return 0;
}
