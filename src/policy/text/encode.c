/* Owns the two written forms of a policy: TOML for people, "name\0value\0" for the link. Never
 * trusts what it reads back more than a user's words. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "policy/policy_int.h"

#define NUMBER_MAX 32

/* Does the field differ from its default? */
static bool differs(const sl_policy *policy, const sl_policy *defaults, const sl_field *field)
{
    const void *a = sl_field_member(policy, field);
    const void *b = sl_field_member(defaults, field);
    if (field->given_offset != SIZE_MAX &&
        *(const bool *)((const char *)policy + field->given_offset)) {
        return true;
    }
    switch (field->type) {
    case SL_FIELD_BOOL:
        return *(const bool *)a != *(const bool *)b;
    case SL_FIELD_COUNT:
        return *(const uint32_t *)a != *(const uint32_t *)b;
    case SL_FIELD_SIZE:
    case SL_FIELD_DURATION:
        return *(const uint64_t *)a != *(const uint64_t *)b;
    case SL_FIELD_STRING:
        return *(char *const *)a != NULL;
    case SL_FIELD_LIST:
        return ((const sl_strv *)a)->count > 0;
    }
    return false;
}

/* A scalar as sl_policy_set reads it. */
static const char *scalar_text(const sl_policy *policy, const sl_field *field, char out[NUMBER_MAX])
{
    const void *member = sl_field_member(policy, field);
    switch (field->type) {
    case SL_FIELD_BOOL:
        return *(const bool *)member ? "true" : "false";
    case SL_FIELD_COUNT:
        snprintf(out, NUMBER_MAX, "%" PRIu32, *(const uint32_t *)member);
        return out;
    case SL_FIELD_SIZE:
        return sl_size_text(*(const uint64_t *)member, out);
    case SL_FIELD_DURATION: {
        uint64_t ms = *(const uint64_t *)member;
        snprintf(out, NUMBER_MAX, ms % 1000 == 0 ? "%" PRIu64 : "%" PRIu64 ".%03u", ms / 1000,
                 (unsigned)(ms % 1000));
        return out;
    }
    case SL_FIELD_STRING:
        return *(char *const *)member;
    case SL_FIELD_LIST:
        break;
    }
    return "";
}

/* ---- the link ---- */

static int put_pair(sl_buf *out, const char *name, const char *value)
{
    int r = sl_buf_append(out, name, strlen(name) + 1);
    return r < 0 ? r : sl_buf_append(out, value, strlen(value) + 1);
}

/* A list that was given and restricts by none of its items says so by an empty one. */
static bool has_empty_item(const sl_policy *policy, const sl_field *field)
{
    const sl_strv *list = sl_field_member(policy, field);
    bool given = field->given_offset != SIZE_MAX &&
                 *(const bool *)((const char *)policy + field->given_offset);
    for (size_t i = 0; i < list->count; i++) {
        if (field->aside == NULL || !field->aside(list->items[i])) {
            return false;
        }
    }
    return given || list->count == 0;
}

static int encode_field(const sl_policy *policy, const sl_field *field, sl_buf *out)
{
    char number[NUMBER_MAX];
    if (field->type != SL_FIELD_LIST) {
        return put_pair(out, field->name, scalar_text(policy, field, number));
    }
    const sl_strv *list = sl_field_member(policy, field);
    int r = has_empty_item(policy, field) ? put_pair(out, field->name, "") : 0;
    for (size_t i = 0; r == 0 && i < list->count; i++) {
        r = put_pair(out, field->name, list->items[i]);
    }
    return r;
}

int sl_policy_encode(const sl_policy *policy, sl_buf *out)
{
    size_t count;
    const sl_field *fields = sl_fields(&count);
    SL_AUTO(sl_policy) defaults = sl_policy_new();
    int r = defaults == NULL ? -ENOMEM : 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (!fields[i].cli_only && differs(policy, defaults, &fields[i])) {
            r = encode_field(policy, &fields[i], out);
        }
    }
    return r;
}

/* The string at `*p`, which must end before `end`; NULL when it does not. */
static const char *take_string(const char **p, const char *end)
{
    const char *s = *p;
    const char *nul = s == end ? NULL : memchr(s, '\0', (size_t)(end - s));
    if (nul == NULL) {
        return NULL;
    }
    *p = nul + 1;
    return s;
}

int sl_policy_decode(const void *data, size_t len, sl_policy **ret_policy, sl_error *err)
{
    const char *p = len == 0 ? "" : data; /* an empty buffer has no address */
    const char *end = p + len;
    SL_AUTO(sl_policy) policy = sl_policy_new();
    if (policy == NULL) {
        return sl_error_set(err, ENOMEM, "no memory for the policy");
    }
    while (p < end) {
        const char *name = take_string(&p, end);
        const char *value = name == NULL ? NULL : take_string(&p, end);
        if (value == NULL) {
            return sl_error_set(err, EPROTO, "the policy is cut short");
        }
        const sl_field *field = sl_field_by_name(name);
        if (field == NULL || field->cli_only) {
            return sl_error_set(err, EPROTO, "the policy has an unknown field '%.64s'", name);
        }
        int r = sl_policy_set(policy, field, value, err);
        if (r < 0) {
            return r;
        }
    }
    int r = sl_policy_freeze(policy, err);
    if (r == 0) {
        *ret_policy = sl_steal(&policy);
    }
    return r;
}

/* ---- TOML 1.0 ---- */

/* Length of the UTF-8 sequence at `s`, or 0 when it is none (RFC 3629 section 4). */
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80) {
        return 1;
    }
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    unsigned char lo = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char hi = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (s[0] < 0xc2 || s[0] > 0xf4 || s[1] < lo || s[1] > hi) {
        return 0;
    }
    for (size_t i = 2; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

static int put_string(sl_buf *out, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    int r = sl_buf_append(out, "\"", 1);
    while (r == 0 && *s != '\0') {
        size_t n = utf8_length(s);
        if (n == 0) {
            return -EILSEQ;
        }
        if (*s == '"' || *s == '\\') {
            char escaped[2] = {'\\', (char)*s};
            r = sl_buf_append(out, escaped, 2);
        } else if (*s < 0x20 || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0)) { /* C0, DEL, C1 */
            char escaped[8];
            snprintf(escaped, sizeof(escaped), "\\u%04X", n == 2 ? s[1] : *s);
            r = sl_buf_append_str(out, escaped);
        } else {
            r = sl_buf_append(out, s, n);
        }
        s += n;
    }
    return r < 0 ? r : sl_buf_append(out, "\"", 1);
}

static int put_list(const sl_policy *policy, const sl_field *field, sl_buf *out)
{
    const sl_strv *list = sl_field_member(policy, field);
    int r = sl_buf_append_str(out, field->name);
    r = r < 0 ? r : sl_buf_append_str(out, list->count == 0 ? " = []\n" : " = [\n");
    if (r == 0 && list->count > 0 && has_empty_item(policy, field)) {
        r = sl_buf_append_str(out, "  \"\",\n");
    }
    for (size_t i = 0; r == 0 && i < list->count; i++) {
        r = sl_buf_append_str(out, "  ");
        r = r < 0 ? r : put_string(out, list->items[i]);
        r = r < 0 ? r : sl_buf_append_str(out, ",\n");
    }
    return r < 0 || list->count == 0 ? r : sl_buf_append_str(out, "]\n");
}

static int put_field(const sl_policy *policy, const sl_field *field, sl_buf *out)
{
    char number[NUMBER_MAX];
    if (field->type == SL_FIELD_LIST) {
        return put_list(policy, field, out);
    }
    const char *text = scalar_text(policy, field, number);
    int r = sl_buf_append_str(out, field->name);
    r = r < 0 ? r : sl_buf_append_str(out, " = ");
    if (r == 0) {
        bool quoted = field->type == SL_FIELD_STRING || field->type == SL_FIELD_SIZE;
        r = quoted ? put_string(out, text) : sl_buf_append_str(out, text);
    }
    return r < 0 ? r : sl_buf_append_str(out, "\n");
}

/* The last value given for each variable, as keys in quotes. */
static int put_env(sl_buf *out, const sl_strv *env)
{
    int r = sl_buf_append_str(out, "\n[env]\n");
    for (size_t i = 0; r == 0 && i < env->count; i++) {
        const char *item = env->items[i];
        const char *equals = strchr(item, '=');
        sl_autofree char *key = strndup(item, (size_t)(equals - item));
        if (key == NULL) {
            return -ENOMEM;
        }
        bool again = false;
        for (size_t j = i + 1; j < env->count; j++) {
            again = again || strncmp(env->items[j], item, (size_t)(equals - item) + 1) == 0;
        }
        if (!again) {
            r = put_string(out, key);
            r = r < 0 ? r : sl_buf_append_str(out, " = ");
            r = r < 0 ? r : put_string(out, equals + 1);
            r = r < 0 ? r : sl_buf_append_str(out, "\n");
        }
    }
    return r;
}

int sl_policy_to_toml(const sl_policy *policy, sl_buf *out, sl_error *err)
{
    size_t count;
    const sl_field *fields = sl_fields(&count);
    SL_AUTO(sl_policy) defaults = sl_policy_new();
    int r = defaults == NULL ? -ENOMEM : 0;
    const char *at = "";
    for (size_t i = 0; r == 0 && i < count; i++) {
        const sl_field *field = &fields[i];
        bool env = field->offset == offsetof(sl_policy, env); /* a table: after all keys */
        if (!env && !field->cli_only && differs(policy, defaults, field)) {
            at = sl_field_what(field);
            r = put_field(policy, field, out);
        }
    }
    if (r == 0 && policy->env.count > 0) {
        at = "--env";
        r = put_env(out, &policy->env);
    }
    if (r == -EILSEQ) {
        return sl_error_set(err, EILSEQ, "%s: a value is not UTF-8, which TOML cannot carry", at);
    }
    return r < 0 ? sl_error_set(err, -r, "no memory for the policy as TOML") : 0;
}
