/* Owns the comparison of query strings (the URL standard's application/x-www-form-urlencoded: '&'
 * between pairs, '+' for a space). Never changes what is sent. */
#include "policy/http/query.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/num.h"
#include "core/util.h"

/* The byte at `*p`, decoded; a '%' that begins no code is itself. */
static uint8_t next_byte(const char **p, const char *end)
{
    const char *s = *p;
    if (s[0] == '%' && end - s >= 3 && sl_num_hex_digit(s[1]) >= 0 && sl_num_hex_digit(s[2]) >= 0) {
        *p = s + 3;
        return (uint8_t)(sl_num_hex_digit(s[1]) * 16 + sl_num_hex_digit(s[2]));
    }
    *p = s + 1;
    return s[0] == '+' ? ' ' : (uint8_t)s[0];
}

static bool decoded_equal(const char *raw, const char *end, const char *want, size_t len)
{
    size_t i = 0;
    while (raw < end) {
        if (i == len || next_byte(&raw, end) != (uint8_t)want[i]) {
            return false;
        }
        i++;
    }
    return i == len;
}

struct pair {
    const char *key;
    const char *key_end;
    const char *value;
    const char *end;
};

/* Takes the next pair off `*query`; false at the end. A key without '=' has an empty value. */
static bool next_pair(const char **query, const char *separators, struct pair *ret)
{
    if (*query == NULL) {
        return false;
    }
    const char *start = *query;
    size_t len = strcspn(start, separators);
    const char *equals = memchr(start, '=', len);
    ret->key = start;
    ret->end = start + len;
    ret->key_end = equals == NULL ? ret->end : equals;
    ret->value = equals == NULL ? ret->end : equals + 1;
    *query = start[len] == '\0' ? NULL : start + len + 1;
    return true;
}

static bool key_is(const struct pair *pair, const char *item)
{
    return decoded_equal(pair->key, pair->key_end, item, strcspn(item, "="));
}

static bool value_is(const struct pair *pair, const char *item)
{
    const char *value = strchr(item, '=') + 1;
    return decoded_equal(pair->value, pair->end, value, strlen(value));
}

static bool present(const char *query, const char *separators, const char *item)
{
    struct pair pair;
    while (next_pair(&query, separators, &pair)) {
        if (key_is(&pair, item) && value_is(&pair, item)) {
            return true;
        }
    }
    return false;
}

/* A pair whose key the rule names must have one of the values that the rule writes for it. */
static bool pair_allowed(const sl_strv *pairs, const struct pair *pair)
{
    bool named = false;
    for (size_t i = 0; i < pairs->count; i++) {
        if (key_is(pair, pairs->items[i])) {
            if (value_is(pair, pairs->items[i])) {
                return true;
            }
            named = true;
        }
    }
    return !named;
}

static bool all_present(const sl_strv *pairs, const char *query, const char *separators)
{
    for (size_t i = 0; i < pairs->count; i++) {
        if (!present(query, separators, pairs->items[i])) {
            return false;
        }
    }
    return true;
}

bool sl_http_query_allows(const sl_strv *pairs, const char *query)
{
    if (pairs->count == 0) {
        return true;
    }
    struct pair pair;
    if (!all_present(pairs, query, "&")) {
        return false;
    }
    while (next_pair(&query, "&", &pair)) {
        if (!pair_allowed(pairs, &pair)) {
            return false;
        }
    }
    return true;
}

bool sl_http_query_denies(const sl_strv *pairs, const char *query)
{
    return all_present(pairs, query, "&") || all_present(pairs, query, "&;");
}

/* Decodes one written pair. False when it has no key, a control byte, or a '=' hidden in its key.
 */
static bool decode_pair(const char *raw, size_t len, char *out)
{
    const char *end = raw + len;
    bool in_value = false;
    size_t n = 0;
    while (raw < end) {
        bool separator = *raw == '=' && !in_value;
        uint8_t c = next_byte(&raw, end);
        if (c < 0x20 || c == 0x7f || (c == '=' && !in_value && (!separator || n == 0))) {
            return false;
        }
        in_value = in_value || separator;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return in_value;
}

int sl_http_query_parse(const char *text, const char *what, sl_strv *ret_pairs, sl_error *err)
{
    while (text != NULL) {
        size_t len = strcspn(text, "&");
        if (memchr(text, '*', len) != NULL) {
            return sl_error_usage(err,
                                  "%s: '%.*s': a query value is compared exactly; leave the pair "
                                  "out for any value, or write '%%2A' for a star",
                                  what, (int)SL_MIN(len, (size_t)128), text);
        }
        sl_autofree char *pair = malloc(len + 1);
        if (pair == NULL) {
            return sl_error_set(err, ENOMEM, "no memory for a rule");
        }
        if (!decode_pair(text, len, pair)) {
            return sl_error_usage(err, "%s: '%.*s': expected 'key=value' after '?' and '&'", what,
                                  (int)SL_MIN(len, (size_t)128), text);
        }
        if (sl_strv_take(ret_pairs, sl_steal(&pair)) < 0) {
            return sl_error_set(err, ENOMEM, "no memory for a rule");
        }
        text = text[len] == '\0' ? NULL : text + len + 1;
    }
    return 0;
}
