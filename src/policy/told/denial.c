/* Owns the gathering of denials for the summary. Never more than SL_DENIALS_MAX of them, and never
 * a denial that is not counted. */
#include "policy/told/denial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#define SEPARATOR ", "
#define MORE      ", ..."

void sl_denials_done(sl_denials *t)
{
    free(t->items);
    *t = (sl_denials){0};
}

static bool is_same(const sl_denial *a, const sl_denial *b)
{
    return strcmp(a->what, b->what) == 0 && strcmp(a->allow_with, b->allow_with) == 0 &&
           (a->allow_with[0] != '\0' || strcmp(a->why, b->why) == 0);
}

static bool has_name(const char *names, const char *name, size_t len)
{
    for (const char *p = names; p != NULL; p = strstr(p, SEPARATOR)) {
        p += strncmp(p, SEPARATOR, strlen(SEPARATOR)) == 0 ? strlen(SEPARATOR) : 0;
        size_t n = strcspn(p, ",");
        if (n == len && memcmp(p, name, len) == 0) {
            return true;
        }
    }
    return false;
}

static void add_name(char names[SL_DENIAL_PROGRAMS_MAX], const char *name, size_t len)
{
    size_t used = strlen(names);
    size_t room = SL_DENIAL_PROGRAMS_MAX - used - sizeof(MORE);
    if (len == 0 || has_name(names, name, len) ||
        (used >= strlen(MORE) && strcmp(names + used - strlen(MORE), MORE) == 0)) {
        return;
    }
    if (used + sizeof(MORE) > SL_DENIAL_PROGRAMS_MAX || len + strlen(SEPARATOR) > room) {
        snprintf(names + used, SL_DENIAL_PROGRAMS_MAX - used, used > 0 ? MORE : "...");
        return;
    }
    snprintf(names + used, SL_DENIAL_PROGRAMS_MAX - used, "%s%.*s", used > 0 ? SEPARATOR : "",
             (int)len, name);
}

void sl_denial_by(sl_denial *d, const char *exe)
{
    const char *slash = strrchr(exe, '/');
    const char *name = slash != NULL ? slash + 1 : exe;
    add_name(d->programs, name, strcspn(name, ","));
}

static void join(sl_denial *to, const sl_denial *d)
{
    to->count += d->count;
    to->first_ms = SL_MIN(to->first_ms, d->first_ms);
    to->last_ms = SL_MAX(to->last_ms, d->last_ms);
    for (const char *p = d->programs; *p != '\0';) {
        size_t n = strcspn(p, ",");
        add_name(to->programs, p, n);
        p += n;
        p += strspn(p, SEPARATOR);
    }
}

void sl_denials_add(sl_denials *t, const sl_denial *d)
{
    if (t->items == NULL) {
        t->items = calloc(SL_DENIALS_MAX, sizeof(*t->items));
    }
    for (size_t i = 0; i < t->count; i++) {
        if (is_same(&t->items[i], d)) {
            join(&t->items[i], d);
            return;
        }
    }
    if (t->items == NULL || t->count == SL_DENIALS_MAX) {
        t->unlisted += d->count;
        return;
    }
    t->items[t->count++] = *d;
}

static int more_frequent(const void *left, const void *right)
{
    const sl_denial *l = left;
    const sl_denial *r = right;
    if (l->count != r->count) {
        return l->count < r->count ? 1 : -1;
    }
    return l->first_ms < r->first_ms ? -1 : l->first_ms > r->first_ms ? 1 : 0;
}

void sl_denials_sort(sl_denials *t)
{
    if (t->count > 1) {
        qsort(t->items, t->count, sizeof(*t->items), more_frequent);
    }
}

const char *sl_denial_reason(const char *reason)
{
    static const struct {
        const char *reason;
        const char *words;
    } table[] = {
        {"no_rule", ""},
        {"udp_disabled", "UDP is switched off (--no-udp)"},
        {"http_only", "QUIC (HTTP/3), which no HTTP rule could judge: clients fall back to TCP"},
        {"metadata", "an address of cloud metadata, which no wide rule reaches"},
        {"link_local", "a link-local address, which no wide rule reaches"},
        {"loopback", "an address of this machine, which no wide rule reaches"},
        {"private", "a private address, which no wide rule reaches"},
        {"address_denied", "the name leads to an address that no name may lead to by itself"},
        {"isolated",
         "an abstract socket of a process outside, which network rules and --isolate-ipc "
         "keep away"},
        {"unassigned", "an address that was given to no name"},
        {"not_tls", "no HTTP and no TLS, and no rule lets other bytes pass"},
        {"not_http", "no HTTP that could be read"},
        {"sni", "the server name of TLS is not the one that the connection is for"},
        {"ech", "the server name of TLS is encrypted, and the one that counts cannot be judged"},
        {"malformed_tls", "a malformed TLS hello"},
        {"memory", "not enough memory"},
        {"timeout", "it took too long"},
        {"http_behind_greeting", "HTTP behind a server's greeting, where no rule judges it"},
        {"authority", "the request names another host than its connection is for"},
        {"method", "a method that makes a tunnel or a mirror"},
        {"host", "the request names an address where its connection is for a name"},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(table); i++) {
        if (strcmp(table[i].reason, reason) == 0) {
            return table[i].words;
        }
    }
    return reason;
}
