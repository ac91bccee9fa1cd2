/* Owns the meaning of a profile: which keys there are and which type each has. What a value may be
 * the fields say themselves. Never passes over anything that it does not understand. */
#include "policy/text/profile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"
#include "policy/text/suggest.h"
#include "policy/text/toml.h"

#define SHOWN_MAX  160
#define NUMBER_MAX 64

struct profile {
    sl_policy *policy;
    sl_error *err;
};

static int wrong_type(const struct profile *p, const sl_toml *value, const char *key,
                      const char *expected)
{
    return sl_error_usage(p->err, "line %u, column %u: '%.*s': expected %s, found %s", value->line,
                          value->column, SHOWN_MAX, key, expected, sl_toml_type_name(value->type));
}

static int unknown_key(const struct profile *p, const sl_toml *at, const char *near)
{
    if (near == NULL) {
        return sl_error_usage(p->err, "line %u, column %u: unknown key '%.*s'", at->key_line,
                              at->key_column, SHOWN_MAX, at->key);
    }
    return sl_error_usage(p->err, "line %u, column %u: unknown key '%.*s'; did you mean '%s'?",
                          at->key_line, at->key_column, SHOWN_MAX, at->key, near);
}

/* One value of a field. The error names the key, as a rule may stand in two of them. */
static int set(const struct profile *p, const sl_field *field, const char *key, const char *text,
               const sl_toml *at)
{
    int r = sl_policy_set_as(p->policy, field, text, key, p->err);
    if (r < 0 && p->err != NULL) {
        if (strstr(p->err->message, key) == NULL) {
            sl_error_prefix(p->err, "%s", key);
        }
        sl_error_prefix(p->err, "line %u, column %u", at->line, at->column);
    }
    return r;
}

/* Seconds. What is finer than the command line could say is rounded up to it: no positive time
 * becomes none. */
static const char *seconds(double number, char out[NUMBER_MAX])
{
    if (number > 0 && number < 1e-6) {
        number = 1e-6;
    }
    snprintf(out, NUMBER_MAX, "%.6f", number);
    return out;
}

static const char *number_text(const sl_toml *value, char out[NUMBER_MAX])
{
    snprintf(out, NUMBER_MAX, "%" PRId64, value->integer);
    return out;
}

static int set_list(const struct profile *p, const sl_field *field, const sl_toml *list)
{
    const char *expected =
        field->numbers_ok ? "an array of strings and integers" : "an array of strings";
    if (list->type != SL_TOML_ARRAY) {
        return wrong_type(p, list, list->key, expected);
    }
    int r = list->count == 0 && field->empty_ok ? set(p, field, list->key, "", list) : 0;
    for (size_t i = 0; r == 0 && i < list->count; i++) {
        const sl_toml *item = &list->items[i];
        char number[NUMBER_MAX];
        if (item->type == SL_TOML_INTEGER && field->numbers_ok) {
            r = set(p, field, list->key, number_text(item, number), item);
        } else if (item->type != SL_TOML_STRING) {
            r = sl_error_usage(p->err, "line %u, column %u: '%s': expected %s, found %s in it",
                               item->line, item->column, list->key, expected,
                               sl_toml_type_name(item->type));
        } else if (item->string[0] == '\0' && field->empty_ok &&
                   (field->aside == NULL || list->count == 1)) {
            r = sl_error_usage(p->err,
                               "line %u, column %u: '%s': expected %s, found ''; none at all is []",
                               item->line, item->column, list->key, field->argument);
        } else {
            r = set(p, field, list->key, item->string, item);
        }
    }
    return r;
}

static int set_string(const struct profile *p, const sl_field *field, const sl_toml *value)
{
    char number[NUMBER_MAX];
    if (value->type == SL_TOML_STRING || (value->type == SL_TOML_TIME && field->times_ok)) {
        return set(p, field, value->key, value->string, value);
    }
    if (value->type == SL_TOML_INTEGER && field->numbers_ok) {
        return set(p, field, value->key, number_text(value, number), value);
    }
    if (value->type == SL_TOML_FLOAT && field->times_ok) {
        return set(p, field, value->key, seconds(value->number, number), value);
    }
    return wrong_type(p, value, value->key,
                      field->times_ok     ? "a date-time, a string or Unix seconds"
                      : field->numbers_ok ? "a string or an integer"
                                          : "a string");
}

static int set_field(const struct profile *p, const sl_field *field, const sl_toml *value)
{
    char number[NUMBER_MAX];
    switch (field->type) {
    case SL_FIELD_BOOL:
        return value->type != SL_TOML_BOOLEAN
                   ? wrong_type(p, value, value->key, "true or false")
                   : set(p, field, value->key, value->integer != 0 ? "true" : "false", value);
    case SL_FIELD_STRING:
        return set_string(p, field, value);
    case SL_FIELD_COUNT:
        return value->type != SL_TOML_INTEGER
                   ? wrong_type(p, value, value->key, "an integer")
                   : set(p, field, value->key, number_text(value, number), value);
    case SL_FIELD_SIZE:
        if (value->type == SL_TOML_STRING) {
            return set(p, field, value->key, value->string, value);
        }
        return value->type != SL_TOML_INTEGER
                   ? wrong_type(p, value, value->key, "a string ('512M') or a number of bytes")
                   : set(p, field, value->key, number_text(value, number), value);
    case SL_FIELD_DURATION:
        if (value->type == SL_TOML_STRING) {
            return set(p, field, value->key, value->string, value);
        }
        if (value->type == SL_TOML_FLOAT) {
            return set(p, field, value->key, seconds(value->number, number), value);
        }
        return value->type != SL_TOML_INTEGER
                   ? wrong_type(p, value, value->key, "a number of seconds or a string")
                   : set(p, field, value->key, number_text(value, number), value);
    case SL_FIELD_LIST:
        return set_list(p, field, value);
    }
    return sl_error_set(p->err, EINVAL, "'%s' has no form in TOML", field->name);
}

static int set_env(const struct profile *p, const sl_toml *table)
{
    const sl_field *field = sl_field_by_name("env");
    if (table->type != SL_TOML_TABLE) {
        return wrong_type(p, table, "env", "a table of strings");
    }
    int r = 0;
    for (size_t i = 0; r == 0 && i < table->count; i++) {
        const sl_toml *value = &table->items[i];
        sl_autofree char *pair = NULL;
        if (value->type != SL_TOML_STRING) {
            return wrong_type(p, value, value->key, "a string");
        }
        if (value->key[0] == '\0' || strchr(value->key, '=') != NULL) {
            return sl_error_usage(p->err,
                                  "line %u, column %u: env: '%.*s': expected the name of a "
                                  "variable, without '='",
                                  value->key_line, value->key_column, SHOWN_MAX, value->key);
        }
        if (asprintf(&pair, "%s=%s", value->key, value->string) < 0) {
            pair = NULL;
            return sl_error_set(p->err, ENOMEM, "not enough memory");
        }
        r = set(p, field, "env", pair, value);
    }
    return r;
}

/* ---- [[http.rule]] ---- */

/* Members that narrow a rule. A rule taken without them would grant more than was written. */
static const char *const later_members[] = {"body", "max_requests", "max_bytes_out"};

static int unknown_member(const struct profile *p, const sl_toml *member)
{
    static const char *const known[] = {"allow", "deny"};
    const char *near = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < SL_ARRAY_LEN(later_members); i++) {
        if (strcmp(member->key, later_members[i]) == 0) {
            return sl_error_usage(p->err,
                                  "line %u, column %u: '%s' narrows an http.rule, which this "
                                  "version of sandlock cannot do; without it the rule would grant "
                                  "more than it says",
                                  member->key_line, member->key_column, member->key);
        }
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(known); i++) {
        size_t distance = sl_suggest_distance(member->key, known[i]);
        if (distance < least) {
            least = distance;
            near = known[i];
        }
    }
    return unknown_key(p, member, sl_suggest_near(least, strlen(member->key)) ? near : NULL);
}

static int set_rule(const struct profile *p, const sl_toml *rule)
{
    if (rule->type != SL_TOML_TABLE) {
        return wrong_type(p, rule, "http.rule", "tables, each headed [[http.rule]]");
    }
    const sl_toml *given = NULL;
    for (size_t i = 0; i < rule->count; i++) {
        const sl_toml *member = &rule->items[i];
        if (strcmp(member->key, "allow") != 0 && strcmp(member->key, "deny") != 0) {
            return unknown_member(p, member);
        }
        if (member->type != SL_TOML_STRING) {
            return wrong_type(p, member, member->key, "a string");
        }
        if (given != NULL || member->string[0] == '\0') {
            break;
        }
        given = member;
    }
    if (given == NULL || rule->count != 1) {
        return sl_error_usage(p->err,
                              "line %u, column %u: expected one of 'allow' and 'deny' in an "
                              "http.rule, with a rule",
                              rule->line, rule->column);
    }
    const sl_field *field = sl_field_by_name(given->key[0] == 'a' ? "http_allow" : "http_deny");
    return set(p, field, given->key, given->string, given);
}

static int set_http(const struct profile *p, const sl_toml *http)
{
    if (http->type != SL_TOML_TABLE) {
        return wrong_type(p, http, "http", "tables, each headed [[http.rule]]");
    }
    int r = 0;
    for (size_t i = 0; r == 0 && i < http->count; i++) {
        const sl_toml *rules = &http->items[i];
        if (strcmp(rules->key, "rule") != 0) {
            return unknown_key(p, rules, "rule");
        }
        if (rules->type != SL_TOML_ARRAY) {
            return wrong_type(p, rules, "http.rule", "tables, each headed [[http.rule]]");
        }
        for (size_t j = 0; r == 0 && j < rules->count; j++) {
            r = set_rule(p, &rules->items[j]);
        }
    }
    return r;
}

static int set_key(const struct profile *p, const sl_toml *value)
{
    if (strcmp(value->key, "env") == 0) {
        return set_env(p, value);
    }
    if (strcmp(value->key, "http") == 0) {
        return set_http(p, value);
    }
    const sl_field *field = sl_field_by_name(value->key);
    if (field == NULL) {
        const sl_field *near = sl_field_nearest(value->key);
        return unknown_key(p, value, near != NULL && !near->cli_only ? near->name : NULL);
    }
    if (field->cli_only) {
        return sl_error_usage(p->err, "line %u, column %u: '%s' is for the command line alone (%s)",
                              value->key_line, value->key_column, field->name, field->option);
    }
    return set_field(p, field, value);
}

int sl_profile_apply(const char *text, size_t len, const char *name, sl_policy *policy,
                     sl_error *err)
{
    struct profile p = {.policy = policy, .err = err};
    sl_toml table = {0};
    int r = sl_toml_parse(text, len, &table, err);
    for (size_t i = 0; r == 0 && i < table.count; i++) {
        r = set_key(&p, &table.items[i]);
    }
    sl_toml_done(&table);
    if (r < 0) {
        sl_error_prefix(err, "cannot read profile '%.*s'", SHOWN_MAX, name);
    }
    return r;
}
