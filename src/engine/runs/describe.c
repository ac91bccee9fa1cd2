/* Owns the description of a run as JSON. What the user or the command chose is escaped by the JSON
 * library; what is not UTF-8 is shown with '?', so that no word costs the answer. */
#include "engine/runs/describe.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/text.h"
#include "core/util.h"
#include "kernel/proc.h"

#define COMMAND_MAX 40  /* bytes of the command in a name */
#define STAT_MAX    256 /* of /proc/PID/stat: the name, and what is behind it */

static json_t *text(const char *value)
{
    json_t *string = json_string(value);
    sl_autofree char *copy = string != NULL ? NULL : strdup(value);
    if (copy != NULL) {
        sl_printable(copy);
        string = json_string(copy);
    }
    return string;
}

const char *sl_describe_name(const struct sl_facts *f, char out[SL_DESCRIBE_NAME_MAX])
{
    if (f->policy->name != NULL) {
        snprintf(out, SL_DESCRIBE_NAME_MAX, "%s", f->policy->name);
        return out;
    }
    const char *slash = strrchr(f->argv[0], '/');
    const char *command = slash != NULL ? slash + 1 : f->argv[0];
    int n = 0;
    for (; n < COMMAND_MAX && command[n] != '\0'; n++) {
        bool plain = isalnum((unsigned char)command[n]) || strchr("._-", command[n]) != NULL;
        bool first = n == 0 && !isalnum((unsigned char)command[n]);
        out[n] = plain && !first && (unsigned char)command[n] < 0x80 ? command[n] : '_';
    }
    snprintf(out + n, (size_t)(SL_DESCRIBE_NAME_MAX - n), "-%d", (int)f->pid);
    return out;
}

/* When that moment was, by the clock on the wall as it stands now. */
static const char *started(uint64_t started_ns, char out[SL_CLOCK_ISO_MAX])
{
    struct tm tm;
    time_t then = time(NULL) - (time_t)((sl_clock_now_ns() - started_ns) / 1000000000u);
    gmtime_r(&then, &tm);
    strftime(out, SL_CLOCK_ISO_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}

static const char *state(const struct sl_facts *f)
{
    char stat[STAT_MAX];
    bool is_there = sl_proc_read(f->pid, "stat", stat, sizeof(stat)) > 0;
    const char *fields = is_there ? sl_proc_stat_fields(stat) : NULL;
    bool stopped = fields != NULL && (fields[0] == 'T' || fields[0] == 't');
    return f->ending ? "ending" : stopped ? "stopped" : "running";
}

static json_t *command(char *const *argv)
{
    json_t *list = json_array();
    size_t room = SL_DESCRIBE_ARGV_MAX;
    for (size_t i = 0; list != NULL && argv[i] != NULL; i++) {
        size_t len = strlen(argv[i]) + 1;
        if (len > room) {
            (void)json_array_append_new(list, json_string("..."));
            break;
        }
        room -= len;
        (void)json_array_append_new(list, text(argv[i]));
    }
    return list;
}

/* A field's value as the policy writes it: true, 90 and 1.5 are JSON as they stand. */
static json_t *scalar(const sl_field *field, const char *value)
{
    json_t *plain =
        field->type == SL_FIELD_STRING ? NULL : json_loads(value, JSON_DECODE_ANY, NULL);
    return plain != NULL ? plain : text(value);
}

static int put_env(json_t *all, const char *item)
{
    json_t *env = json_object_get(all, "env");
    const char *equals = strchr(item, '=');
    if (env == NULL) {
        env = json_object();
        (void)json_object_set_new(all, "env", env);
    }
    sl_autofree char *name = equals == NULL ? NULL : strndup(item, (size_t)(equals - item));
    if (name == NULL) {
        return -EINVAL;
    }
    sl_printable(name);
    return json_object_set_new(env, name, text(equals + 1));
}

static int put_field(json_t *all, const char *name, const char *value)
{
    const sl_field *field = sl_field_by_name(name);
    if (field == NULL) {
        return -EINVAL;
    }
    if (strcmp(name, "env") == 0) {
        return put_env(all, value);
    }
    if (field->type != SL_FIELD_LIST) {
        return json_object_set_new(all, name, scalar(field, value));
    }
    json_t *list = json_object_get(all, name);
    if (list == NULL) {
        list = json_array();
        (void)json_object_set_new(all, name, list);
    }
    return value[0] == '\0' ? 0 : json_array_append_new(list, text(value));
}

/* The fields that differ from their defaults, as --print-policy has them. NULL: no memory. */
static json_t *policy_json(const sl_policy *policy)
{
    sl_buf pairs;
    json_t *all = json_object();
    sl_buf_init(&pairs, SL_DESCRIBE_ARGV_MAX * 64u);
    int r = all == NULL ? -ENOMEM : sl_policy_encode(policy, &pairs);
    const char *p = (const char *)sl_buf_head(&pairs);
    const char *end = p + pairs.len;
    while (r == 0 && p != end) {
        const char *value = p + strlen(p) + 1;
        r = put_field(all, p, value);
        p = value + strlen(value) + 1;
    }
    sl_buf_done(&pairs);
    if (r < 0) {
        json_decref(all);
        all = NULL;
    }
    return all;
}

/* For people; a value that TOML cannot carry is said in its place. */
static json_t *policy_toml(const sl_policy *policy)
{
    sl_buf toml;
    sl_error err;
    sl_buf_init(&toml, SL_DESCRIBE_ARGV_MAX * 64u);
    int r = sl_policy_to_toml(policy, &toml, &err);
    json_t *string;
    if (r == 0) {
        string = json_stringn(toml.len > 0 ? (char *)sl_buf_head(&toml) : "", toml.len);
    } else {
        string = json_sprintf("# %s\n", err.message);
    }
    sl_buf_done(&toml);
    return string;
}

/* {"ports":{"6379":41234},"udp_ports":{}}: what it is called inside, and what outside. */
static int put_ports(json_t *all, const struct sl_facts *f)
{
    json_t *tcp = json_object();
    json_t *udp = json_object();
    int r = 0;
    for (size_t i = 0; r == 0 && i < f->port_count; i++) {
        char name[8];
        snprintf(name, sizeof(name), "%u", f->ports[i].inside);
        r = json_object_set_new(f->ports[i].proto == SL_PROTO_UDP ? udp : tcp, name,
                                json_integer(f->ports[i].real));
    }
    int put = json_object_set_new(all, "ports", tcp);
    put |= json_object_set_new(all, "udp_ports", udp);
    return r < 0 ? r : put;
}

static int append(const char *data, size_t size, void *out)
{
    return sl_buf_append(out, data, size) < 0 ? -1 : 0;
}

int sl_describe(const struct sl_facts *f, bool whole, sl_buf *out)
{
    char name[SL_DESCRIBE_NAME_MAX];
    char when[SL_CLOCK_ISO_MAX];
    json_t *all = json_pack("{s:s, s:s, s:i, s:i, s:s, s:o}", "name", sl_describe_name(f, name),
                            "state", state(f), "pid", (int)f->pid, "guardian", (int)f->guardian,
                            "started", started(f->started_ns, when), "command", command(f->argv));
    int r = all == NULL ? -1 : 0;
    if (r == 0 && f->policy->port_remap) {
        r = put_ports(all, f);
    }
    if (r == 0 && whole) {
        json_t *more = json_pack(
            "{s:i, s:o, s:b, s:I, s:I, s:o, s:o}", "engine", (int)f->engine, "gateway",
            f->gateway == 0 ? json_null() : json_integer(f->gateway), "interactive",
            (int)f->interactive, "allowed", (json_int_t)f->allowed, "denied", (json_int_t)f->denied,
            "policy", policy_json(f->policy), "policy_toml", policy_toml(f->policy));
        r = more == NULL ? -1 : json_object_update(all, more);
        json_decref(more);
    }
    r = r < 0 ? r : json_dump_callback(all, append, out, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(all);
    return r < 0 ? -ENOMEM : 0;
}
