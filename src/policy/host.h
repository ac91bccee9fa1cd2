/* Host patterns, as rules write them: "api.example.com", "*.example.com", "*", "192.0.2.1",
 * "[2001:db8::1]", "10.0.0.0/8", "localhost", or a set: loopback private link-local metadata
 * public. */
#ifndef SANDLOCK_POLICY_HOST_H
#define SANDLOCK_POLICY_HOST_H

#include <stdbool.h>

#include "core/addr.h"
#include "core/err.h"

#define SL_HOST_NAME_MAX 254 /* RFC 1035 section 2.3.4: 253 characters and the terminator */

enum sl_host_kind {
    SL_HOST_NAME,     /* exact, lower case, no trailing dot */
    SL_HOST_WILDCARD, /* "*.example.com": any depth below, not the name itself */
    SL_HOST_ANY,      /* "*" */
    SL_HOST_CIDR,     /* one address is a full-length prefix */
    SL_HOST_CLASS,    /* a set of addresses, enum sl_addr_class */
    SL_HOST_LOCALHOST /* "localhost", "*.localhost": means loopback, RFC 6761 section 6.3 */
};

typedef struct sl_host_pattern {
    enum sl_host_kind kind;
    char name[SL_HOST_NAME_MAX]; /* NAME, LOCALHOST: the name; WILDCARD: what follows "*.".
                                    "*.localhost" is LOCALHOST with its star */
    sl_cidr cidr;
    unsigned classes;
} sl_host_pattern;

/* True for a name that DNS and certificates may carry: labels of 1..63 letters, digits, '-', '_',
 * at most 253 in all. Refuses every other byte, so also NUL, space, '%', '/', ':'. */
bool sl_host_name_valid(const char *name);

/* Copies `name` in lower case without one trailing dot. 0, or -EINVAL when not a valid name. */
int sl_host_name_normalise(const char *name, char ret_name[SL_HOST_NAME_MAX]);

/* Parses the host part of a rule. `cidr_ok`: prefixes and sets are allowed (net rules), else only a
 * single literal address (HTTP rules). Refuses numeric look-alikes. Names `what` in errors. */
int sl_host_pattern_parse(const char *text, bool cidr_ok, const char *what,
                          sl_host_pattern *ret_pattern, sl_error *err);

/* Does an allow rule's pattern name this DNS name (normalised)? An address pattern never does, and
 * ANY never means localhost. */
bool sl_host_pattern_has_name(const sl_host_pattern *pattern, const char *name);
/* Does it name this literal address?
 *   NAME, WILDCARD  never
 *   ANY             what is neither loopback, private, link-local, metadata nor multicast: a wide
 *                   rule is meant for the network, and must not reach the host and its neighbours;
 *                   those need a literal, a CIDR or a set
 *   LOCALHOST       127.0.0.1 and ::1
 *   CLASS           its members; a metadata address only if the set is `metadata`
 * An address that embeds an IPv4 one (64:ff9b::/96, 2002::/16, ::a.b.c.d) is judged by what it
 * leads to, unless a CIDR at least as narrow as the translator's prefix names it. */
bool sl_host_pattern_has_addr(const sl_host_pattern *pattern, const sl_addr *addr);

/* The same questions for a deny rule, where every doubt counts as yes: ANY is everything, a set all
 * its members, an embedding address both its forms, 0.0.0.0 and :: also loopback. */
bool sl_host_pattern_denies_name(const sl_host_pattern *pattern, const char *name);
bool sl_host_pattern_denies_addr(const sl_host_pattern *pattern, const sl_addr *addr);

/* True if the name is "localhost" or ends in ".localhost". */
bool sl_host_is_localhost(const char *name);

#endif
