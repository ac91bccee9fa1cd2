/* Runs without a supervisor: every field of a policy either is kept by the kernel alone, or such a
 * run is refused. A new field must say here which of both it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "features/features.h"
#include "live.h"
#include "policy/policy.h"
#include "sandbox/sandbox.h"

enum keeper {
    KERNEL,     /* Landlock, the filter, limits of the kernel: or nothing is asked of anybody */
    SUPERVISOR, /* refused, by the word of a feature */
    ENGINE,     /* refused by engine/alone.c: its own clock and log */
};

static const struct {
    const char *field;
    const char *value;
    enum keeper keeper;
    const char *named; /* of SUPERVISOR: how the refusal names it */
} table[] = {
    {"fs_readable", "/", KERNEL, NULL},
    {"fs_writable", "/tmp", KERNEL, NULL},
    {"fs_denied", "/boot", KERNEL, NULL},
    {"cwd", "/", KERNEL, NULL},
    {"gpu_devices", "0", KERNEL, NULL},
    {"http_allow", "GET a.test/", SUPERVISOR, "rules that name hosts, addresses or requests"},
    {"http_deny", "GET a.test/", SUPERVISOR, "rules that name hosts, addresses or requests"},
    {"http_ports", "8080", KERNEL, NULL},
    {"http_ca", "/dev/null", KERNEL, NULL},
    {"http_key", "/dev/null", KERNEL, NULL},
    {"http_ca_out", "/dev/null", KERNEL, NULL},
    {"http_ca_bundle", "own", KERNEL, NULL},
    {"http_upstream_ca", "/dev/null", KERNEL, NULL},
    {"http_no_inspect", "a.test", KERNEL, NULL},
    {"resolve", "a.test=192.0.2.1", SUPERVISOR, "rules that name hosts, addresses or requests"},
    {"net_allow", "192.0.2.1:443", SUPERVISOR, "rules that name hosts, addresses or requests"},
    {"net_deny", "192.0.2.1", SUPERVISOR, "rules that name hosts, addresses or requests"},
    {"net_allow_hosts", "a.test", SUPERVISOR, "rules that name hosts, addresses or requests"},
    {"net_connect", "443", KERNEL, NULL},
    {"net_bind", "8080", SUPERVISOR, "--net-bind"},
    {"no_raw_sockets", "false", KERNEL, NULL},
    {"no_udp", "true", SUPERVISOR, "rules that name hosts, addresses or requests"},
    {"port_remap", "true", SUPERVISOR, "--port-remap"},
    {"isolate_ipc", "true", SUPERVISOR, "--isolate-ipc"},
    {"isolate_signals", "true", KERNEL, NULL},
    {"isolate_pids", "true", SUPERVISOR, "--isolate-pids"},
    {"privileged", "true", KERNEL, NULL},
    {"uid", "7", KERNEL, NULL},
    {"gid", "7", KERNEL, NULL},
    {"allow_syscalls", "write", KERNEL, NULL},
    {"deny_syscalls", "sync", KERNEL, NULL},
    {"extra_deny_syscalls", "sync", KERNEL, NULL},
    {"debug", "true", KERNEL, NULL},
    {"max_memory", "64M", SUPERVISOR, "--max-memory"},
    {"max_processes", "64", SUPERVISOR, "--max-processes"},
    {"max_cpu", "50", SUPERVISOR, "--max-cpu"},
    {"max_open_files", "64", KERNEL, NULL},
    {"cpu_cores", "0", SUPERVISOR, "--cpu-cores"},
    {"num_cpus", "1", SUPERVISOR, "--num-cpus"},
    {"timeout", "1", ENGINE, NULL},
    {"time_start", "0", SUPERVISOR, "--time-start"},
    {"random_seed", "7", SUPERVISOR, "--random-seed"},
    {"no_randomize_memory", "true", KERNEL, NULL},
    {"no_huge_pages", "true", KERNEL, NULL},
    {"deterministic_dirs", "true", SUPERVISOR, "--deterministic-dirs"},
    {"no_coredump", "true", KERNEL, NULL},
    {"clean_env", "true", KERNEL, NULL},
    {"env", "A=b", KERNEL, NULL},
    {"close_fds", "false", KERNEL, NULL},
    {"hostname", "box", SUPERVISOR, "--hostname"},
    {"name", "box", KERNEL, NULL},
    {"audit", "-", ENGINE, NULL},
    {"allow_degraded", "landlock", KERNEL, NULL},
};

static size_t find(const char *field)
{
    size_t i = 0;
    while (i < SL_ARRAY_LEN(table) && strcmp(table[i].field, field) != 0) {
        i++;
    }
    return i;
}

static sl_policy *policy_of(size_t row)
{
    /* a key is not without its certificate, nor the other way round */
    if (strcmp(table[row].field, "http_key") == 0 || strcmp(table[row].field, "http_ca") == 0) {
        return live_policy("http_key", "/dev/null", "http_ca", "/dev/null", NULL);
    }
    return live_policy(table[row].field, table[row].value, NULL);
}

static void every_field_is_kept_or_refused(void **state)
{
    size_t count;
    const sl_field *fields = sl_fields(&count);
    (void)state;
    for (size_t i = 0; i < count; i++) {
        size_t row = find(fields[i].name);
        if (row == SL_ARRAY_LEN(table)) {
            fail_msg("nobody says who keeps '%s' without a supervisor", fields[i].name);
        }
        SL_AUTO(sl_policy) policy = policy_of(row);
        const char *promise = sl_sandbox_promise(policy);
        const char *named = table[row].keeper == SUPERVISOR ? table[row].named : NULL;
        if ((promise == NULL) != (named == NULL) ||
            (named != NULL && strcmp(promise, named) != 0)) {
            fail_msg("%s: refused as '%s', not as '%s'", fields[i].name,
                     promise == NULL ? "(nothing)" : promise, named == NULL ? "(nothing)" : named);
        }
    }
}

static void nothing_given_is_nothing_lost(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", NULL);
    assert_null(sl_sandbox_promise(policy));
    SL_AUTO(sl_policy) none = live_policy("net_allow", "", NULL);
    assert_non_null(sl_sandbox_promise(none));
}

/* Nobody would be there to be told. */
static void nothing_is_explained(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = live_policy("fs_readable", "/", NULL);
    policy->explain = true; /* no field */
    assert_string_equal(sl_sandbox_promise(policy), "--explain");
}

/* Whoever traps a call or has a thread does so for a promise: what says nothing of it refuses. */
static void features_that_say_nothing_refuse(void **state)
{
    static const sl_feature silent = {.name = "silent"};
    (void)state;
    assert_null(silent.promised);
    for (size_t i = 0; i < sl_feature_count; i++) {
        const sl_feature *f = sl_features[i];
        bool says = f->option != NULL || f->promised == sl_feature_promises_nothing;
        if (!says) {
            fail_msg("feature '%s' names neither an option nor that it promises nothing", f->name);
        }
    }
}

/* What an older Landlock does not keep is refused by its name, unless it is said to be dispensable.
 */
static void what_an_older_kernel_lacks_is_refused(void **state)
{
    static const struct {
        const char *field, *value, *degraded, *named;
    } lost[] = {
        {"fs_writable", "/tmp", "truncate", "truncate"},
        {"net_connect", "443", "tcp-ports", "ports"},
        {"isolate_signals", "true", "signals", "signals"},
    };
    (void)state;
    live_pretend_older();
    for (size_t i = 0; i < SL_ARRAY_LEN(lost); i++) {
        SL_AUTO(sl_policy)
        all = live_policy("fs_writable", "/", lost[i].field, lost[i].value, NULL);
        SL_AUTO(sl_policy)
        some = live_policy("fs_readable", "/", lost[i].field, lost[i].value, NULL);
        const char *promise = sl_sandbox_promise(i == 0 ? some : all);
        assert_non_null(promise);
        assert_non_null(strstr(promise, lost[i].named));
        SL_AUTO(sl_policy)
        less = live_policy("fs_readable", "/", lost[i].field, lost[i].value, "allow_degraded",
                           lost[i].degraded, "allow_degraded", "truncate", NULL);
        assert_null(sl_sandbox_promise(less));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_kept_or_refused),
        cmocka_unit_test(nothing_given_is_nothing_lost),
        cmocka_unit_test(nothing_is_explained),
        cmocka_unit_test(features_that_say_nothing_refuse),
        cmocka_unit_test(what_an_older_kernel_lacks_is_refused),
    };
    live_start(argc, argv, (struct live_program[]){{0}});
    return cmocka_run_group_tests(tests, NULL, NULL);
}
