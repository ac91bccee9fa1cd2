/* A row without a test fails the suite: every (feature, system call) that is trapped is named here
 * with the live test that goes through its handler, and that test must exist. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/fd.h"
#include "core/util.h"
#include "sandbox/feature.h"

#define SOURCE_MAX (1u << 20)

static const struct tested {
    const char *feature;
    const char *call;
    const char *file;
    const char *test;
    const char *program; /* the confined program that makes the call */
} table[] = {
    {"core", "connect", "test_net_connect.c", "canary_stands_in_every_run", "asks_canary"},
    {"processes", "clone", "test_feat_processes.c", "limit_is_eagain_and_comes_back", "forks"},
    {"processes", "fork", "test_feat_processes.c", "limit_is_eagain_and_comes_back", "forks"},
    {"processes", "vfork", "test_feat_processes.c", "limit_is_eagain_and_comes_back", "forks"},
    {"cpus", "sched_setaffinity", "test_feat_cpus.c", "cores_are_told_and_kept", "asks_for_cores"},
    {"cpus_seen", "sched_getaffinity", "test_feat_cpus.c", "cores_are_told_and_kept",
     "asks_for_cores"},
    {"trust", "openat", "test_feat_trust.c", "hosts_file_names_localhost_and_the_machine",
     "reads_hosts"},
    {"trust", "openat2", "test_feat_trust.c", "hosts_file_names_localhost_and_the_machine",
     "reads_hosts"},
    {"trust", "open", "test_feat_trust.c", "hosts_file_names_localhost_and_the_machine",
     "reads_hosts"},
    {"hostname", "uname", "test_feat_hostname.c", "name_is_the_one_that_was_given", "is_told"},
    {"hostname", "openat", "test_feat_hostname.c", "name_is_the_one_that_was_given", "is_told"},
    {"hostname", "openat2", "test_feat_hostname.c", "name_is_the_one_that_was_given", "is_told"},
    {"hostname", "open", "test_feat_hostname.c", "name_is_the_one_that_was_given", "is_told"},
    {"pids", "openat", "test_feat_pids.c", "own_processes_are_found", "looks_at_itself"},
    {"pids", "openat2", "test_feat_pids.c", "own_processes_are_found", "looks_at_itself"},
    {"pids", "open", "test_feat_pids.c", "own_processes_are_found", "looks_at_itself"},
    {"pids", "getdents64", "test_feat_pids.c", "listing_shows_own_processes_only", "lists"},
    {"pids", "getdents", "test_feat_pids.c", "listing_shows_own_processes_only", "lists"},
    {"pids", "newfstatat", "test_feat_pids.c", "others_are_not_found", "looks_at_others"},
    {"pids", "statx", "test_feat_pids.c", "others_are_not_found", "looks_at_others"},
    {"pids", "faccessat", "test_feat_pids.c", "others_are_not_found", "looks_at_others"},
    {"pids", "faccessat2", "test_feat_pids.c", "others_are_not_found", "looks_at_others"},
    {"pids", "readlinkat", "test_feat_pids.c", "others_are_not_found", "looks_at_others"},
    {"pids", "stat", "test_feat_pids.c", "others_are_not_found", "looks_at_others"},
    {"pids", "lstat", "test_feat_pids.c", "others_are_not_found", "looks_at_others"},
    {"pids", "access", "test_feat_pids.c", "others_are_not_found", "looks_at_others"},
    {"pids", "readlink", "test_feat_pids.c", "others_are_not_found", "looks_at_others"},
    {"cpus_shown", "openat", "test_feat_machine.c", "one_processor_is_shown", "counts_cpus"},
    {"cpus_shown", "openat2", "test_feat_machine.c", "one_processor_is_shown", "counts_cpus"},
    {"cpus_shown", "open", "test_feat_machine.c", "one_processor_is_shown", "counts_cpus"},
    {"cpus_shown", "getdents64", "test_feat_machine.c", "one_processor_is_shown", "counts_cpus"},
    {"memory_shown", "openat", "test_feat_machine.c", "memory_is_the_limit", "asks_memory"},
    {"memory_shown", "openat2", "test_feat_machine.c", "memory_is_the_limit", "asks_memory"},
    {"memory_shown", "open", "test_feat_machine.c", "memory_is_the_limit", "asks_memory"},
    {"memory_shown", "sysinfo", "test_feat_machine.c", "memory_is_the_limit", "asks_memory"},
    {"ports", "bind", "test_feat_ports.c", "a_taken_port_is_free_inside", "serves"},
    {"ports", "listen", "test_feat_ports.c", "a_taken_port_is_free_inside", "serves"},
    {"ports", "connect", "test_feat_ports.c", "a_taken_port_is_free_inside", "serves"},
    {"ports", "getsockname", "test_feat_ports.c", "a_taken_port_is_free_inside", "serves"},
    {"ports", "getpeername", "test_feat_ports.c", "a_taken_port_is_free_inside", "serves"},
    {"ports", "open", "test_feat_ports.c", "the_list_of_sockets_shows_the_names_inside",
     "reads_list"},
    {"ports", "openat", "test_feat_ports.c", "the_list_of_sockets_shows_the_names_inside",
     "reads_list"},
    {"ports", "openat2", "test_feat_ports.c", "the_list_of_sockets_shows_the_names_inside",
     "reads_list"},
    {"ports", "sendto", "test_feat_ports.c", "datagrams_show_the_names_inside", "echoes"},
    {"ports", "sendmsg", "test_feat_ports.c", "datagrams_show_the_names_inside", "echoes"},
    {"ports", "sendmmsg", "test_feat_ports.c", "datagrams_show_the_names_inside", "echoes"},
    {"ports", "recvfrom", "test_feat_ports.c", "datagrams_show_the_names_inside", "echoes"},
    {"ports", "recvmsg", "test_feat_ports.c", "datagrams_show_the_names_inside", "echoes"},
    {"ports", "recvmmsg", "test_feat_ports.c", "datagrams_show_the_names_inside", "echoes"},
    {"net", "connect", "test_net_connect.c", "denied_peer_hears_nothing", "connects"},
    {"net", "sendto", "test_net_send.c", "datagrams_reach_allowed_peers_only", "sends"},
    {"net", "clone", "test_net_send.c", "messages_tell_who_sent_them", "says_who_it_is"},
    {"net", "sendmsg", "test_net_send.c", "datagrams_reach_allowed_peers_only", "sends"},
    {"net", "sendmmsg", "test_net_send.c", "batch_stops_at_a_denied_message", "sends_many"},
    {"net", "listen", "test_net_steer.c", "tree_reaches_its_own_listeners", "serves_itself"},
    {"net", "recvfrom", "test_net_steer.c", "answers_come_from_the_asked_server", "asks_from"},
    {"net", "recvmsg", "test_net_steer.c", "messages_come_from_the_asked_server", "asks_msg"},
    {"net", "recvmmsg", "test_net_steer.c", "messages_come_from_the_asked_server", "asks_msg"},
    {"net", "setsockopt", "test_net_connect.c", "close_never_lingers", "lingers"},
    {"net", "getpeername", "test_net_steer.c", "steered_socket_shows_the_asked_peer", "is_steered"},
    {"bind", "listen", "test_net_steer.c", "restricted_binding_covers_listen", "listens_unbound"},
    {"restart", "rt_sigaction", "test_feat_restart.c", "handlers_of_children_restart",
     "asks_for_handlers"},
    {"signals", "kill", "test_feat_signals.c", "our_own_processes_are_out_of_reach", "attacks"},
    {"signals", "tkill", "test_feat_signals.c", "our_own_processes_are_out_of_reach", "attacks"},
    {"signals", "tgkill", "test_feat_signals.c", "our_own_processes_are_out_of_reach", "attacks"},
    {"signals", "rt_sigqueueinfo", "test_feat_signals.c", "our_own_processes_are_out_of_reach",
     "attacks"},
    {"signals", "rt_tgsigqueueinfo", "test_feat_signals.c", "our_own_processes_are_out_of_reach",
     "attacks"},
    {"signals", "pidfd_send_signal", "test_feat_signals.c", "our_own_processes_are_out_of_reach",
     "attacks"},
    {"signals", "fcntl", "test_feat_signals.c", "our_own_processes_are_out_of_reach", "attacks"},
    {"signals", "sched_setscheduler", "test_feat_signals.c", "our_own_processes_are_out_of_reach",
     "attacks"},
    {"signals", "sched_setparam", "test_feat_signals.c", "our_own_processes_are_out_of_reach",
     "attacks"},
    {"signals", "sched_setattr", "test_feat_signals.c", "our_own_processes_are_out_of_reach",
     "attacks"},
    {"signals", "sched_setaffinity", "test_feat_signals.c", "our_own_processes_are_out_of_reach",
     "attacks"},
    {"signals", "setpriority", "test_feat_signals.c", "our_own_processes_are_out_of_reach",
     "attacks"},
    {"signals", "ioprio_set", "test_feat_signals.c", "our_own_processes_are_out_of_reach",
     "attacks"},
    {"ipc", "shmget", "test_feat_ipc.c", "shared_memory_is_the_trees_own", "shares"},
    {"ipc", "shmat", "test_feat_ipc.c", "shared_memory_is_the_trees_own", "shares"},
    {"ipc", "shmctl", "test_feat_ipc.c", "shared_memory_is_the_trees_own", "shares"},
    {"ptys", "ioctl", "test_feat_ptys.c", "slaves_of_own_masters_open", "makes_terminals"},
    {"metadata", "fchmod", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "fchmodat", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "fchmodat2", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "fchown", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "fchownat", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "utimensat", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "setxattr", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "lsetxattr", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "fsetxattr", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "setxattrat", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "removexattr", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "lremovexattr", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "fremovexattr", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "removexattrat", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "chmod", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "chown", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "lchown", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "utime", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "utimes", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "futimesat", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "ioctl", "test_feat_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"image", "brk", "test_feat_time.c", "clock_starts_where_it_is_told", "reads_clocks"},
    {"image", "arch_prctl", "test_feat_time.c", "clock_starts_where_it_is_told", "reads_clocks"},
    {"image", "set_tid_address", "test_feat_time.c", "clock_starts_where_it_is_told",
     "reads_clocks"},
    {"time", "clock_gettime", "test_feat_time.c", "clock_starts_where_it_is_told", "reads_clocks"},
    {"time", "gettimeofday", "test_feat_time.c", "clock_starts_where_it_is_told", "reads_clocks"},
    {"time", "time", "test_feat_time.c", "clock_starts_where_it_is_told", "reads_clocks"},
    {"time", "clock_nanosleep", "test_feat_time.c", "sleeps_end_by_the_clock", "sleeps_until"},
    {"time", "futex", "test_feat_time.c", "waits_end_by_the_clock", "waits_on_futex"},
    {"time", "futex_waitv", "test_feat_time.c", "waits_end_by_the_clock", "waits_on_futex"},
    {"time", "mq_timedsend", "test_feat_time.c", "queues_time_out_by_the_clock",
     "waits_for_messages"},
    {"time", "mq_timedreceive", "test_feat_time.c", "queues_time_out_by_the_clock",
     "waits_for_messages"},
    {"time", "timer_settime", "test_feat_time.c", "timers_expire_by_the_clock", "arms_timers"},
    {"time", "timerfd_settime", "test_feat_time.c", "timers_expire_by_the_clock", "arms_timers"},
    {"random", "getrandom", "test_feat_random.c", "every_source_is_the_stream", "draws"},
    {"random", "open", "test_feat_random.c", "every_source_is_the_stream", "draws"},
    {"random", "openat", "test_feat_random.c", "every_source_is_the_stream", "draws"},
    {"random", "openat2", "test_feat_random.c", "every_source_is_the_stream", "draws"},
    {"random", "clone", "test_feat_random.c", "every_process_has_its_own", "is_born"},
    {"random", "fork", "test_feat_random.c", "every_process_has_its_own", "is_born"},
    {"random", "vfork", "test_feat_random.c", "every_process_has_its_own", "is_born"},
    {"random", "execve", "test_feat_random.c", "every_process_has_its_own", "is_born"},
    {"random", "execveat", "test_feat_random.c", "bad_arguments_are_errors", "asks_badly"},
    {"dirs", "getdents64", "test_feat_dirs.c", "names_come_sorted", "lists"},
};

/* True if the table has this row; counts it. */
static bool is_named(const char *feature, const char *call, unsigned used[])
{
    for (size_t i = 0; i < SL_ARRAY_LEN(table); i++) {
        if (strcmp(table[i].feature, feature) == 0 && strcmp(table[i].call, call) == 0) {
            used[i]++;
            return true;
        }
    }
    return false;
}

static void every_row_has_a_test(void **state)
{
    (void)state;
    unsigned used[SL_ARRAY_LEN(table)] = {0};
    assert_true(sl_feature_count > 0);
    for (size_t i = 0; i < sl_feature_count; i++) {
        const sl_feature *f = sl_features[i];
        assert_true(f->row_count > 0 || f->start != NULL);
        for (size_t k = 0; k < f->row_count; k++) {
            const char *call = sl_sysname_of(f->rows[k].nr);
            assert_non_null(call);
            assert_non_null(f->rows[k].handler);
            if (!is_named(f->name, call, used)) {
                fail_msg("the row %s/%s has no test: add one, and a line to this table", f->name,
                         call);
            }
        }
    }
#ifdef __x86_64__ /* other architectures have no open, fork, vfork */
    for (size_t i = 0; i < SL_ARRAY_LEN(table); i++) {
        if (used[i] == 0) { /* a call may have rows of several arguments */
            fail_msg("%s/%s is no row any more", table[i].feature, table[i].call);
        }
    }
#endif
}

static void expect_in(const char *text, const char *file, const char *prefix, const char *name,
                      const char *suffix)
{
    char words[160];
    snprintf(words, sizeof(words), "%s%s%s", prefix, name, suffix);
    if (strstr(text, words) == NULL) {
        fail_msg("%s has no %s", file, words);
    }
}

static void every_named_test_runs(void **state)
{
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(table); i++) {
        char path[512];
        sl_autofree char *text = NULL;
        size_t len;
        snprintf(path, sizeof(path), "%s/%s", SANDLOCK_TESTS_DIR, table[i].file);
        assert_int_equal(sl_fd_read_file(path, SOURCE_MAX, &text, &len), 0);
        expect_in(text, table[i].file, "cmocka_unit_test(", table[i].test, ")");
        expect_in(text, table[i].file, "program_", table[i].program, "(char **args)");
        expect_in(text, table[i].file, "{\"", table[i].program, "\"");
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_a_test),
        cmocka_unit_test(every_named_test_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
