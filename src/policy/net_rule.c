/* Owns the grammar of net rules. Never decides anything. */
#include "policy/net_rule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#define SHOWN_MAX    160
#define NET_RULE_MAX 4096 /* bytes; a rule can list many ports */

static const struct {
    const char *scheme;
    unsigned protos;
} schemes[] = {
    {"tcp://", SL_PROTO_TCP},
    {"udp://", SL_PROTO_UDP},
    {"icmp://", SL_PROTO_ICMP},
};

static int take_scheme(const char **text, const char *what, unsigned *ret_protos, sl_error *err)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(schemes); i++) {
        size_t n = strlen(schemes[i].scheme);
        if (strncmp(*text, schemes[i].scheme, n) == 0) {
            *ret_protos = schemes[i].protos;
            *text += n;
            return 0;
        }
    }
    const char *mark = strstr(*text, "://");
    if (mark != NULL) {
        bool http = strncmp(*text, "http", 4) == 0;
        return sl_error_usage(
            err, "%s: unknown scheme '%.*s': expected tcp://, udp://, icmp://, unix: or none%s",
            what, (int)SL_MIN(mark - *text + 3, 40), *text,
            http ? "; HTTP goes to --http-allow" : "");
    }
    *ret_protos = SL_PROTO_TCP | SL_PROTO_UDP;
    return 0;
}

/* Splits host and ports. `host` has room for the text. `*ret_ports` NULL: none written. */
static int split(const char *text, const char *what, char *host, const char **ret_ports,
                 sl_error *err)
{
    const char *colon = strchr(text, ':');
    *ret_ports = NULL;
    if (text[0] == '[') {
        const char *close = strchr(text, ']');
        if (close == NULL || (close[1] != '\0' && close[1] != ':' && close[1] != '/')) {
            return sl_error_usage(err, "%s: '%.*s': expected '[address]' or '[address]:ports'",
                                  what, SHOWN_MAX, text);
        }
        colon = strchr(close, ':');
        if (close[1] == '/') { /* "[2001:db8::]/32" */
            size_t n = (size_t)(close - text) - 1;
            size_t m = colon == NULL ? strlen(close + 1) : (size_t)(colon - close) - 1;
            memcpy(host, text + 1, n);
            memcpy(host + n, close + 1, m);
            host[n + m] = '\0';
            *ret_ports = colon == NULL ? NULL : colon + 1;
            return 0;
        }
    } else if (colon != NULL && strchr(colon + 1, ':') != NULL) {
        if (strchr(text, '/') == NULL) {
            return sl_error_usage(err, "%s: '%.*s': write an IPv6 address in brackets", what,
                                  SHOWN_MAX, text);
        }
        colon = NULL; /* "2001:db8::/32" has no ports */
    }
    size_t n = colon == NULL ? strlen(text) : (size_t)(colon - text);
    memcpy(host, text, n);
    host[n] = '\0';
    *ret_ports = colon == NULL ? NULL : colon + 1;
    return 0;
}

static int parse(const char *text, const char *what, sl_net_rule *rule, sl_error *err)
{
    const char *ports;
    int r = take_scheme(&text, what, &rule->protos, err);
    if (r < 0) {
        return r;
    }
    sl_autofree char *host = malloc(strlen(text) + 1);
    if (host == NULL) {
        return sl_error_set(err, ENOMEM, "no memory for a rule");
    }
    r = split(text, what, host, &ports, err);
    if (r == 0) {
        r = sl_host_pattern_parse(host, true, what, &rule->host, err);
    }
    if (r == 0 && ports != NULL && rule->protos == SL_PROTO_ICMP) {
        return sl_error_usage(err, "%s: ICMP has no ports; leave out ':%.*s'", what, SHOWN_MAX,
                              ports);
    }
    if (r == 0 && ports != NULL && strcmp(ports, "*") != 0) {
        r = sl_ports_add(&rule->ports, ports, false, what, err);
    }
    return r;
}

int sl_net_rule_parse(const char *text, sl_net_rule *ret_rule, sl_error *err)
{
    char what[SHOWN_MAX + 32];
    sl_net_rule rule;
    memset(&rule, 0, sizeof(rule));
    if (strnlen(text, NET_RULE_MAX + 1) > NET_RULE_MAX) {
        return sl_error_usage(err, "net rule '%.40s...' is longer than %d bytes", text,
                              NET_RULE_MAX);
    }
    snprintf(what, sizeof(what), "net rule '%.*s'", SHOWN_MAX, text);
    rule.text = strdup(text);
    int r = rule.text == NULL ? sl_error_set(err, ENOMEM, "no memory for a rule")
                              : parse(text, what, &rule, err);
    if (r < 0) {
        sl_net_rule_done(&rule);
        return r;
    }
    *ret_rule = rule;
    return 0;
}

void sl_net_rule_done(sl_net_rule *rule)
{
    free(rule->text);
    sl_ports_done(&rule->ports);
    rule->text = NULL;
}

const char *sl_proto_name(enum sl_proto proto)
{
    switch (proto) {
    case SL_PROTO_UDP:
        return "udp";
    case SL_PROTO_ICMP:
        return "icmp";
    case SL_PROTO_UNIX:
        return "unix";
    case SL_PROTO_TCP:
        break;
    }
    return "tcp";
}
