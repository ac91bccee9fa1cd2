/* The seccomp filter as a program: our own generator.
 *
 * Rules of one system call are tried in the order they were added; the first whose conditions all
 * hold decides, and a call without a deciding rule is allowed. Numbers that this build does not
 * know answer ENOSYS, a foreign architecture kills (seccomp(2)). The program is a binary search
 * over runs of numbers with equal answer: short to install and to run. */
#ifndef SANDLOCK_KERNEL_BPF_H
#define SANDLOCK_KERNEL_BPF_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL_BPF_CONDS_MAX 3
#define SL_BPF_RULES_MAX 640
#define SL_BPF_INSNS_MAX 4096 /* BPF_MAXINSNS */
#define SL_BPF_NR_MAX    512  /* one above the highest number that a rule may name */

/* What a rule answers: the call fails with this errno, and nobody is asked. */
#define SL_BPF_ERRNO(e) (SECCOMP_RET_ERRNO | (uint32_t)(e))

enum sl_bpf_op {
    SL_BPF_NONE = 0,
    SL_BPF_EQ,       /* low word & mask == value */
    SL_BPF_NE,       /* low word & mask != value */
    SL_BPF_NULL,     /* all 64 bits are zero (pointers) */
    SL_BPF_NOT_NULL, /* some bit of 64 is set */
};

/* A condition on one argument. EQ and NE look at the low 32 bits only: the kernel takes an int from
 * there, whatever the upper half says. */
typedef struct sl_bpf_cond {
    uint8_t arg;
    uint8_t op;
    uint32_t mask;
    uint32_t value;
} sl_bpf_cond;

#define SL_ARG_EQ(n, v)                                                                            \
    {                                                                                              \
        .arg = (n), .op = SL_BPF_EQ, .mask = 0xffffffffu, .value = (v)                             \
    }
#define SL_ARG_NE(n, v)                                                                            \
    {                                                                                              \
        .arg = (n), .op = SL_BPF_NE, .mask = 0xffffffffu, .value = (v)                             \
    }
#define SL_ARG_MASK_EQ(n, m, v)                                                                    \
    {                                                                                              \
        .arg = (n), .op = SL_BPF_EQ, .mask = (m), .value = (v)                                     \
    }
#define SL_ARG_MASK_NE(n, m, v)                                                                    \
    {                                                                                              \
        .arg = (n), .op = SL_BPF_NE, .mask = (m), .value = (v)                                     \
    }
#define SL_ARG_NULL(n)                                                                             \
    {                                                                                              \
        .arg = (n), .op = SL_BPF_NULL                                                              \
    }
#define SL_ARG_NOT_NULL(n)                                                                         \
    {                                                                                              \
        .arg = (n), .op = SL_BPF_NOT_NULL                                                          \
    }

/* `action` is a SECCOMP_RET_* value with its data. */
typedef struct sl_bpf_rule {
    int nr;
    uint32_t action;
    sl_bpf_cond conds[SL_BPF_CONDS_MAX];
} sl_bpf_rule;

typedef struct sl_bpf_rules {
    uint32_t known; /* numbers below are known to this build; the others answer ENOSYS */
    size_t count;
    sl_bpf_rule items[SL_BPF_RULES_MAX];
} sl_bpf_rules;

/* 0, -E2BIG when the table is full, -EINVAL for a number out of range. */
int sl_bpf_add(sl_bpf_rules *rules, const sl_bpf_rule *rule);

/* Writes the program. `insns` has room for SL_BPF_INSNS_MAX. 0 with *ret_len, or -E2BIG,
 * -EINVAL when `known` is past SL_BPF_NR_MAX. */
int sl_bpf_build(const sl_bpf_rules *rules, struct sock_filter *insns, unsigned short *ret_len);

#endif
