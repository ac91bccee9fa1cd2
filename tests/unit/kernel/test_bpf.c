/* Hand-made rules through the generator, run in the simulator. PROC-02, PROC-03, PROC-19. */
#include <errno.h>
#include <linux/audit.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bpf_sim.h"
#include "core/util.h"
#include "kernel/bpf.h"

#if defined(__x86_64__)
#define HERE    AUDIT_ARCH_X86_64
#define FOREIGN AUDIT_ARCH_I386
#else
#define HERE    AUDIT_ARCH_AARCH64
#define FOREIGN AUDIT_ARCH_ARM
#endif

#define E(n)  (SECCOMP_RET_ERRNO | (n))
#define NOTIF SECCOMP_RET_USER_NOTIF
#define ALLOW SECCOMP_RET_ALLOW
#define HIGH  0xdeadbeef00000000u

struct filter {
    sl_bpf_rules rules;
    struct sock_filter insns[SL_BPF_INSNS_MAX];
    unsigned short len;
};

static struct filter *make(uint32_t known, const sl_bpf_rule *rules, size_t count)
{
    struct filter *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->rules.known = known;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(sl_bpf_add(&f->rules, &rules[i]), 0);
    }
    assert_int_equal(sl_bpf_build(&f->rules, f->insns, &f->len), 0);
    return f;
}

static uint32_t ask(const struct filter *f, int nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
    struct seccomp_data data = {.nr = nr, .arch = HERE, .args = {a0, a1, a2}};
    uint32_t got = bpf_sim_run(f->insns, f->len, &data);
    assert_int_equal(got, bpf_sim_rules(&f->rules, &data));
    return got;
}

static void without_rules_all_known_calls_pass(void **state)
{
    (void)state;
    sl_autofree struct filter *f = make(400, NULL, 0);
    assert_int_equal(ask(f, 0, 0, 0, 0), ALLOW);
    assert_int_equal(ask(f, 399, 0, 0, 0), ALLOW);
}

static void unknown_numbers_do_not_exist(void **state)
{
    (void)state;
    sl_autofree struct filter *f = make(400, NULL, 0);
    assert_int_equal(ask(f, 400, 0, 0, 0), E(ENOSYS));
    assert_int_equal(ask(f, 511, 0, 0, 0), E(ENOSYS));
    assert_int_equal(ask(f, INT32_MAX, 0, 0, 0), E(ENOSYS));
    assert_int_equal(ask(f, -1, 0, 0, 0), E(ENOSYS));
}

static void x32_numbers_do_not_exist(void **state)
{
    (void)state;
    static const sl_bpf_rule rules[] = {{.nr = 1, .action = NOTIF}};
    sl_autofree struct filter *f = make(400, rules, 1);
    for (int nr = 0; nr < 600; nr++) {
        assert_int_equal(ask(f, nr | 0x40000000, 0, 0, 0), E(ENOSYS));
    }
}

static void another_architecture_is_killed(void **state)
{
    (void)state;
    sl_autofree struct filter *f = make(400, NULL, 0);
    struct seccomp_data data = {.nr = 1, .arch = FOREIGN};
    assert_int_equal(bpf_sim_run(f->insns, f->len, &data), SECCOMP_RET_KILL_PROCESS);
}

static void first_rule_that_holds_decides(void **state)
{
    (void)state;
    static const sl_bpf_rule rules[] = {
        {.nr = 10, .action = E(EPERM), .conds = {SL_ARG_EQ(0, 5)}},
        {.nr = 11, .action = NOTIF},
        {.nr = 10, .action = ALLOW, .conds = {SL_ARG_MASK_EQ(0, 1, 1)}},
        {.nr = 10, .action = NOTIF},
        {.nr = 10, .action = E(EACCES)}, /* never reached */
    };
    sl_autofree struct filter *f = make(400, rules, SL_ARRAY_LEN(rules));
    assert_int_equal(ask(f, 10, 5, 0, 0), E(EPERM));
    assert_int_equal(ask(f, 10, 7, 0, 0), ALLOW);
    assert_int_equal(ask(f, 10, 6, 0, 0), NOTIF);
    assert_int_equal(ask(f, 11, 5, 0, 0), NOTIF);
    assert_int_equal(ask(f, 9, 5, 0, 0), ALLOW);
    assert_int_equal(ask(f, 12, 5, 0, 0), ALLOW);
}

/* The kernel takes an int from the low half, so the upper half cannot hide it (PROC-03). */
static void numbers_ignore_the_upper_half(void **state)
{
    (void)state;
    static const sl_bpf_rule rules[] = {
        {.nr = 20, .action = E(EPERM), .conds = {SL_ARG_EQ(1, 0x5412)}},
        {.nr = 21, .action = E(EPERM), .conds = {SL_ARG_NE(0, 0)}},
        {.nr = 22, .action = E(EPERM), .conds = {SL_ARG_MASK_NE(0, 0x7e020000, 0)}},
        {.nr = 23, .action = E(EPERM), .conds = {SL_ARG_MASK_EQ(2, 0xf, 3)}},
    };
    sl_autofree struct filter *f = make(400, rules, SL_ARRAY_LEN(rules));
    assert_int_equal(ask(f, 20, 0, 0x5412, 0), E(EPERM));
    assert_int_equal(ask(f, 20, 0, HIGH | 0x5412, 0), E(EPERM));
    assert_int_equal(ask(f, 20, 0, HIGH | 0x5413, 0), ALLOW);
    assert_int_equal(ask(f, 21, HIGH, 0, 0), ALLOW);
    assert_int_equal(ask(f, 21, HIGH | 1, 0, 0), E(EPERM));
    assert_int_equal(ask(f, 22, HIGH | 0x10000000, 0, 0), E(EPERM));
    assert_int_equal(ask(f, 22, 0x7e02000000000000u, 0, 0), ALLOW);
    assert_int_equal(ask(f, 23, 0, 0, HIGH | 0x80803), E(EPERM));
    assert_int_equal(ask(f, 23, 0, 0, HIGH | 0x80804), ALLOW);
}

/* Pointers count with all their bits: 4 GiB is not NULL. */
static void pointers_count_whole(void **state)
{
    (void)state;
    static const sl_bpf_rule rules[] = {
        {.nr = 30, .action = ALLOW, .conds = {SL_ARG_NULL(0)}},
        {.nr = 30, .action = NOTIF},
        {.nr = 31, .action = NOTIF, .conds = {SL_ARG_NOT_NULL(0)}},
    };
    sl_autofree struct filter *f = make(400, rules, SL_ARRAY_LEN(rules));
    static const uint64_t set[] = {1, 0x100000000u, 0x8000000000000000u, UINT64_MAX, 0xffffffffu};
    assert_int_equal(ask(f, 30, 0, 0, 0), ALLOW);
    assert_int_equal(ask(f, 31, 0, 0, 0), ALLOW);
    for (size_t i = 0; i < SL_ARRAY_LEN(set); i++) {
        assert_int_equal(ask(f, 30, set[i], 0, 0), NOTIF);
        assert_int_equal(ask(f, 31, set[i], 0, 0), NOTIF);
    }
}

static void all_conditions_of_a_rule_must_hold(void **state)
{
    (void)state;
    static const sl_bpf_rule rules[] = {
        {.nr = 40,
         .action = ALLOW,
         .conds = {SL_ARG_EQ(0, 2), SL_ARG_MASK_EQ(1, 0xf, 1), SL_ARG_EQ(2, 6)}},
        {.nr = 40, .action = NOTIF, .conds = {SL_ARG_NE(0, 2), SL_ARG_NOT_NULL(2)}},
        {.nr = 40, .action = E(EACCES)},
    };
    sl_autofree struct filter *f = make(400, rules, SL_ARRAY_LEN(rules));
    assert_int_equal(ask(f, 40, 2, 0x80801, 6), ALLOW);
    assert_int_equal(ask(f, 40, 3, 0x80801, 6), NOTIF);
    assert_int_equal(ask(f, 40, 2, 2, 6), E(EACCES));
    assert_int_equal(ask(f, 40, 2, 1, 7), E(EACCES));
    assert_int_equal(ask(f, 40, 3, 1, 0), E(EACCES));
}

/* Trees whose halves are further apart than the 255 of a conditional jump. */
static void long_programs_jump_far(void **state)
{
    (void)state;
    sl_bpf_rule rules[SL_BPF_RULES_MAX];
    size_t count = 0;
    for (int nr = 0; nr < 210; nr++) {
        rules[count++] = (sl_bpf_rule){
            .nr = nr * 2, .action = E(nr + 1), .conds = {SL_ARG_EQ(0, 1), SL_ARG_NOT_NULL(1)}};
        rules[count++] = (sl_bpf_rule){
            .nr = nr * 2, .action = NOTIF, .conds = {SL_ARG_MASK_NE(2, 0xff00, 0x100)}};
        rules[count++] = (sl_bpf_rule){.nr = nr * 2, .action = E(EACCES)};
    }
    sl_autofree struct filter *f = make(450, rules, count);
    assert_true(f->len > 1024);
    for (int nr = 0; nr < 460; nr++) {
        for (unsigned bits = 0; bits < 8; bits++) {
            uint64_t a2 = (bits & 4) != 0 ? 0x100 : 0x200;
            uint32_t got = ask(f, nr, bits & 1, (bits & 2) != 0 ? HIGH : 0, a2);
            if (nr >= 450) {
                assert_int_equal(got, E(ENOSYS));
            } else if (nr % 2 != 0 || nr >= 420) {
                assert_int_equal(got, ALLOW);
            } else if ((bits & 3) == 3) {
                assert_int_equal(got, E(nr / 2 + 1));
            } else {
                assert_int_equal(got, (bits & 4) != 0 ? E(EACCES) : NOTIF);
            }
        }
    }
}

/* Programs that grow by one instruction at a time: each jump is once as long as can be, and once
 * one too long. */
static void every_distance_is_reached(void **state)
{
    (void)state;
    for (int count = 1; count < 250; count++) {
        sl_bpf_rule rules[SL_BPF_RULES_MAX];
        size_t n = 0;
        for (int nr = 0; nr < count; nr++) {
            sl_bpf_rule rule = {.nr = nr, .action = E(nr + 1)};
            if (nr < 2 || nr % 7 == 0) {
                rule = (sl_bpf_rule){
                    .nr = nr,
                    .action = NOTIF, /* two shared answers, each a little further away each time */
                    .conds = {SL_ARG_NOT_NULL(0), SL_ARG_MASK_EQ(1, 0xff, 1), SL_ARG_NULL(2)}};
            } else if (nr % 2 == 0) {
                rule.conds[0] = (sl_bpf_cond)SL_ARG_NE(0, (uint32_t)nr);
            }
            rules[n++] = rule;
        }
        sl_autofree struct filter *f = make(400, rules, n);
        for (int nr = 0; nr <= count; nr++) {
            for (unsigned bits = 0; bits < 8; bits++) {
                ask(f, nr, (bits & 1) * HIGH, bits >> 1 & 1, (bits >> 2 & 1) * HIGH);
            }
            ask(f, nr, (uint64_t)nr, 1, 0);
        }
    }
}

static void a_program_too_long_is_refused(void **state)
{
    (void)state;
    sl_autofree struct filter *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->rules.known = SL_BPF_NR_MAX;
    for (size_t i = 0; i < SL_BPF_RULES_MAX; i++) {
        sl_bpf_rule rule = {.nr = (int)(i % SL_BPF_NR_MAX),
                            .action = E(1),
                            .conds = {SL_ARG_NULL(0), SL_ARG_NOT_NULL(1), SL_ARG_NULL(2)}};
        assert_int_equal(sl_bpf_add(&f->rules, &rule), 0);
    }
    assert_int_equal(sl_bpf_build(&f->rules, f->insns, &f->len), -E2BIG);
}

static void the_table_has_an_end(void **state)
{
    (void)state;
    sl_autofree sl_bpf_rules *rules = calloc(1, sizeof(*rules));
    assert_non_null(rules);
    rules->known = 400;
    assert_int_equal(sl_bpf_add(rules, &(sl_bpf_rule){.nr = 400}), -EINVAL);
    assert_int_equal(sl_bpf_add(rules, &(sl_bpf_rule){.nr = -1}), -EINVAL);
    for (size_t i = 0; i < SL_BPF_RULES_MAX; i++) {
        assert_int_equal(sl_bpf_add(rules, &(sl_bpf_rule){.nr = 1}), 0);
    }
    assert_int_equal(sl_bpf_add(rules, &(sl_bpf_rule){.nr = 1}), -E2BIG);
    assert_int_equal(rules->count, SL_BPF_RULES_MAX);
}

static void more_numbers_than_the_table_are_refused(void **state)
{
    (void)state;
    sl_autofree struct filter *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->rules.known = SL_BPF_NR_MAX + 1;
    assert_int_equal(sl_bpf_add(&f->rules, &(sl_bpf_rule){.nr = SL_BPF_NR_MAX}), -EINVAL);
    assert_int_equal(sl_bpf_build(&f->rules, f->insns, &f->len), -EINVAL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_rules_all_known_calls_pass),
        cmocka_unit_test(unknown_numbers_do_not_exist),
        cmocka_unit_test(x32_numbers_do_not_exist),
        cmocka_unit_test(another_architecture_is_killed),
        cmocka_unit_test(first_rule_that_holds_decides),
        cmocka_unit_test(numbers_ignore_the_upper_half),
        cmocka_unit_test(pointers_count_whole),
        cmocka_unit_test(all_conditions_of_a_rule_must_hold),
        cmocka_unit_test(long_programs_jump_far),
        cmocka_unit_test(every_distance_is_reached),
        cmocka_unit_test(a_program_too_long_is_refused),
        cmocka_unit_test(the_table_has_an_end),
        cmocka_unit_test(more_numbers_than_the_table_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
