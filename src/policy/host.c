/* Owns host names and host patterns. Never resolves a name; never reads one as an address or an
 * address as a name. */
#include "policy/host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#define LABEL_MAX   63
#define LOCALHOST   "localhost"
#define MESSAGE_MAX 128 /* bytes of a user's word that an error repeats */

static const struct {
    const char *name;
    unsigned classes;
} sets[] = {
    {"loopback", SL_ADDR_LOOPBACK},     {"private", SL_ADDR_PRIVATE},
    {"link-local", SL_ADDR_LINK_LOCAL}, {"metadata", SL_ADDR_METADATA},
    {"public", SL_ADDR_PUBLIC},
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

bool sl_host_name_valid(const char *name)
{
    size_t label = 0;
    size_t i;
    for (i = 0; name[i] != '\0'; i++) {
        if (i >= SL_HOST_NAME_MAX - 1) {
            return false;
        }
        if (name[i] == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
        } else if (!is_label_char(name[i]) || ++label > LABEL_MAX) {
            return false;
        }
    }
    return label > 0;
}

int sl_host_name_normalise(const char *name, char ret_name[SL_HOST_NAME_MAX])
{
    char copy[SL_HOST_NAME_MAX + 1];
    size_t len = strnlen(name, sizeof(copy));
    if (len == sizeof(copy)) {
        return -EINVAL;
    }
    if (len > 0 && name[len - 1] == '.') {
        len--;
    }
    for (size_t i = 0; i < len; i++) {
        copy[i] = lower(name[i]);
    }
    copy[len] = '\0';
    if (!sl_host_name_valid(copy)) {
        return -EINVAL;
    }
    memcpy(ret_name, copy, len + 1);
    return 0;
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name);
    size_t m = strlen(suffix);
    return n > m && strcmp(name + n - m, suffix) == 0;
}

bool sl_host_is_localhost(const char *name)
{
    return strcmp(name, LOCALHOST) == 0 || ends_with(name, "." LOCALHOST);
}

static bool has_non_ascii(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text >= 0x80) {
            return true;
        }
    }
    return false;
}

/* The part of `text` that an error message repeats. */
static int shown(const char *text)
{
    return (int)strnlen(text, MESSAGE_MAX);
}

static int parse_cidr(const char *text, bool cidr_ok, const char *what, sl_host_pattern *p,
                      sl_error *err)
{
    const char *slash = strchr(text, '/');
    if (slash != NULL && !cidr_ok) {
        return sl_error_usage(err,
                              "%s: '%.*s': an address range is not a host here; expected a "
                              "name, '*.name', '*' or one address",
                              what, shown(text), text);
    }
    if (sl_cidr_parse(text, &p->cidr) == 0) {
        p->kind = SL_HOST_CIDR;
        return 0;
    }
    if (slash != NULL) {
        char addr[64];
        sl_cidr whole;
        size_t n = SL_MIN((size_t)(slash - text), sizeof(addr) - 1);
        memcpy(addr, text, n);
        addr[n] = '\0';
        if (sl_cidr_parse(addr, &whole) == 0) {
            return sl_error_usage(
                err, "%s: '%.*s': bad prefix: expected /0 to /%d with no address bits below it",
                what, shown(text), text, whole.addr.family == 4 ? 32 : 128);
        }
    }
    return sl_error_usage(err,
                          "%s: '%.*s' is not an address: expected four decimal numbers without "
                          "leading zeros, or IPv6",
                          what, shown(text), text);
}

static int parse_name(const char *text, const char *what, sl_host_pattern *p, sl_error *err)
{
    const char *rest = strncmp(text, "*.", 2) == 0 ? text + 2 : text;
    if (has_non_ascii(rest)) {
        return sl_error_usage(err,
                              "%s: host '%.*s' is not ASCII: write its A-label "
                              "('xn--...', as 'idn' prints it)",
                              what, shown(text), text);
    }
    if (strchr(rest, '*') != NULL) {
        return sl_error_usage(err,
                              "%s: host '%.*s': '*' stands alone or in front as '*.example.com'",
                              what, shown(text), text);
    }
    if (sl_host_name_normalise(rest, p->name) < 0) {
        return sl_error_usage(err,
                              "%s: '%.*s' is not a host: expected a name, '*.name', '*' or an "
                              "address (IPv6 in brackets)",
                              what, shown(text), text);
    }
    if (sl_host_is_localhost(p->name)) {
        p->kind = SL_HOST_LOCALHOST;
        if (rest != text) { /* the pattern keeps its star */
            char name[SL_HOST_NAME_MAX];
            memcpy(name, p->name, sizeof(name));
            if (strlen(name) + 2 >= sizeof(p->name)) {
                return sl_error_usage(err, "%s: host '%.*s' is too long", what, shown(text), text);
            }
            snprintf(p->name, sizeof(p->name), "*.%s", name);
        }
        return 0;
    }
    p->kind = rest == text ? SL_HOST_NAME : SL_HOST_WILDCARD;
    return 0;
}

int sl_host_pattern_parse(const char *text, bool cidr_ok, const char *what,
                          sl_host_pattern *ret_pattern, sl_error *err)
{
    sl_host_pattern p;
    memset(&p, 0, sizeof(p));
    sl_addr addr;
    if (text[0] == '\0') {
        return sl_error_usage(err, "%s: the host is missing", what);
    }
    if (strcmp(text, "*") == 0) {
        p.kind = SL_HOST_ANY;
        *ret_pattern = p;
        return 0;
    }
    for (size_t i = 0; cidr_ok && i < SL_ARRAY_LEN(sets); i++) {
        if (strcmp(text, sets[i].name) == 0) {
            p.kind = SL_HOST_CLASS;
            p.classes = sets[i].classes;
            *ret_pattern = p;
            return 0;
        }
    }
    bool numeric = text[0] == '[' || strchr(text, ':') != NULL || strchr(text, '/') != NULL ||
                   sl_addr_parse(text, &addr) == 0 || sl_addr_looks_numeric(text);
    int r = numeric ? parse_cidr(text, cidr_ok, what, &p, err) : parse_name(text, what, &p, err);
    if (r == 0) {
        *ret_pattern = p;
    }
    return r;
}

static bool below(const char *name, const char *parent)
{
    size_t n = strlen(name);
    size_t m = strlen(parent);
    return n > m + 1 && name[n - m - 1] == '.' && strcmp(name + n - m, parent) == 0;
}

bool sl_host_pattern_has_name(const sl_host_pattern *pattern, const char *name)
{
    switch (pattern->kind) {
    case SL_HOST_NAME:
        return strcmp(pattern->name, name) == 0;
    case SL_HOST_WILDCARD:
        return below(name, pattern->name);
    case SL_HOST_ANY:
        return !sl_host_is_localhost(name);
    case SL_HOST_LOCALHOST:
        return pattern->name[0] == '*' ? below(name, pattern->name + 2)
                                       : strcmp(pattern->name, name) == 0;
    case SL_HOST_CIDR:
    case SL_HOST_CLASS:
        break;
    }
    return false;
}

bool sl_host_pattern_denies_name(const sl_host_pattern *pattern, const char *name)
{
    return pattern->kind == SL_HOST_ANY || sl_host_pattern_has_name(pattern, name);
}

/* What a wide pattern may mean: never this host, its neighbours or its cloud. */
static bool is_ordinary(const sl_addr *addr)
{
    const unsigned apart =
        SL_ADDR_LOOPBACK | SL_ADDR_PRIVATE | SL_ADDR_LINK_LOCAL | SL_ADDR_METADATA;
    return addr->family != 0 && (sl_addr_classify(addr) & apart) == 0 &&
           !sl_addr_is_multicast(addr);
}

static bool class_has(unsigned wanted, const sl_addr *addr)
{
    sl_addr v4;
    /* Where a translator leads is what counts. */
    unsigned classes = sl_addr_classify(sl_addr_embedded_v4(addr, &v4) ? &v4 : addr);
    if ((classes & SL_ADDR_METADATA) != 0) {
        return (wanted & SL_ADDR_METADATA) != 0;
    }
    return (classes & wanted) != 0;
}

static bool cidr_has(const sl_cidr *cidr, const sl_addr *addr)
{
    sl_addr v4;
    if (!sl_cidr_contains(cidr, addr)) {
        return false;
    }
    if (!sl_addr_embedded_v4(addr, &v4)) {
        return true;
    }
    /* A prefix that names the translator itself was meant; a wider one was not. */
    unsigned named = addr->bytes[0] == 0x20 ? 16 : 96;
    return cidr->prefix >= named || is_ordinary(&v4);
}

/* RFC 6761 section 6.3: the two addresses that localhost resolves to, no other of 127/8. */
static bool is_localhost_addr(const sl_addr *addr)
{
    static const sl_addr v4 = {.family = 4, .bytes = {127, 0, 0, 1}};
    static const sl_addr v6 = {.family = 6, .bytes = {[15] = 1}};
    return sl_addr_equal(addr, &v4) || sl_addr_equal(addr, &v6);
}

bool sl_host_pattern_has_addr(const sl_host_pattern *pattern, const sl_addr *addr)
{
    switch (pattern->kind) {
    case SL_HOST_ANY:
        return is_ordinary(addr);
    case SL_HOST_CIDR:
        return cidr_has(&pattern->cidr, addr);
    case SL_HOST_CLASS:
        return class_has(pattern->classes, addr);
    case SL_HOST_LOCALHOST:
        return is_localhost_addr(addr);
    case SL_HOST_NAME:
    case SL_HOST_WILDCARD:
        break;
    }
    return false;
}

static bool denies_one(const sl_host_pattern *pattern, const sl_addr *addr)
{
    switch (pattern->kind) {
    case SL_HOST_ANY:
        return true;
    case SL_HOST_CIDR:
        return sl_cidr_contains(&pattern->cidr, addr);
    case SL_HOST_CLASS:
        return (sl_addr_classify(addr) & pattern->classes) != 0;
    case SL_HOST_LOCALHOST:
        return (sl_addr_classify(addr) & SL_ADDR_LOOPBACK) != 0;
    case SL_HOST_NAME:
    case SL_HOST_WILDCARD:
        break;
    }
    return false;
}

bool sl_host_pattern_denies_addr(const sl_host_pattern *pattern, const sl_addr *addr)
{
    static const uint8_t zero[16];
    static const sl_addr loopback4 = {.family = 4, .bytes = {127, 0, 0, 1}};
    static const sl_addr loopback6 = {.family = 6, .bytes = {[15] = 1}};
    sl_addr v4;
    if (denies_one(pattern, addr) || (sl_addr_embedded_v4(addr, &v4) && denies_one(pattern, &v4))) {
        return true;
    }
    /* Linux connects the unspecified address to loopback. */
    if (memcmp(addr->bytes, zero, sizeof(zero)) == 0) {
        return denies_one(pattern, &loopback4) || denies_one(pattern, &loopback6);
    }
    return false;
}
