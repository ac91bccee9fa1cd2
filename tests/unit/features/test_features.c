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
#include "features/features.h"
#include "supervisor/path.h"

#define SOURCE_MAX (1u << 20)

static const struct tested {
    const char *feature;
    const char *call;
    const char *file;
    const char *test;
    const char *program; /* the confined program that makes the call */
} table[] = {
    {"canary", "connect", "net/test_connect.c", "canary_stands_in_every_run", "asks_canary"},
    {"processes", "clone", "limits/test_processes.c", "limit_is_eagain_and_comes_back", "forks"},
    {"processes", "fork", "limits/test_processes.c", "limit_is_eagain_and_comes_back", "forks"},
    {"processes", "vfork", "limits/test_processes.c", "limit_is_eagain_and_comes_back", "forks"},
    {"cpus", "sched_setaffinity", "limits/test_cpus.c", "cores_are_told_and_kept",
     "asks_for_cores"},
    {"cpus_seen", "sched_getaffinity", "limits/test_cpus.c", "cores_are_told_and_kept",
     "asks_for_cores"},
    {"trust", "openat", "files/test_trust.c", "hosts_file_names_localhost_and_the_machine",
     "reads_hosts"},
    {"trust", "openat2", "files/test_trust.c", "hosts_file_names_localhost_and_the_machine",
     "reads_hosts"},
    {"trust", "open", "files/test_trust.c", "hosts_file_names_localhost_and_the_machine",
     "reads_hosts"},
    {"hostname", "uname", "procfs/test_hostname.c", "name_is_the_one_that_was_given", "is_told"},
    {"hostname", "openat", "procfs/test_hostname.c", "name_is_the_one_that_was_given", "is_told"},
    {"hostname", "openat2", "procfs/test_hostname.c", "name_is_the_one_that_was_given", "is_told"},
    {"hostname", "open", "procfs/test_hostname.c", "name_is_the_one_that_was_given", "is_told"},
    {"pids", "openat", "procfs/test_pids.c", "own_processes_are_found", "looks_at_itself"},
    {"pids", "openat2", "procfs/test_pids.c", "own_processes_are_found", "looks_at_itself"},
    {"pids", "open", "procfs/test_pids.c", "own_processes_are_found", "looks_at_itself"},
    {"pids", "getdents64", "procfs/test_pids.c", "listing_shows_own_processes_only", "lists"},
    {"pids", "getdents", "procfs/test_pids.c", "listing_shows_own_processes_only", "lists"},
    {"pids", "newfstatat", "procfs/test_pids.c", "others_are_not_found", "looks_at_others"},
    {"pids", "statx", "procfs/test_pids.c", "others_are_not_found", "looks_at_others"},
    {"pids", "faccessat", "procfs/test_pids.c", "others_are_not_found", "looks_at_others"},
    {"pids", "faccessat2", "procfs/test_pids.c", "others_are_not_found", "looks_at_others"},
    {"pids", "readlinkat", "procfs/test_pids.c", "others_are_not_found", "looks_at_others"},
    {"pids", "stat", "procfs/test_pids.c", "others_are_not_found", "looks_at_others"},
    {"pids", "lstat", "procfs/test_pids.c", "others_are_not_found", "looks_at_others"},
    {"pids", "access", "procfs/test_pids.c", "others_are_not_found", "looks_at_others"},
    {"pids", "readlink", "procfs/test_pids.c", "others_are_not_found", "looks_at_others"},
    {"cpus_shown", "openat", "procfs/test_machine.c", "one_processor_is_shown", "counts_cpus"},
    {"cpus_shown", "openat2", "procfs/test_machine.c", "one_processor_is_shown", "counts_cpus"},
    {"cpus_shown", "open", "procfs/test_machine.c", "one_processor_is_shown", "counts_cpus"},
    {"cpus_shown", "getdents64", "procfs/test_machine.c", "one_processor_is_shown", "counts_cpus"},
    {"memory_shown", "openat", "procfs/test_machine.c", "memory_is_the_limit", "asks_memory"},
    {"memory_shown", "openat2", "procfs/test_machine.c", "memory_is_the_limit", "asks_memory"},
    {"memory_shown", "open", "procfs/test_machine.c", "memory_is_the_limit", "asks_memory"},
    {"memory_shown", "sysinfo", "procfs/test_machine.c", "memory_is_the_limit", "asks_memory"},
    {"remap", "bind", "remap/test_remap.c", "a_taken_port_is_free_inside", "serves"},
    {"remap", "listen", "remap/test_remap.c", "a_taken_port_is_free_inside", "serves"},
    {"remap", "connect", "remap/test_remap.c", "a_taken_port_is_free_inside", "serves"},
    {"remap", "getsockname", "remap/test_remap.c", "a_taken_port_is_free_inside", "serves"},
    {"remap", "getpeername", "remap/test_remap.c", "a_taken_port_is_free_inside", "serves"},
    {"sockets", "open", "remap/test_remap.c", "the_list_of_sockets_shows_the_names_inside",
     "reads_list"},
    {"sockets", "openat", "remap/test_remap.c", "the_list_of_sockets_shows_the_names_inside",
     "reads_list"},
    {"sockets", "openat2", "remap/test_remap.c", "the_list_of_sockets_shows_the_names_inside",
     "reads_list"},
    {"remap", "sendto", "remap/test_remap.c", "datagrams_show_the_names_inside", "echoes"},
    {"remap", "sendmsg", "remap/test_remap.c", "datagrams_show_the_names_inside", "echoes"},
    {"remap", "sendmmsg", "remap/test_remap.c", "datagrams_show_the_names_inside", "echoes"},
    {"remap", "recvfrom", "remap/test_remap.c", "datagrams_show_the_names_inside", "echoes"},
    {"remap", "recvmsg", "remap/test_remap.c", "datagrams_show_the_names_inside", "echoes"},
    {"remap", "recvmmsg", "remap/test_remap.c", "datagrams_show_the_names_inside", "echoes"},
    {"net", "connect", "net/test_connect.c", "denied_peer_hears_nothing", "connects"},
    {"net", "sendto", "net/test_send.c", "datagrams_reach_allowed_peers_only", "sends"},
    {"net", "clone", "net/test_send.c", "messages_tell_who_sent_them", "says_who_it_is"},
    {"net", "sendmsg", "net/test_send.c", "datagrams_reach_allowed_peers_only", "sends"},
    {"net", "sendmmsg", "net/test_send.c", "batch_stops_at_a_denied_message", "sends_many"},
    {"net", "listen", "net/test_flow.c", "tree_reaches_its_own_listeners", "serves_itself"},
    {"net", "recvfrom", "net/test_flow.c", "answers_come_from_the_asked_server", "asks_from"},
    {"net", "recvmsg", "net/test_flow.c", "messages_come_from_the_asked_server", "asks_msg"},
    {"net", "recvmmsg", "net/test_flow.c", "messages_come_from_the_asked_server", "asks_msg"},
    {"unix", "setsockopt", "net/test_connect.c", "close_never_lingers", "lingers"},
    {"net", "getpeername", "net/test_flow.c", "steered_socket_shows_the_asked_peer", "is_steered"},
    {"bind_ports", "bind", "net/test_flow.c", "restricted_binding_covers_listen",
     "listens_unbound"},
    {"truncate", "truncate", "files/test_truncate.c", "only_what_may_be_written_is_emptied",
     "empties_outside"},
    {"truncate", "openat", "files/test_truncate.c", "only_what_may_be_written_is_emptied",
     "empties_outside"},
    {"truncate", "open", "files/test_truncate.c", "only_what_may_be_written_is_emptied",
     "empties_outside"},
    {"tables", "unshare", "tables/test_tables.c", "no_thread_leaves_its_table", "leaves"},
    {"tables", "close_range", "tables/test_tables.c", "no_thread_leaves_its_table", "leaves"},
    {"bind", "listen", "net/test_flow.c", "restricted_binding_covers_listen", "listens_unbound"},
    {"unix", "bind", "net/test_unix.c", "datagrams_of_the_tree_by_the_gate", "sends_datagrams"},
    {"unix", "listen", "net/test_unix.c", "listeners_of_the_tree_are_in_reach", "serves_itself"},
    {"unix_connect", "connect", "net/test_unix.c", "listeners_of_the_tree_are_in_reach",
     "serves_itself"},
    {"datagrams", "socket", "net/test_unix.c", "datagrams_of_the_tree_by_the_gate",
     "sends_datagrams"},
    {"datagrams", "socketpair", "net/test_unix.c", "datagrams_of_the_tree_by_the_gate",
     "sends_datagrams"},
    {"datagrams", "sendto", "net/test_unix.c", "datagrams_of_the_tree_by_the_gate",
     "sends_datagrams"},
    {"unix_sends", "sendto", "net/test_unix.c", "datagrams_to_a_named_socket", "sends_to_named"},
    {"unix_sends", "sendmsg", "net/test_unix.c", "datagrams_to_a_named_socket", "sends_to_named"},
    {"unix_sends", "sendmmsg", "net/test_unix.c", "datagrams_to_a_named_socket", "sends_to_named"},
    {"restart", "rt_sigaction", "signals/test_restart.c", "handlers_of_children_restart",
     "asks_for_handlers"},
    {"signals", "kill", "signals/test_signals.c", "our_own_processes_are_out_of_reach", "attacks"},
    {"signals", "tkill", "signals/test_signals.c", "our_own_processes_are_out_of_reach", "attacks"},
    {"signals", "tgkill", "signals/test_signals.c", "our_own_processes_are_out_of_reach",
     "attacks"},
    {"signals", "rt_sigqueueinfo", "signals/test_signals.c", "our_own_processes_are_out_of_reach",
     "attacks"},
    {"signals", "rt_tgsigqueueinfo", "signals/test_signals.c", "our_own_processes_are_out_of_reach",
     "attacks"},
    {"signals", "pidfd_send_signal", "signals/test_signals.c", "our_own_processes_are_out_of_reach",
     "attacks"},
    {"signals", "fcntl", "signals/test_signals.c", "our_own_processes_are_out_of_reach", "attacks"},
    {"scheduling", "sched_setscheduler", "scheduling/test_scheduling.c", "strangers_are_left_alone",
     "reaches_out"},
    {"scheduling", "sched_setparam", "scheduling/test_scheduling.c", "strangers_are_left_alone",
     "reaches_out"},
    {"scheduling", "sched_setattr", "scheduling/test_scheduling.c", "strangers_are_left_alone",
     "reaches_out"},
    {"scheduling", "sched_setaffinity", "scheduling/test_scheduling.c", "strangers_are_left_alone",
     "reaches_out"},
    {"scheduling", "prlimit64", "scheduling/test_scheduling.c", "strangers_are_left_alone",
     "reaches_out"},
    {"scheduling", "setpriority", "scheduling/test_scheduling.c", "strangers_are_left_alone",
     "reaches_out"},
    {"scheduling", "ioprio_set", "scheduling/test_scheduling.c", "strangers_are_left_alone",
     "reaches_out"},
    {"scheduling", "setpgid", "scheduling/test_scheduling.c", "strangers_are_left_alone",
     "reaches_out"},
    {"debug", "ptrace", "debug/test_debug.c", "a_refusal_names_the_switch", "is_refused"},
    {"debug", "process_vm_readv", "debug/test_debug.c", "a_refusal_names_the_switch", "is_refused"},
    {"debug", "process_vm_writev", "debug/test_debug.c", "a_refusal_names_the_switch",
     "is_refused"},
    {"asked", "access", "files/test_asked.c", "the_grants_are_told", "asks"},
    {"asked", "faccessat", "files/test_asked.c", "the_grants_are_told", "asks"},
    {"asked", "faccessat2", "files/test_asked.c", "the_grants_are_told", "asks"},
    {"watch", "inotify_add_watch", "files/test_watch.c", "what_may_not_be_read_is_not", "spies"},
    {"leases", "fcntl", "files/test_leases.c", "leases_are_for_what_may_be_written", "leases"},
    {"ipc", "shmget", "ipc/test_ipc.c", "shared_memory_is_the_trees_own", "shares"},
    {"ipc", "shmat", "ipc/test_ipc.c", "shared_memory_is_the_trees_own", "shares"},
    {"ipc", "shmctl", "ipc/test_ipc.c", "shared_memory_is_the_trees_own", "shares"},
    {"ipc", "semget", "ipc/test_ipc.c", "semaphores_and_queues_are_the_trees_own", "meets"},
    {"ipc", "semop", "ipc/test_ipc.c", "semaphores_and_queues_are_the_trees_own", "meets"},
    {"ipc", "semtimedop", "ipc/test_ipc.c", "semaphores_and_queues_are_the_trees_own", "meets"},
    {"ipc", "semctl", "ipc/test_ipc.c", "semaphores_and_queues_are_the_trees_own", "meets"},
    {"ipc", "msgget", "ipc/test_ipc.c", "semaphores_and_queues_are_the_trees_own", "meets"},
    {"ipc", "msgsnd", "ipc/test_ipc.c", "semaphores_and_queues_are_the_trees_own", "meets"},
    {"ipc", "msgrcv", "ipc/test_ipc.c", "semaphores_and_queues_are_the_trees_own", "meets"},
    {"ipc", "msgctl", "ipc/test_ipc.c", "semaphores_and_queues_are_the_trees_own", "meets"},
    {"queues", "mq_open", "ipc/test_ipc.c", "named_queues_are_the_trees_own", "names"},
    {"queues", "mq_unlink", "ipc/test_ipc.c", "named_queues_are_the_trees_own", "names"},
    {"ptys", "ioctl", "files/test_ptys.c", "slaves_of_own_masters_open", "makes_terminals"},
    {"metadata", "fchmod", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "fchmodat", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "fchmodat2", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "fchown", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "fchownat", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "utimensat", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "setxattr", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "lsetxattr", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "fsetxattr", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "setxattrat", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "removexattr", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "lremovexattr", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "fremovexattr", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "removexattrat", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "chmod", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "chown", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "lchown", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "utime", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "utimes", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "futimesat", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"metadata", "ioctl", "files/test_metadata.c", "changes_stay_in_the_grants", "changes"},
    {"image", "brk", "repeat/test_time.c", "clock_starts_where_it_is_told", "reads_clocks"},
    {"image", "arch_prctl", "repeat/test_time.c", "clock_starts_where_it_is_told", "reads_clocks"},
    {"image", "set_tid_address", "repeat/test_time.c", "clock_starts_where_it_is_told",
     "reads_clocks"},
    {"time", "clock_gettime", "repeat/test_time.c", "clock_starts_where_it_is_told",
     "reads_clocks"},
    {"time", "gettimeofday", "repeat/test_time.c", "clock_starts_where_it_is_told", "reads_clocks"},
    {"time", "time", "repeat/test_time.c", "clock_starts_where_it_is_told", "reads_clocks"},
    {"time", "clock_nanosleep", "repeat/test_time.c", "sleeps_end_by_the_clock", "sleeps_until"},
    {"time", "futex", "repeat/test_time.c", "waits_end_by_the_clock", "waits_on_futex"},
    {"time", "futex_waitv", "repeat/test_time.c", "waits_end_by_the_clock", "waits_on_futex"},
    {"time", "mq_timedsend", "repeat/test_time.c", "queues_time_out_by_the_clock",
     "waits_for_messages"},
    {"time", "mq_timedreceive", "repeat/test_time.c", "queues_time_out_by_the_clock",
     "waits_for_messages"},
    {"time", "timer_settime", "repeat/test_time.c", "timers_expire_by_the_clock", "arms_timers"},
    {"time", "timerfd_settime", "repeat/test_time.c", "timers_expire_by_the_clock", "arms_timers"},
    {"random", "getrandom", "repeat/test_random.c", "every_source_is_the_stream", "draws"},
    {"random", "open", "repeat/test_random.c", "every_source_is_the_stream", "draws"},
    {"random", "openat", "repeat/test_random.c", "every_source_is_the_stream", "draws"},
    {"random", "openat2", "repeat/test_random.c", "every_source_is_the_stream", "draws"},
    {"random", "clone", "repeat/test_random.c", "every_process_has_its_own", "is_born"},
    {"random", "fork", "repeat/test_random.c", "every_process_has_its_own", "is_born"},
    {"random", "vfork", "repeat/test_random.c", "every_process_has_its_own", "is_born"},
    {"random", "execve", "repeat/test_random.c", "every_process_has_its_own", "is_born"},
    {"random", "execveat", "repeat/test_random.c", "bad_arguments_are_errors", "asks_badly"},
    {"dirs", "getdents64", "repeat/test_dirs.c", "names_come_sorted", "lists"},
    {"dirs_opened", "open", "mint/test_mint.c", "names_come_sorted_without", "lists_twice"},
    {"dirs_opened", "openat", "mint/test_mint.c", "names_come_sorted_without", "lists_twice"},
    {"dirs_opened", "openat2", "mint/test_mint.c", "names_come_sorted_without", "lists_twice"},
    {"mint", "socket", "mint/test_mint.c", "sockets_are_judged", "reaches"},
    {"mint", "socketpair", "mint/test_mint.c", "pairs_reach_nobody_else", "pairs"},
    {"mint", "bind", "mint/test_mint.c", "closed_names_are_free", "binds_again"},
    {"kmem", "pipe2", "kmem/test_kmem.c", "pipes_are_bounded", "pipes"},
    {"kmem", "pipe", "kmem/test_kmem.c", "pipes_are_bounded", "pipes"},
    {"kmem", "mknod", "kmem/test_kmem.c", "pipes_are_bounded", "names_pipes"},
    {"kmem", "mknodat", "kmem/test_kmem.c", "pipes_are_bounded", "names_pipes"},
    {"kmem", "fcntl", "kmem/test_kmem.c", "pipes_are_bounded", "resizes"},
    {"kmem", "accept", "kmem/test_kmem.c", "sockets_are_bounded", "serves"},
    {"kmem", "accept4", "kmem/test_kmem.c", "sockets_are_bounded", "serves"},
    {"kmem", "semget", "kmem/test_kmem.c", "sets_and_queues_are_bounded", "makes_ipc"},
    {"kmem", "msgget", "kmem/test_kmem.c", "sets_and_queues_are_bounded", "makes_ipc"},
    {"kmem", "sendfile", "kmem/test_kmem.c", "pages_are_not_lent", "lends"},
    {"kmem", "socket", "kmem/test_kmem.c", "sockets_are_bounded", "serves"},
    {"kmem", "socketpair", "kmem/test_kmem.c", "sockets_are_bounded", "pairs"},
    {"buffers", "bind", "kmem/test_kmem.c", "sockets_are_bounded", "hears"},
    {"buffers", "listen", "kmem/test_kmem.c", "sockets_are_bounded", "serves"},
    {"explain", "openat", "explain/test_explain.c", "refused_opens_are_told", "opens"},
    {"explain", "openat2", "explain/test_explain.c", "refused_opens_are_told", "opens"},
    {"explain", "open", "explain/test_explain.c", "refused_opens_are_told", "opens"},
    {"explain", "creat", "explain/test_explain.c", "refused_opens_are_told", "opens"},
    {"explain", "truncate", "explain/test_explain.c", "refused_opens_are_told", "opens"},
    {"explain", "execve", "explain/test_explain.c", "refused_programs_are_told", "executes"},
    {"explain", "execveat", "explain/test_explain.c", "refused_programs_are_told", "executes"},
    {"explain", "bind", "explain/test_explain.c", "refused_changes_are_told", "changes"},
    {"explain", "mkdirat", "explain/test_explain.c", "refused_changes_are_told", "changes"},
    {"explain", "mknodat", "explain/test_explain.c", "refused_changes_are_told", "changes"},
    {"explain", "symlinkat", "explain/test_explain.c", "refused_changes_are_told", "changes"},
    {"explain", "unlinkat", "explain/test_explain.c", "refused_changes_are_told", "changes"},
    {"explain", "renameat2", "explain/test_explain.c", "refused_changes_are_told", "changes"},
    {"explain", "linkat", "explain/test_explain.c", "refused_changes_are_told", "changes"},
    {"explain", "mkdir", "explain/test_explain.c", "refused_changes_are_told", "changes"},
    {"explain", "mknod", "explain/test_explain.c", "refused_changes_are_told", "changes"},
    {"explain", "symlink", "explain/test_explain.c", "refused_changes_are_told", "changes"},
    {"explain", "unlink", "explain/test_explain.c", "refused_changes_are_told", "changes"},
    {"explain", "rmdir", "explain/test_explain.c", "refused_changes_are_told", "changes"},
    {"explain", "rename", "explain/test_explain.c", "refused_changes_are_told", "changes"},
    {"explain", "renameat", "explain/test_explain.c", "refused_changes_are_told", "changes"},
    {"explain", "link", "explain/test_explain.c", "refused_changes_are_told", "changes"},
    {"buffers", "setsockopt", "kmem/test_kmem.c", "sockets_are_bounded", "sets_sizes"},
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
        assert_true(f->teardown == NULL || f->state_size > 0);
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

/* Metadata are changed on what the table of paths says is meant. */
static void every_row_of_metadata_is_a_path_call(void **state)
{
    (void)state;
    for (size_t i = 0; i < sl_feature_metadata.row_count; i++) {
        assert_true(sl_path_is_call(sl_feature_metadata.rows[i].nr));
    }
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
        cmocka_unit_test(every_row_of_metadata_is_a_path_call),
        cmocka_unit_test(every_named_test_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
