/* Owns the checks of single values and their parsed forms. Never looks at the file system or at
 * another field. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/num.h"
#include "policy/policy_int.h"
#include "policy/text/suggest.h"
#include "policy/text/when.h"
#include "policy/unix_rule.h"

#define SHOWN_MAX    160
#define NAME_MAX_LEN 64
#define HOSTNAME_MAX 64 /* uname(2) */
#define LABEL_MAX    63 /* RFC 1123 */
#define SEED_MAX_LEN 256
#define FD_MAX       999999

/* Room for one more element behind `count` others. 0, -EINVAL or -ENOMEM. */
static int grow(void **items, size_t count, size_t size, const char *what, sl_error *err)
{
    if (count >= SL_POLICY_RULES_MAX) {
        return sl_error_usage(err, "%s: given more than %d times", what, SL_POLICY_RULES_MAX);
    }
    /* Doubling at powers of two: the capacity follows from the count. */
    if (count == 0 || (count & (count - 1)) == 0) {
        void *more = realloc(*items, (count == 0 ? 1 : count * 2) * size);
        if (more == NULL) {
            return sl_error_set(err, ENOMEM, "no memory for %s", what);
        }
        *items = more;
    }
    return 0;
}

int sl_take_nonempty(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    (void)policy;
    return value[0] == '\0' ? sl_error_usage(err, "%s: expected a value, found ''", what) : 0;
}

int sl_take_ca_bundle(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    (void)policy;
    return strcmp(value, "own") == 0 || strcmp(value, "merged") == 0
               ? 0
               : sl_error_usage(err, "%s: expected own or merged, found '%s'", what, value);
}

int sl_take_path(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    (void)policy;
    if (value[0] == '\0' || strcmp(value, "?") == 0) {
        return sl_error_usage(err, "%s: expected a path, found '%s'", what, value);
    }
    return 0;
}

int sl_take_name(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    (void)policy;
    size_t n = 0;
    while (isalnum((unsigned char)value[n]) || (value[n] != '\0' && strchr("._-", value[n]))) {
        n++;
    }
    if (n == 0 || n > NAME_MAX_LEN || value[n] != '\0' || value[0] == '.' || value[0] == '-') {
        return sl_error_usage(err,
                              "%s: '%.*s' is not a name: expected 1 to %d letters, digits, '.', "
                              "'_' or '-'",
                              what, SHOWN_MAX, value, NAME_MAX_LEN);
    }
    return 0;
}

/* hostname(7): labels of letters, digits and '-'. */
int sl_take_hostname(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    (void)policy;
    size_t len = strlen(value);
    size_t label = 0;
    bool good = len > 0 && len <= HOSTNAME_MAX;
    for (size_t i = 0; good && i <= len; i++) {
        if (value[i] == '.' || value[i] == '\0') {
            good =
                label > 0 && label <= LABEL_MAX && value[i - label] != '-' && value[i - 1] != '-';
            label = 0;
        } else {
            good = isalnum((unsigned char)value[i]) || value[i] == '-';
            label++;
        }
    }
    if (!good) {
        return sl_error_usage(
            err,
            "%s: '%.*s' is not a host name: expected 1 to %d letters, digits, '-' "
            "and '.', no label empty or with '-' at an end",
            what, SHOWN_MAX, value, HOSTNAME_MAX);
    }
    return 0;
}

int sl_take_audit(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    (void)policy;
    if (strncmp(value, "fd:", 3) == 0) {
        uint64_t fd;
        if (sl_num_parse_str(value + 3, FD_MAX, &fd) < 0) {
            return sl_error_usage(err, "%s: '%.*s': expected 'fd:' and a descriptor number", what,
                                  SHOWN_MAX, value);
        }
    }
    return value[0] == '\0' ? sl_error_usage(err, "%s: expected FILE, fd:N or -, found ''", what)
                            : 0;
}

/* "0,2-3", as the kernel writes lists of processors. */
int sl_take_cpu_cores(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    const char *p = value;
    for (;;) {
        uint64_t first = 0;
        bool good = sl_num_take(&p, SL_POLICY_CPUS_MAX - 1, &first) == 0;
        uint64_t last = first;
        if (good && *p == '-') {
            p++;
            good = sl_num_take(&p, SL_POLICY_CPUS_MAX - 1, &last) == 0 && first <= last;
        }
        if (!good || (*p != '\0' && *p != ',')) {
            return sl_error_usage(err,
                                  "%s: '%.*s': expected numbers of cores from 0 to %d ('0,2-3')",
                                  what, SHOWN_MAX, value, SL_POLICY_CPUS_MAX - 1);
        }
        for (uint64_t core = first; core <= last; core++) {
            policy->cpu_cores[core / 64] |= UINT64_C(1) << (core % 64);
        }
        if (*p++ == '\0') {
            return 0;
        }
    }
}

int sl_take_num_cpus(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    if (policy->num_cpus > SL_POLICY_CPUS_MAX) {
        return sl_error_usage(err, "%s: '%.*s': expected a number from 0 to %d", what, SHOWN_MAX,
                              value, SL_POLICY_CPUS_MAX);
    }
    return 0;
}

/* A run that gets no time at all would never end. */
int sl_take_max_cpu(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    if (policy->max_cpu < 1) {
        return sl_error_usage(err,
                              "%s: '%.*s': expected percent of one core, from 1 to %d; for no "
                              "limit leave it out",
                              what, SHOWN_MAX, value, INT32_MAX);
    }
    return 0;
}

int sl_take_env(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    (void)policy;
    const char *equals = strchr(value, '=');
    if (equals == NULL || equals == value) {
        return sl_error_usage(err, "%s: '%.*s': expected NAME=VALUE", what, SHOWN_MAX, value);
    }
    return 0;
}

int sl_take_gpu(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    uint64_t mask = 0;
    const char *p = value;
    if (strcmp(value, "all") == 0) {
        policy->gpu_all = true;
        return 0;
    }
    for (;;) {
        uint64_t number;
        int r = sl_num_take(&p, SL_POLICY_GPUS_MAX - 1, &number);
        if (r < 0 || (*p != ',' && *p != '\0')) {
            return sl_error_usage(err,
                                  "%s: '%.*s': expected all, or numbers from 0 to %d as in '0,2'",
                                  what, SHOWN_MAX, value, SL_POLICY_GPUS_MAX - 1);
        }
        mask |= (uint64_t)1 << number;
        if (*p++ == '\0') {
            policy->gpu_mask |= mask;
            return 0;
        }
    }
}

int sl_take_time_start(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    if (sl_when_parse(value, &policy->time_start_ns) < 0) {
        return sl_error_usage(err,
                              "%s: '%.*s': expected a time with its zone ('2024-05-01T12:00:00Z', "
                              "'2024-05-01T14:00:00+02:00') or Unix seconds, from 1970 to 2199",
                              what, SHOWN_MAX, value);
    }
    return 0;
}

int sl_take_seed(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    (void)policy;
    if (value[0] == '\0' || strlen(value) > SEED_MAX_LEN) {
        return sl_error_usage(err, "%s: '%.*s': expected a number or a text of 1 to %d bytes", what,
                              SHOWN_MAX, value, SEED_MAX_LEN);
    }
    return 0;
}

static int add_net(sl_net_rule **rules, size_t *count, const char *value, const char *what,
                   sl_error *err)
{
    int r = grow((void **)rules, *count, sizeof(**rules), what, err);
    r = r < 0 ? r : sl_net_rule_parse(value, *rules + *count, err);
    if (r == 0) {
        (*count)++;
    }
    return r;
}

int sl_take_net_allow(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    if (!sl_unix_rule_is(value)) {
        return add_net(&policy->net_allow, &policy->net_allow_count, value, what, err);
    }
    const char *path = sl_unix_rule_path(value, err);
    if (path == NULL) {
        return -EINVAL;
    }
    return sl_strv_add(&policy->net_unix, path) < 0
               ? sl_error_set(err, ENOMEM, "no memory for %s", what)
               : 0;
}

int sl_take_net_deny(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    if (sl_unix_rule_is(value)) {
        return sl_error_usage(err,
                              "net rule '%.*s': unix: goes to --net-allow; a socket that is "
                              "not named there is out of reach",
                              SHOWN_MAX, value);
    }
    return add_net(&policy->net_deny, &policy->net_deny_count, value, what, err);
}

static int add_http(sl_http_rule **rules, size_t *count, const char *value, const char *what,
                    sl_error *err)
{
    int r = grow((void **)rules, *count, sizeof(**rules), what, err);
    r = r < 0 ? r : sl_http_rule_parse(value, *rules + *count, err);
    if (r == 0) {
        (*count)++;
    }
    return r;
}

int sl_take_http_allow(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    return add_http(&policy->http_allow, &policy->http_allow_count, value, what, err);
}

int sl_take_http_deny(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    return add_http(&policy->http_deny, &policy->http_deny_count, value, what, err);
}

/* A name alone becomes the net rule that it means: TCP and UDP, any port. */
int sl_take_net_host(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    sl_host_pattern host;
    char message[SHOWN_MAX + 32];
    snprintf(message, sizeof(message), "%s '%.*s'", what, SHOWN_MAX, value);
    if (strchr(value, ':') != NULL && value[0] != '[') {
        return sl_error_usage(err,
                              "%s: expected a host name alone (it grants any port); "
                              "for one port write --net-allow '%.*s'",
                              message, SHOWN_MAX, value);
    }
    int r = sl_host_pattern_parse(value, true, message, &host, err);
    if (r == 0) {
        r = grow((void **)&policy->net_hosts, policy->net_host_count, sizeof(*policy->net_hosts),
                 what, err);
    }
    if (r == 0) {
        sl_net_rule *rule = &policy->net_hosts[policy->net_host_count];
        *rule = (sl_net_rule){
            .text = strdup(value), .protos = SL_PROTO_TCP | SL_PROTO_UDP, .host = host};
        if (rule->text == NULL) {
            return sl_error_set(err, ENOMEM, "no memory for %s", what);
        }
        policy->net_host_count++;
    }
    return r;
}

int sl_take_net_connect(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    return sl_ports_add(&policy->net_connect, value, false, what, err);
}

int sl_take_net_bind(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    return sl_ports_add(&policy->net_bind, value, true, what, err);
}

int sl_take_http_ports(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    return sl_ports_add(&policy->http_ports_given, value, false, what, err);
}

int sl_take_no_inspect(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    size_t count = policy->http_no_inspect_count;
    int r =
        grow((void **)&policy->http_no_inspect, count, sizeof(*policy->http_no_inspect), what, err);
    if (r == 0) {
        r = sl_host_pattern_parse(value, false, what, &policy->http_no_inspect[count], err);
    }
    if (r == 0) {
        policy->http_no_inspect_count++;
    }
    return r;
}

/* "ADDR", "ADDR:PORT", "[V6]", "[V6]:PORT", "V6". */
static int parse_resolved(const char *text, sl_resolve *entry)
{
    char addr[64];
    const char *colon = strrchr(text, ':');
    if (sl_addr_parse(text, &entry->addr) == 0) {
        return 0;
    }
    if (colon == NULL || (size_t)(colon - text) >= sizeof(addr)) {
        return -EINVAL;
    }
    memcpy(addr, text, (size_t)(colon - text));
    addr[colon - text] = '\0';
    if (strchr(addr, ':') != NULL && addr[0] != '[') {
        return -EINVAL;
    }
    uint64_t port;
    if (sl_num_parse_plain(colon + 1, strlen(colon + 1), UINT16_MAX, &port) < 0 || port == 0 ||
        sl_addr_parse(addr, &entry->addr) < 0) {
        return -EINVAL;
    }
    entry->port = (uint16_t)port;
    return 0;
}

int sl_take_resolve(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    sl_resolve entry;
    char name[SL_HOST_NAME_MAX + 1];
    const char *equals = strchr(value, '=');
    memset(&entry, 0, sizeof(entry));
    size_t n = equals == NULL ? 0 : (size_t)(equals - value);
    if (n == 0 || n >= sizeof(name)) {
        return sl_error_usage(err, "%s: '%.*s': expected HOST=ADDRESS[:PORT]", what, SHOWN_MAX,
                              value);
    }
    memcpy(name, value, n);
    name[n] = '\0';
    if (sl_addr_parse(name, &entry.addr) == 0 || sl_addr_looks_numeric(name) ||
        sl_host_name_normalise(name, entry.name) < 0) {
        return sl_error_usage(err, "%s: '%s' is not a host name: expected HOST=ADDRESS[:PORT]",
                              what, name);
    }
    if (parse_resolved(equals + 1, &entry) < 0) {
        return sl_error_usage(err,
                              "%s: '%.*s' is not ADDRESS or ADDRESS:PORT: expected four decimal "
                              "numbers, or IPv6 in brackets, and a port from 1 to 65535",
                              what, SHOWN_MAX, equals + 1);
    }
    int r =
        grow((void **)&policy->resolve, policy->resolve_count, sizeof(*policy->resolve), what, err);
    if (r == 0) {
        policy->resolve[policy->resolve_count++] = entry;
    }
    return r;
}

/* Names with commas between them. */
static int add_syscalls(sl_sysset *set, const char *value, const char *what, sl_error *err)
{
    char name[SL_SUGGEST_WORD_MAX];
    for (const char *p = value;; p++) {
        size_t n = strcspn(p, ",");
        snprintf(name, sizeof(name), "%.*s", (int)SL_MIN(n, sizeof(name)), p);
        int nr = n < sizeof(name) ? sl_sysname_number(name) : -1;
        if (nr < 0) {
            const char *nearest = sl_sysname_nearest(name);
            return sl_error_usage(err, "%s: '%.*s' is no system call%s%s%s", what,
                                  (int)SL_MIN(n, (size_t)SHOWN_MAX), p,
                                  nearest == NULL ? " known here" : "; did you mean '",
                                  nearest == NULL ? "" : nearest, nearest == NULL ? "" : "'?");
        }
        sl_sysset_add(set, nr);
        p += n;
        if (*p == '\0') {
            return 0;
        }
    }
}

int sl_take_allow_syscall(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    return add_syscalls(&policy->syscalls_allowed, value, what, err);
}

int sl_take_deny_syscall(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    return add_syscalls(&policy->syscalls_denied, value, what, err);
}

int sl_take_extra_syscall(sl_policy *policy, const char *value, const char *what, sl_error *err)
{
    return add_syscalls(&policy->syscalls_extra, value, what, err);
}
