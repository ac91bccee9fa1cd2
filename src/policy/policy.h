/* The policy: every field of docs/profiles.md once, with one name, one meaning and one default.
 *
 * Build with sl_policy_set (from the command line, a profile or the link), then freeze. A frozen
 * policy never changes; everybody else holds `const sl_policy *`. */
#ifndef SANDLOCK_POLICY_POLICY_H
#define SANDLOCK_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/strv.h"
#include "core/util.h"
#include "policy/http/rule.h"
#include "policy/net_rule.h"
#include "policy/ports.h"
#include "policy/text/sysnames.h"

#define SL_POLICY_RULES_MAX     4096
#define SL_POLICY_ID_NONE       UINT32_MAX
#define SL_POLICY_PROCESSES_MAX 64   /* default of max_processes */
#define SL_POLICY_GPUS_MAX      64   /* numbers of gpu_devices */
#define SL_POLICY_CPUS_MAX      1024 /* numbers that cpu_cores may name, and num_cpus count */
#define SL_POLICY_SIZE_MAX      (UINT64_C(1) << 60)
#define SL_SIZE_TEXT_MAX        24

typedef struct sl_resolve {
    char name[SL_HOST_NAME_MAX];
    sl_addr addr;
    uint16_t port; /* 0: the port that was asked for */
} sl_resolve;

typedef struct sl_policy {
    /* files */
    sl_strv fs_readable; /* as given; "?PATH" may be missing */
    sl_strv fs_writable;
    sl_strv fs_denied;
    char *cwd;
    sl_strv gpu_devices; /* as given */
    bool gpu_all;
    uint64_t gpu_mask; /* bit N: GPU N */

    /* network */
    sl_strv net_allow_text; /* as given */
    sl_strv net_deny_text;
    sl_strv net_allow_hosts;
    sl_net_rule *net_hosts; /* net_allow_hosts as the rules they mean */
    size_t net_host_count;
    bool net_allow_given; /* by other than unix: rules; an explicit empty list restricts: none */
    sl_net_rule *net_allow;
    size_t net_allow_count;
    sl_strv net_unix; /* the paths of its unix: rules (policy/unix_rule.h) */
    sl_net_rule *net_deny;
    size_t net_deny_count;
    sl_strv net_connect_text;
    sl_strv net_bind_text;
    sl_ports net_connect; /* empty: unrestricted */
    sl_ports net_bind;
    bool no_raw_sockets; /* default true */
    bool no_udp;
    bool port_remap; /* the tree has a port space of its own */

    /* HTTP */
    sl_strv http_allow_text;
    sl_strv http_deny_text;
    bool http_allow_given;
    sl_http_rule *http_allow;
    size_t http_allow_count;
    sl_http_rule *http_deny;
    size_t http_deny_count;
    sl_strv http_ports_text;
    sl_ports http_ports_given; /* what http_ports names: HTTP and HTTPS of any host */
    sl_ports http_ports;       /* frozen: the same plus 80 and 443 plus ports named by rules */
    char *http_ca;             /* PEM files */
    char *http_key;
    char *http_ca_out;
    char *http_ca_bundle; /* "own" or "merged"; NULL: as the rules have it */
    sl_strv http_upstream_ca;
    sl_strv http_no_inspect_text; /* host patterns passed through untouched */
    sl_host_pattern *http_no_inspect;
    size_t http_no_inspect_count;
    sl_strv resolve_text;
    sl_resolve *resolve;
    size_t resolve_count;

    /* IPC */
    bool isolate_ipc;
    bool isolate_ipc_given; /* false takes back what the default view isolates */
    bool isolate_signals;
    bool isolate_signals_given;
    bool isolate_pids;

    /* who it seems to be: in a user namespace of one id each */
    bool privileged; /* root */
    uint32_t uid;    /* SL_POLICY_ID_NONE: as it is */
    uint32_t gid;

    /* system calls */
    sl_strv allow_syscalls; /* as given; an explicit empty list is a restriction: none */
    bool allow_syscalls_given;
    sl_sysset syscalls_allowed;
    sl_strv deny_syscalls; /* an explicit empty list takes the built-in one away */
    bool deny_syscalls_given;
    sl_sysset syscalls_denied;
    sl_strv extra_deny_syscalls;
    sl_sysset syscalls_extra;
    bool debug; /* debuggers and leak checkers work within the tree */

    /* limits */
    uint64_t max_memory;    /* bytes, of the whole tree; 0: no limit */
    uint32_t max_processes; /* alive at once; 0: no limit */
    bool max_processes_given;
    uint32_t max_cpu;        /* percent of one core, of the whole tree; 0: none was given */
    uint32_t max_open_files; /* of each process; 0: as the caller */
    sl_strv cpu_cores_text;  /* as given */
    uint64_t cpu_cores[SL_POLICY_CPUS_MAX / 64]; /* a bit each; none: as the caller */
    uint32_t num_cpus;                           /* that it sees; 0: as they are */
    uint64_t timeout_ms;                         /* 0: none */

    /* determinism */
    char *time_start;      /* as given; NULL: the real time */
    int64_t time_start_ns; /* since 1970 */
    char *random_seed;     /* as given; NULL: real randomness */
    bool no_randomize_memory;
    bool no_huge_pages;
    bool deterministic_dirs;
    bool no_coredump;

    /* environment */
    bool clean_env;
    sl_strv env;    /* "K=V" */
    bool close_fds; /* default true */
    char *hostname; /* NULL: the machine's */

    /* the run */
    char *name;
    char *audit;            /* "FILE", "fd:N" or "-" */
    sl_strv allow_degraded; /* names of features that may be missing */
    bool explain; /* no field: who starts the run wants to hear of each file that is refused */

    bool frozen;
} sl_policy;

sl_policy *sl_policy_new(void); /* defaults; NULL: no memory */
void sl_policy_free(sl_policy *policy);
SL_DEFINE_AUTO(sl_policy, sl_policy_free);

enum sl_field_type {
    SL_FIELD_BOOL,     /* "true"/"false"; the bare option sets it */
    SL_FIELD_STRING,   /* one value, the last wins */
    SL_FIELD_LIST,     /* repeatable */
    SL_FIELD_COUNT,    /* unsigned decimal */
    SL_FIELD_SIZE,     /* bytes, or a number with K, M, G or T (powers of 1024) */
    SL_FIELD_DURATION, /* seconds with fraction, or "1.5s", "200ms", "2m", "1h" */
};

/* One row a field: the command line, profiles, --print-policy and the link all read this table. */
typedef struct sl_field {
    const char *name;         /* "http_allow" */
    const char *option;       /* "--http-allow" */
    const char *option_alias; /* other spelling ("--http-port"), or NULL */
    char short_option;        /* 'r', or 0 */
    bool negated;             /* the option sets a BOOL to false (--allow-raw-sockets) */
    enum sl_field_type type;
    size_t offset;                    /* in sl_policy */
    size_t given_offset;              /* of the bool that records "was given", or SIZE_MAX */
    const char *argument;             /* "RULE", "PATH", NULL for BOOL */
    const char *help;                 /* one line */
    const char *group;                /* heading in --help */
    bool cli_only;                    /* neither in profiles nor on the link */
    bool empty_ok;                    /* a LIST of rules: "" is the explicit empty list */
    bool (*aside)(const char *value); /* such an item does not make the list "given"; NULL: none */
    bool numbers_ok; /* a STRING, or a LIST's item, that may be an integer in TOML */
    bool times_ok;   /* a STRING that may be a date-time or a float in TOML */
    /* Checks one value, beyond its type, and puts its parsed form into the policy. NULL: none.
     * `what` names the field in errors. */
    int (*take)(sl_policy *policy, const char *value, const char *what, sl_error *err);
} sl_field;

const sl_field *sl_fields(size_t *ret_count);
const sl_field *sl_field_by_name(const char *name);
/* The known field nearest to a mistyped name, or NULL when none is near. */
const sl_field *sl_field_nearest(const char *name);

/* "--http-allow", or the name of a field without an option: how errors call it. */
const char *sl_field_what(const sl_field *field);

/* Sets or adds one value, checking its form at once (rules, ports, numbers are parsed here), so
 * that the error names the word. `value` of an empty string on a LIST field of rules means the
 * explicit empty list. Fails with -EBUSY once frozen. */
int sl_policy_set(sl_policy *policy, const sl_field *field, const char *value, sl_error *err);
/* The same, with errors that call the field `what` instead of by its option. */
int sl_policy_set_as(sl_policy *policy, const sl_field *field, const char *value, const char *what,
                     sl_error *err);

/* A size as a person would write it: "512M". Returns `out`. */
const char *sl_size_text(uint64_t bytes, char out[SL_SIZE_TEXT_MAX]);

/* Checks what needs all fields together, completes derived ones (http_ports), and freezes. Does not
 * look at the file system. */
int sl_policy_freeze(sl_policy *policy, sl_error *err);

/* The effective policy as TOML, fields at their default left out. -EILSEQ (with a message) for a
 * value that is not UTF-8, which TOML cannot carry. */
int sl_policy_to_toml(const sl_policy *policy, sl_buf *out, sl_error *err);

/* For the link: "name\0value\0..." of every field that differs from the default, and back (the
 * result is frozen). What arrives is checked as a user's words are. */
int sl_policy_encode(const sl_policy *policy, sl_buf *out);
int sl_policy_decode(const void *data, size_t len, sl_policy **ret_policy, sl_error *err);

#endif
