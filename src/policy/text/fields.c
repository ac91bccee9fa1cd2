/* Owns the table of fields: the command line, profiles, --print-policy and the link read nothing
 * else. Adding a field is adding a member to sl_policy and a row here. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "policy/policy_int.h"
#include "policy/text/suggest.h"
#include "policy/unix_rule.h"

#define AT(member)    .offset = offsetof(sl_policy, member), .given_offset = SIZE_MAX
#define GIVEN(member) .given_offset = offsetof(sl_policy, member)
#define AT_GIVEN(member)                                                                           \
    .offset = offsetof(sl_policy, member), .given_offset = offsetof(sl_policy, member##_given)

#define FILES   "Files"
#define NETWORK "Network"
#define HTTP    "HTTP"
#define ISOLATE "Isolation"
#define LIMITS  "Limits"
#define REPEAT  "Determinism"
#define ENVIRON "Environment"
#define RUN     "The run"

/* clang-format off */
static const sl_field fields[] = {
    {.name = "fs_readable", .option = "--fs-read", .short_option = 'r', .type = SL_FIELD_LIST,
     AT(fs_readable), .argument = "PATH", .group = FILES, .take = sl_take_path,
     .help = "let it read PATH and below ('?PATH' may be missing)"},
    {.name = "fs_writable", .option = "--fs-write", .short_option = 'w', .type = SL_FIELD_LIST,
     AT(fs_writable), .argument = "PATH", .group = FILES, .take = sl_take_path,
     .help = "let it read and write PATH and below"},
    {.name = "fs_denied", .option = "--fs-deny", .type = SL_FIELD_LIST,
     AT(fs_denied), .argument = "PATH", .group = FILES, .take = sl_take_path,
     .help = "keep PATH and below away from it, whatever else is granted"},
    {.name = "cwd", .option = "--cwd", .type = SL_FIELD_STRING,
     AT(cwd), .argument = "DIR", .group = FILES, .take = sl_take_nonempty,
     .help = "start in DIR"},
    {.name = "gpu_devices", .option = "--gpu", .type = SL_FIELD_LIST,
     AT(gpu_devices), .numbers_ok = true, .argument = "all|N,N", .group = FILES,
     .take = sl_take_gpu,
     .help = "let it use these GPUs and no other"},

    {.name = "http_allow", .option = "--http-allow", .type = SL_FIELD_LIST,
     .offset = offsetof(sl_policy, http_allow_text), GIVEN(http_allow_given), .empty_ok = true,
     .argument = "RULE", .group = HTTP, .take = sl_take_http_allow,
     .help = "allow requests: 'METHOD host[:port][/path][?key=value]'"},
    {.name = "http_deny", .option = "--http-deny", .type = SL_FIELD_LIST,
     AT(http_deny_text), .empty_ok = true, .argument = "RULE", .group = HTTP,
     .take = sl_take_http_deny,
     .help = "deny requests; wins over --http-allow"},
    {.name = "http_ports", .option = "--http-ports", .option_alias = "--http-port",
     .type = SL_FIELD_LIST, AT(http_ports_text), .empty_ok = true, .numbers_ok = true,
     .argument = "PORTS", .group = HTTP, .take = sl_take_http_ports,
     .help = "ports that speak HTTP or HTTPS, beside 80 and 443"},
    {.name = "http_ca", .option = "--http-ca", .type = SL_FIELD_STRING,
     AT(http_ca), .argument = "FILE", .group = HTTP, .take = sl_take_nonempty,
     .help = "certificate of the inspecting CA (default: a new one each run)"},
    {.name = "http_key", .option = "--http-key", .type = SL_FIELD_STRING,
     AT(http_key), .argument = "FILE", .group = HTTP, .take = sl_take_nonempty,
     .help = "its private key"},
    {.name = "http_ca_out", .option = "--http-ca-out", .type = SL_FIELD_STRING,
     AT(http_ca_out), .argument = "FILE", .group = HTTP, .take = sl_take_nonempty,
     .help = "write the CA certificate there as well"},
    {.name = "http_ca_bundle", .option = "--http-ca-bundle", .type = SL_FIELD_STRING,
     AT(http_ca_bundle), .argument = "own|merged", .group = HTTP, .take = sl_take_ca_bundle,
     .help = "let it believe the inspecting CA alone, or the system's, too"},
    {.name = "http_upstream_ca", .option = "--http-upstream-ca", .type = SL_FIELD_LIST,
     AT(http_upstream_ca), .argument = "FILE", .group = HTTP, .take = sl_take_nonempty,
     .help = "believe these roots, too, when verifying servers"},
    {.name = "http_no_inspect", .option = "--http-no-inspect", .type = SL_FIELD_LIST,
     AT(http_no_inspect_text), .empty_ok = true, .argument = "HOST", .group = HTTP,
     .take = sl_take_no_inspect,
     .help = "pass TLS to HOST through untouched; only its name is judged"},
    {.name = "resolve", .option = "--resolve", .type = SL_FIELD_LIST,
     AT(resolve_text), .empty_ok = true, .argument = "HOST=ADDR[:PORT]", .group = HTTP,
     .take = sl_take_resolve,
     .help = "use ADDR for HOST instead of asking the DNS"},

    {.name = "net_allow", .option = "--net-allow", .type = SL_FIELD_LIST,
     .offset = offsetof(sl_policy, net_allow_text), GIVEN(net_allow_given), .empty_ok = true,
     .aside = sl_unix_rule_is, .argument = "SPEC", .group = NETWORK, .take = sl_take_net_allow,
     .help = "allow '[tcp://|udp://|icmp://]host[:ports]' or 'unix:PATH'; '' for nothing"},
    {.name = "net_deny", .option = "--net-deny", .type = SL_FIELD_LIST,
     AT(net_deny_text), .empty_ok = true, .argument = "SPEC", .group = NETWORK,
     .take = sl_take_net_deny,
     .help = "deny destinations; wins over every allow rule"},
    {.name = "net_allow_hosts", .option = "--net-allow-host", .type = SL_FIELD_LIST,
     AT(net_allow_hosts), .empty_ok = true, .argument = "NAME", .group = NETWORK,
     .take = sl_take_net_host,
     .help = "allow TCP and, without --no-udp, UDP to NAME on any port"},
    {.name = "net_connect", .option = "--net-connect", .type = SL_FIELD_LIST,
     AT(net_connect_text), .empty_ok = true, .numbers_ok = true, .argument = "PORTS",
     .group = NETWORK, .take = sl_take_net_connect,
     .help = "allow TCP connects to these ports only ('80,443,9000-9005')"},
    {.name = "net_bind", .option = "--net-bind", .type = SL_FIELD_LIST,
     AT(net_bind_text), .empty_ok = true, .numbers_ok = true, .argument = "PORTS",
     .group = NETWORK, .take = sl_take_net_bind,
     .help = "allow TCP binds to these ports only"},
    {.name = "no_raw_sockets", .option = "--allow-raw-sockets", .negated = true,
     .type = SL_FIELD_BOOL, AT(no_raw_sockets), .group = NETWORK,
     .help = "do not refuse raw sockets"},
    {.name = "no_udp", .option = "--no-udp", .type = SL_FIELD_BOOL,
     AT(no_udp), .group = NETWORK,
     .help = "no UDP sockets; where a rule names hosts, UDP to our resolver alone"},
    {.name = "port_remap", .option = "--port-remap", .type = SL_FIELD_BOOL,
     AT(port_remap), .group = NETWORK,
     .help = "a port space of its own: ports taken outside are free inside"},

    {.name = "isolate_ipc", .option = "--isolate-ipc", .type = SL_FIELD_BOOL,
     AT_GIVEN(isolate_ipc), .group = ISOLATE,
     .help = "no abstract Unix sockets, SysV IPC or message queues of others"},
    {.name = "isolate_signals", .option = "--isolate-signals", .type = SL_FIELD_BOOL,
     AT_GIVEN(isolate_signals), .group = ISOLATE,
     .help = "no signals to processes outside"},
    {.name = "isolate_pids", .option = "--isolate-pids", .type = SL_FIELD_BOOL,
     AT(isolate_pids), .group = ISOLATE,
     .help = "show it no processes in /proc but its own"},

    {.name = "privileged", .option = "--privileged", .type = SL_FIELD_BOOL,
     AT(privileged), .group = ISOLATE,
     .help = "let it seem to be root, without a capability"},
    {.name = "uid", .option = "--uid", .type = SL_FIELD_COUNT,
     AT(uid), .argument = "N", .group = ISOLATE,
     .help = "let it seem to be user N"},
    {.name = "gid", .option = "--gid", .type = SL_FIELD_COUNT,
     AT(gid), .argument = "N", .group = ISOLATE,
     .help = "let it seem to be in group N"},
    {.name = "allow_syscalls", .option = "--allow-syscalls", .type = SL_FIELD_LIST,
     AT_GIVEN(allow_syscalls), .empty_ok = true, .argument = "NAME[,NAME]", .group = ISOLATE,
     .take = sl_take_allow_syscall,
     .help = "allow these system calls and what a start needs, no others"},
    {.name = "deny_syscalls", .option = "--deny-syscalls", .type = SL_FIELD_LIST,
     AT_GIVEN(deny_syscalls), .empty_ok = true, .argument = "NAME[,NAME]", .group = ISOLATE,
     .take = sl_take_deny_syscall,
     .help = "deny these system calls in place of the built-in list"},
    {.name = "extra_deny_syscalls", .option = "--extra-deny-syscalls", .type = SL_FIELD_LIST,
     AT(extra_deny_syscalls), .empty_ok = true, .argument = "NAME[,NAME]", .group = ISOLATE,
     .take = sl_take_extra_syscall,
     .help = "deny these system calls beside the built-in list"},
    {.name = "debug", .option = "--allow-debug", .type = SL_FIELD_BOOL,
     AT(debug), .group = ISOLATE,
     .help = "let debuggers, strace and leak checkers work within it"},

    {.name = "max_memory", .option = "--max-memory", .short_option = 'm', .type = SL_FIELD_SIZE,
     AT(max_memory), .argument = "SIZE", .group = LIMITS,
     .help = "memory of all its processes together ('512M'); over it the run ends"},
    {.name = "max_processes", .option = "--max-processes", .short_option = 'P',
     .type = SL_FIELD_COUNT, AT_GIVEN(max_processes), .argument = "N", .group = LIMITS,
     .help = "processes alive at once (default 64; 0: no limit)"},
    {.name = "max_cpu", .option = "--max-cpu", .short_option = 'c', .type = SL_FIELD_COUNT,
     AT(max_cpu), .argument = "PERCENT", .group = LIMITS, .take = sl_take_max_cpu,
     .help = "processor time of all its processes together ('50': half a core)"},
    {.name = "max_open_files", .option = "--max-open-files", .type = SL_FIELD_COUNT,
     AT(max_open_files), .argument = "N", .group = LIMITS,
     .help = "descriptors of each process"},
    {.name = "cpu_cores", .option = "--cpu-cores", .type = SL_FIELD_LIST,
     AT(cpu_cores_text), .numbers_ok = true, .argument = "CORES", .group = LIMITS,
     .take = sl_take_cpu_cores,
     .help = "run on these cores only ('0,2-3')"},
    {.name = "num_cpus", .option = "--num-cpus", .type = SL_FIELD_COUNT,
     AT(num_cpus), .argument = "N", .group = LIMITS, .take = sl_take_num_cpus,
     .help = "show it N processors"},
    {.name = "timeout", .option = "--timeout", .short_option = 't', .type = SL_FIELD_DURATION,
     AT(timeout_ms), .argument = "TIME", .group = LIMITS,
     .help = "end the run after TIME ('90', '1.5s', '2m'); exit code 124"},

    {.name = "time_start", .option = "--time-start", .type = SL_FIELD_STRING,
     AT(time_start), .numbers_ok = true, .times_ok = true, .argument = "TIME", .group = REPEAT, .take = sl_take_time_start,
     .help = "start the clock at TIME ('2024-05-01T12:00:00Z', or Unix seconds)"},
    {.name = "random_seed", .option = "--random-seed", .type = SL_FIELD_STRING,
     AT(random_seed), .numbers_ok = true, .argument = "N|TEXT", .group = REPEAT, .take = sl_take_seed,
     .help = "answer every request for random bytes from this seed"},
    {.name = "no_randomize_memory", .option = "--no-randomize-memory", .type = SL_FIELD_BOOL,
     AT(no_randomize_memory), .group = REPEAT,
     .help = "put memory at the same addresses in every run"},
    {.name = "no_huge_pages", .option = "--no-huge-pages", .type = SL_FIELD_BOOL,
     AT(no_huge_pages), .group = REPEAT,
     .help = "no transparent huge pages"},
    {.name = "deterministic_dirs", .option = "--deterministic-dirs", .type = SL_FIELD_BOOL,
     AT(deterministic_dirs), .group = REPEAT,
     .help = "list directories sorted by name"},
    {.name = "no_coredump", .option = "--no-coredump", .type = SL_FIELD_BOOL,
     AT(no_coredump), .group = REPEAT,
     .help = "no core files"},

    {.name = "clean_env", .option = "--clean-env", .type = SL_FIELD_BOOL,
     AT(clean_env), .group = ENVIRON,
     .help = "pass on PATH, HOME, USER, TERM and LANG only"},
    {.name = "env", .option = "--env", .type = SL_FIELD_LIST,
     AT(env), .argument = "K=V", .group = ENVIRON, .take = sl_take_env,
     .help = "set a variable"},
    {.name = "close_fds", .type = SL_FIELD_BOOL, AT(close_fds), .group = ENVIRON,
     .help = "close inherited descriptors"},
    {.name = "hostname", .option = "--hostname", .type = SL_FIELD_STRING,
     AT(hostname), .argument = "NAME", .group = ENVIRON, .take = sl_take_hostname,
     .help = "tell it this name of the machine"},

    {.name = "name", .option = "--name", .type = SL_FIELD_STRING,
     AT(name), .argument = "NAME", .group = RUN, .take = sl_take_name,
     .help = "name of the run, for logs"},
    {.name = "audit", .option = "--audit", .type = SL_FIELD_STRING,
     AT(audit), .argument = "FILE|fd:N|-", .group = RUN, .take = sl_take_audit,
     .help = "write one JSON line for each decision ('-': stderr)"},
    {.name = "allow_degraded", .option = "--allow-degraded", .type = SL_FIELD_LIST,
     AT(allow_degraded), .cli_only = true, .argument = "FEATURE", .group = RUN,
     .take = sl_take_name,
     .help = "start although FEATURE is missing (see 'sandlock check')"},
};
/* clang-format on */

const sl_field *sl_fields(size_t *ret_count)
{
    *ret_count = SL_ARRAY_LEN(fields);
    return fields;
}

const sl_field *sl_field_by_name(const char *name)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(fields); i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

const sl_field *sl_field_nearest(const char *name)
{
    const sl_field *nearest = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < SL_ARRAY_LEN(fields); i++) {
        size_t distance = sl_suggest_distance(name, fields[i].name);
        if (distance < least) {
            least = distance;
            nearest = &fields[i];
        }
    }
    return nearest != NULL && sl_suggest_near(least, strlen(name)) ? nearest : NULL;
}

const char *sl_field_what(const sl_field *field)
{
    return field->option != NULL ? field->option : field->name;
}
