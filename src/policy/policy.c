/* Owns the life of a policy: defaults, setting, freezing. Never changes a frozen one. */
#include "policy/policy.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/num.h"
#include "policy/policy_int.h"
#include "policy/verdict.h"

#define SHOWN_MAX       160
#define DURATION_MAX_MS (3650ull * 24 * 3600 * 1000)
#define FRACTION_DIGITS 6
#define FRACTION_ONE    1000000u

sl_policy *sl_policy_new(void)
{
    sl_policy *p = calloc(1, sizeof(*p));
    if (p == NULL) {
        return NULL;
    }
    p->no_raw_sockets = true;
    p->close_fds = true;
    p->max_processes = SL_POLICY_PROCESSES_MAX;
    p->uid = SL_POLICY_ID_NONE;
    p->gid = SL_POLICY_ID_NONE;
    return p;
}

static void free_net(sl_net_rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sl_net_rule_done(&rules[i]);
    }
    free(rules);
}

static void free_http(sl_http_rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sl_http_rule_done(&rules[i]);
    }
    free(rules);
}

void sl_policy_free(sl_policy *policy)
{
    if (policy == NULL) {
        return;
    }
    size_t count;
    const sl_field *fields = sl_fields(&count);
    for (size_t i = 0; i < count; i++) {
        void *member = sl_field_member(policy, &fields[i]);
        if (fields[i].type == SL_FIELD_LIST) {
            sl_strv_done(member);
        } else if (fields[i].type == SL_FIELD_STRING) {
            free(*(char **)member);
        }
    }
    free_net(policy->net_allow, policy->net_allow_count);
    free_net(policy->net_deny, policy->net_deny_count);
    free_net(policy->net_hosts, policy->net_host_count);
    free_http(policy->http_allow, policy->http_allow_count);
    free_http(policy->http_deny, policy->http_deny_count);
    sl_strv_done(&policy->net_unix);
    sl_ports_done(&policy->net_connect);
    sl_ports_done(&policy->net_bind);
    sl_ports_done(&policy->http_ports_given);
    sl_ports_done(&policy->http_ports);
    free(policy->http_no_inspect);
    free(policy->resolve);
    free(policy);
}

static int set_bool(bool *member, const char *value, const char *what, sl_error *err)
{
    if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0) {
        return sl_error_usage(err, "%s: '%.*s': expected true or false", what, SHOWN_MAX, value);
    }
    *member = value[0] == 't';
    return 0;
}

static int set_count(uint32_t *member, const char *value, const char *what, sl_error *err)
{
    uint64_t number;
    if (sl_num_parse_str(value, INT32_MAX, &number) < 0) {
        return sl_error_usage(err, "%s: '%.*s': expected a number from 0 to %d", what, SHOWN_MAX,
                              value, INT32_MAX);
    }
    *member = (uint32_t)number;
    return 0;
}

static const char size_units[] = "KMGT";

/* "512M", "1g", "4096". 0 or -EINVAL. */
static int parse_size(const char *text, uint64_t *ret_bytes)
{
    uint64_t number;
    if (sl_num_take(&text, SL_POLICY_SIZE_MAX, &number) < 0) {
        return -EINVAL;
    }
    const char *unit = *text == '\0' ? NULL : strchr(size_units, toupper((unsigned char)*text));
    unsigned shift = unit == NULL ? 0 : 10 * (unsigned)(unit - size_units + 1);
    if (text[unit != NULL] != '\0' || number > SL_POLICY_SIZE_MAX >> shift) {
        return -EINVAL;
    }
    *ret_bytes = number << shift;
    return 0;
}

static int set_size(uint64_t *member, const char *value, const char *what, sl_error *err)
{
    if (parse_size(value, member) < 0) {
        return sl_error_usage(err,
                              "%s: '%.*s': expected a size: bytes, or a number with K, M, G or T "
                              "('512M')",
                              what, SHOWN_MAX, value);
    }
    return 0;
}

const char *sl_size_text(uint64_t bytes, char out[SL_SIZE_TEXT_MAX])
{
    size_t unit = 0;
    while (bytes != 0 && bytes % 1024 == 0 && size_units[unit] != '\0') {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, SL_SIZE_TEXT_MAX, unit == 0 ? "%" PRIu64 : "%" PRIu64 "%c", bytes,
             unit == 0 ? 0 : size_units[unit - 1]);
    return out;
}

/* Milliseconds in one of the unit at `unit`; 0 for an unknown one. */
static uint64_t unit_ms(const char *unit)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"", 1000}, {"s", 1000}, {"ms", 1}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    for (size_t i = 0; i < SL_ARRAY_LEN(units); i++) {
        if (strcmp(unit, units[i].name) == 0) {
            return units[i].ms;
        }
    }
    return 0;
}

/* "90", "1.5s", "200ms", "2m", "1h". Finer than a millisecond is rounded up, so that no positive
 * time becomes none. 0 or -EINVAL. */
static int parse_duration(const char *text, uint64_t *ret_ms)
{
    uint64_t whole;
    uint64_t fraction = 0; /* in 1/FRACTION_ONE */
    if (sl_num_take(&text, DURATION_MAX_MS, &whole) < 0) {
        return -EINVAL;
    }
    if (*text == '.') {
        text++;
        if (sl_num_take_fraction(&text, FRACTION_DIGITS, &fraction) < 0) {
            return -EINVAL;
        }
    }
    uint64_t unit = unit_ms(text);
    if (unit == 0 || whole > DURATION_MAX_MS / unit) {
        return -EINVAL;
    }
    uint64_t ms = whole * unit + (fraction * unit + FRACTION_ONE - 1) / FRACTION_ONE;
    if (ms > DURATION_MAX_MS) {
        return -EINVAL;
    }
    *ret_ms = ms;
    return 0;
}

static int set_duration(uint64_t *member, const char *value, const char *what, sl_error *err)
{
    if (parse_duration(value, member) < 0) {
        return sl_error_usage(err,
                              "%s: '%.*s': expected a time: seconds ('90', '1.5') or a number with "
                              "ms, s, m, h or d",
                              what, SHOWN_MAX, value);
    }
    return 0;
}

static int set_string(char **member, const char *value, sl_error *err)
{
    char *copy = strdup(value);
    if (copy == NULL) {
        return sl_error_set(err, ENOMEM, "no memory for the policy");
    }
    free(*member);
    *member = copy;
    return 0;
}

static int add_item(sl_policy *policy, const sl_field *field, const char *value, const char *what,
                    sl_error *err)
{
    sl_strv *list = sl_field_member(policy, field);
    bool none = value[0] == '\0' && field->empty_ok;
    if (list->count >= SL_POLICY_RULES_MAX) {
        return sl_error_usage(err, "%s: given more than %d times", what, SL_POLICY_RULES_MAX);
    }
    int r = none || field->take == NULL ? 0 : field->take(policy, value, what, err);
    if (r == 0 && !none && sl_strv_add(list, value) < 0) {
        r = sl_error_set(err, ENOMEM, "no memory for the policy");
    }
    return r;
}

int sl_policy_set(sl_policy *policy, const sl_field *field, const char *value, sl_error *err)
{
    return sl_policy_set_as(policy, field, value, sl_field_what(field), err);
}

static int set_member(sl_policy *policy, const sl_field *field, const char *value, const char *what,
                      sl_error *err)
{
    void *member = sl_field_member(policy, field);
    int r;
    switch (field->type) {
    case SL_FIELD_BOOL:
        return set_bool(member, value, what, err);
    case SL_FIELD_COUNT:
        r = set_count(member, value, what, err);
        return r < 0 || field->take == NULL ? r : field->take(policy, value, what, err);
    case SL_FIELD_SIZE:
        return set_size(member, value, what, err);
    case SL_FIELD_DURATION:
        return set_duration(member, value, what, err);
    case SL_FIELD_LIST:
        return add_item(policy, field, value, what, err);
    case SL_FIELD_STRING:
        break;
    }
    r = field->take == NULL ? 0 : field->take(policy, value, what, err);
    return r < 0 ? r : set_string(member, value, err);
}

int sl_policy_set_as(sl_policy *policy, const sl_field *field, const char *value, const char *what,
                     sl_error *err)
{
    if (policy->frozen) {
        return sl_error_set(err, EBUSY, "%s: the policy is frozen", what);
    }
    int r = set_member(policy, field, value, what, err);
    bool aside = field->aside != NULL && field->aside(value);
    if (r == 0 && field->given_offset != SIZE_MAX && !aside) {
        *(bool *)((char *)policy + field->given_offset) = true;
    }
    return r;
}

static int add_rule_ports(sl_ports *ports, const sl_http_rule *rules, size_t count)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (rules[i].port != 0) {
            r = sl_ports_add_range(ports, rules[i].port, rules[i].port);
        }
    }
    return r;
}

static int complete_http_ports(sl_policy *p, sl_error *err)
{
    int r = sl_ports_add_range(&p->http_ports, 80, 80);
    if (r == 0) {
        r = sl_ports_add_range(&p->http_ports, 443, 443);
    }
    for (size_t i = 0; r == 0 && i < p->http_ports_given.count; i++) {
        const sl_port_range *range = &p->http_ports_given.ranges[i];
        r = sl_ports_add_range(&p->http_ports, range->lo, range->hi);
    }
    if (r == 0) {
        r = add_rule_ports(&p->http_ports, p->http_allow, p->http_allow_count);
    }
    if (r == 0) {
        r = add_rule_ports(&p->http_ports, p->http_deny, p->http_deny_count);
    }
    if (r == -ENOBUFS) {
        return sl_error_usage(err, "HTTP rules name more than %d port ranges", SL_PORTS_MAX);
    }
    return r < 0 ? sl_error_set(err, -r, "no memory for ports") : 0;
}

/* "/proc/self" is whichever process looks, and a rule of the kernel's would be for one. So a policy
 * that names it, and nothing that has it anyway, asks for the view in which it is a process of the
 * tree (features/procfs/pids.c). */
static bool names_own_proc(const sl_policy *policy)
{
    static const char *const above[] = {"/", "/proc", "?/", "?/proc"};
    for (size_t i = 0; i < SL_ARRAY_LEN(above); i++) {
        if (sl_strv_has(&policy->fs_readable, above[i]) ||
            sl_strv_has(&policy->fs_writable, above[i])) {
            return false;
        }
    }
    return sl_strv_has(&policy->fs_readable, "/proc/self") ||
           sl_strv_has(&policy->fs_readable, "?/proc/self");
}

int sl_policy_freeze(sl_policy *policy, sl_error *err)
{
    if (policy->frozen) {
        return 0;
    }
    if ((policy->http_ca == NULL) != (policy->http_key == NULL)) {
        return sl_error_usage(err, "%s needs %s: a CA is a certificate and its key",
                              policy->http_ca == NULL ? "--http-key" : "--http-ca",
                              policy->http_ca == NULL ? "--http-ca" : "--http-key");
    }
    if (policy->allow_syscalls_given &&
        (policy->deny_syscalls_given || policy->extra_deny_syscalls.count > 0)) {
        return sl_error_usage(err, "--allow-syscalls is given beside %s; expected one of them",
                              policy->deny_syscalls_given ? "--deny-syscalls"
                                                          : "--extra-deny-syscalls");
    }
    const char *other = policy->uid != 0 && policy->uid != SL_POLICY_ID_NONE   ? "--uid"
                        : policy->gid != 0 && policy->gid != SL_POLICY_ID_NONE ? "--gid"
                                                                               : NULL;
    if (policy->privileged && other != NULL) {
        return sl_error_usage(err, "--privileged is given beside %s; it means user and group 0",
                              other);
    }
    if (!sl_policy_has_default_view(policy)) { /* where "false" is what nothing says, too */
        policy->isolate_ipc_given = policy->isolate_ipc;
        policy->isolate_signals_given = policy->isolate_signals;
    }
    policy->isolate_pids = policy->isolate_pids || names_own_proc(policy);
    int r = complete_http_ports(policy, err);
    if (r == 0) {
        policy->frozen = true;
    }
    return r;
}
