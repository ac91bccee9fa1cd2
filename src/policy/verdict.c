/* Owns the verdicts on destinations. Pure: no I/O, no state; what no rule names is denied. */
#include "policy/verdict.h"

#include <string.h>

#include "policy/synth.h"
#include "policy/verdict_int.h"

#define NEVER_BY_DEFAULT (SL_ADDR_LINK_LOCAL | SL_ADDR_METADATA)

/* ---- what the policy restricts ---- */

bool sl_policy_has_http(const sl_policy *p)
{
    return p->http_allow_given || p->http_deny_count > 0;
}

bool sl_verdict_deny_only(const sl_policy *p)
{
    return !p->http_allow_given && p->http_deny_count > 0;
}

bool sl_verdict_is_open(const sl_policy *p)
{
    return !p->net_allow_given && p->net_host_count == 0 && !sl_policy_has_http(p);
}

bool sl_policy_restricts_net(const sl_policy *p)
{
    return !sl_verdict_is_open(p) || p->net_deny_count > 0 || p->no_udp || p->resolve_count > 0;
}

bool sl_policy_has_default_view(const sl_policy *p)
{
    return p->fs_readable.count == 0 && p->fs_writable.count == 0;
}

bool sl_policy_isolates_abstract(const sl_policy *p)
{
    bool by_default = sl_policy_has_default_view(p) && !p->isolate_ipc_given;
    return p->isolate_ipc || by_default || sl_policy_restricts_net(p);
}

bool sl_policy_isolates_signals(const sl_policy *p)
{
    return p->isolate_signals || (sl_policy_has_default_view(p) && !p->isolate_signals_given);
}

bool sl_policy_wants_identity(const sl_policy *p)
{
    return p->privileged || p->uid != SL_POLICY_ID_NONE || p->gid != SL_POLICY_ID_NONE;
}

bool sl_policy_restricts_bind(const sl_policy *p)
{
    return p->net_bind.count > 0 || (p->net_allow_given && p->net_allow_count == 0);
}

/* Can a rule with this pattern be used by name at all? "localhost" is in every /etc/hosts. */
static bool pattern_needs_names(const sl_host_pattern *host)
{
    switch (host->kind) {
    case SL_HOST_NAME:
    case SL_HOST_WILDCARD:
    case SL_HOST_ANY:
        return true;
    case SL_HOST_CLASS:
        return (host->classes & SL_ADDR_PUBLIC) != 0;
    case SL_HOST_LOCALHOST:
        return strcmp(host->name, "localhost") != 0;
    case SL_HOST_CIDR:
        break;
    }
    return false;
}

static bool rules_need_names(const sl_net_rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (pattern_needs_names(&rules[i].host)) {
            return true;
        }
    }
    return false;
}

static bool denies_by_name(const sl_policy *p)
{
    for (size_t i = 0; i < p->net_deny_count; i++) {
        enum sl_host_kind kind = p->net_deny[i].host.kind;
        if (kind == SL_HOST_NAME || kind == SL_HOST_WILDCARD) {
            return true;
        }
    }
    return false;
}

bool sl_policy_needs_names(const sl_policy *p)
{
    if (sl_policy_has_http(p) || p->resolve_count > 0 || denies_by_name(p)) {
        return true;
    }
    if (rules_need_names(p->net_allow, p->net_allow_count) ||
        rules_need_names(p->net_hosts, p->net_host_count)) {
        return true;
    }
    return !sl_verdict_is_open(p) && p->net_connect.count > 0;
}

bool sl_policy_needs_gateway(const sl_policy *p)
{
    return sl_policy_needs_names(p);
}

bool sl_policy_needs_trust(const sl_policy *p)
{
    if (p->http_deny_count > 0) {
        return true;
    }
    for (size_t i = 0; i < p->http_allow_count; i++) {
        if (p->http_allow[i].scheme != SL_HTTP_SCHEME_HTTP) {
            return true;
        }
    }
    return false;
}

bool sl_policy_owns_trust(const sl_policy *p)
{
    if (p->http_ca_bundle != NULL) {
        return strcmp(p->http_ca_bundle, "own") == 0;
    }
    bool direct = sl_verdict_is_open(p) || p->net_allow_count > 0 || p->net_host_count > 0 ||
                  p->net_connect.count > 0;
    return !direct && p->http_no_inspect_count == 0;
}

/* ---- rules and destinations ---- */

/* `public` grants names as `*` does; what they resolve to is sl_policy_may_dial's. */
static bool names_name(const sl_host_pattern *host, const char *name)
{
    if (host->kind == SL_HOST_CLASS) {
        return (host->classes & SL_ADDR_PUBLIC) != 0 && !sl_host_is_localhost(name);
    }
    return sl_host_pattern_has_name(host, name);
}

static bool host_allows(const sl_host_pattern *host, const sl_dest *dest)
{
    return dest->name != NULL ? names_name(host, dest->name)
                              : sl_host_pattern_has_addr(host, &dest->addr);
}

static bool host_denies(const sl_host_pattern *host, const sl_dest *dest)
{
    return dest->name != NULL ? sl_host_pattern_denies_name(host, dest->name)
                              : sl_host_pattern_denies_addr(host, &dest->addr);
}

static bool net_rule_reaches(const sl_net_rule *rule, const sl_dest *dest)
{
    return (rule->protos & dest->proto) != 0 &&
           (rule->ports.count == 0 || dest->proto == SL_PROTO_ICMP ||
            sl_ports_has(&rule->ports, dest->port));
}

const sl_net_rule *sl_verdict_net_denied(const sl_policy *p, const sl_dest *dest)
{
    for (size_t i = 0; i < p->net_deny_count; i++) {
        const sl_net_rule *rule = &p->net_deny[i];
        if (net_rule_reaches(rule, dest) && host_denies(&rule->host, dest)) {
            return rule;
        }
    }
    return NULL;
}

static const sl_net_rule *find_rule(const sl_net_rule *rules, size_t count, const sl_dest *dest)
{
    for (size_t i = 0; i < count; i++) {
        if (net_rule_reaches(&rules[i], dest) && host_allows(&rules[i].host, dest)) {
            return &rules[i];
        }
    }
    return NULL;
}

const char *sl_verdict_net_allowed(const sl_policy *p, const sl_dest *dest)
{
    static const sl_host_pattern any = {.kind = SL_HOST_ANY};
    const sl_net_rule *rule = find_rule(p->net_allow, p->net_allow_count, dest);
    if (rule == NULL) {
        rule = find_rule(p->net_hosts, p->net_host_count, dest);
    }
    if (rule != NULL) {
        return rule->text;
    }
    /* Beside other rules net_connect is one more, for TCP to any host. */
    if (!sl_verdict_is_open(p) && dest->proto == SL_PROTO_TCP && p->net_connect_text.count > 0 &&
        sl_ports_has(&p->net_connect, dest->port) && host_allows(&any, dest)) {
        return p->net_connect_text.items[0];
    }
    return NULL;
}

/* A rule without a port means 80 for http, 443 for https and http_ports for both. */
static bool http_rule_has_port(const sl_policy *p, const sl_http_rule *rule, uint16_t port)
{
    if (rule->port != 0) {
        return rule->port == port;
    }
    return (port == 80 && rule->scheme != SL_HTTP_SCHEME_HTTPS) ||
           (port == 443 && rule->scheme != SL_HTTP_SCHEME_HTTP) ||
           sl_ports_has(&p->http_ports_given, port);
}

const sl_http_rule *sl_verdict_http_concerns(const sl_policy *p, const sl_dest *dest)
{
    for (size_t i = 0; i < p->http_allow_count; i++) {
        const sl_http_rule *rule = &p->http_allow[i];
        if (http_rule_has_port(p, rule, dest->port) && host_allows(&rule->host, dest)) {
            return rule;
        }
    }
    return NULL;
}

static bool http_deny_concerns(const sl_policy *p, const sl_dest *dest)
{
    for (size_t i = 0; i < p->http_deny_count; i++) {
        const sl_http_rule *rule = &p->http_deny[i];
        if (http_rule_has_port(p, rule, dest->port) && host_denies(&rule->host, dest)) {
            return true;
        }
    }
    return false;
}

bool sl_verdict_http_default(const sl_policy *p, const sl_dest *dest)
{
    if (!sl_verdict_deny_only(p) || !sl_ports_has(&p->http_ports, dest->port)) {
        return false;
    }
    return dest->name != NULL || ((sl_addr_classify(&dest->addr) & NEVER_BY_DEFAULT) == 0 &&
                                  !sl_addr_is_multicast(&dest->addr));
}

/* Do HTTP rules govern what TCP says to this host and port? */
static bool http_governs(const sl_policy *p, const sl_dest *dest)
{
    return sl_verdict_http_concerns(p, dest) != NULL || http_deny_concerns(p, dest) ||
           sl_verdict_http_default(p, dest);
}

/* ---- destinations ---- */

/* UDP beside HTTP rules would be QUIC, which nobody could judge: only a rule that says udp:// means
 * it. */
static bool udp_is_meant(const sl_policy *p, const sl_dest *dest)
{
    for (size_t i = 0; i < p->net_allow_count; i++) {
        const sl_net_rule *rule = &p->net_allow[i];
        if (rule->protos == SL_PROTO_UDP && net_rule_reaches(rule, dest) &&
            host_allows(&rule->host, dest)) {
            return true;
        }
    }
    return !http_governs(p, dest);
}

/* The rule that lets it pass, deny rules apart. `*ret_rule` may be NULL for an open policy. */
static bool is_allowed(const sl_policy *p, const sl_dest *dest, const char **ret_rule)
{
    *ret_rule = NULL;
    if (sl_verdict_is_open(p)) {
        return dest->proto != SL_PROTO_TCP || p->net_connect.count == 0 ||
               sl_ports_has(&p->net_connect, dest->port);
    }
    *ret_rule = sl_verdict_net_allowed(p, dest);
    if (*ret_rule != NULL) {
        return dest->proto != SL_PROTO_UDP || udp_is_meant(p, dest);
    }
    if (dest->proto != SL_PROTO_TCP) {
        return false;
    }
    const sl_http_rule *http = sl_verdict_http_concerns(p, dest);
    *ret_rule = http == NULL ? NULL : http->text;
    return http != NULL || sl_verdict_http_default(p, dest);
}

/* Why nothing allowed it: for an address that a wide rule leaves out, its class. */
static const char *refusal(const sl_policy *p, const sl_dest *dest)
{
    static const struct {
        unsigned class;
        const char *reason;
    } classes[] = {
        {SL_ADDR_METADATA, "metadata"},
        {SL_ADDR_LINK_LOCAL, "link_local"},
        {SL_ADDR_LOOPBACK, "loopback"},
        {SL_ADDR_PRIVATE, "private"},
    };
    static const sl_addr elsewhere = {.family = 4, .bytes = {1, 1, 1, 1}};
    sl_dest other = *dest;
    const char *rule;
    if (dest->name != NULL) {
        return "no_rule";
    }
    unsigned is = sl_addr_classify(&dest->addr);
    other.addr = elsewhere;
    if ((is & SL_ADDR_METADATA) == 0 && !is_allowed(p, &other, &rule)) {
        return "no_rule";
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(classes); i++) {
        if ((is & classes[i].class) != 0) {
            return classes[i].reason;
        }
    }
    return "no_rule";
}

static enum sl_net_action action(const sl_policy *p, const sl_dest *dest)
{
    if (dest->proto != SL_PROTO_TCP) {
        return SL_NET_DIRECT;
    }
    if (http_governs(p, dest)) {
        return SL_NET_STEER;
    }
    /* A name on an HTTP port: the gateway compares the SNI. Without any rule about names there is
     * nothing to compare with. */
    bool named = dest->name != NULL && sl_ports_has(&p->http_ports, dest->port);
    return named && (!sl_verdict_is_open(p) || denies_by_name(p)) ? SL_NET_STEER : SL_NET_DIRECT;
}

void sl_policy_judge_net(const sl_policy *p, const sl_dest *dest, sl_net_verdict *ret)
{
    *ret = (sl_net_verdict){.action = SL_NET_DENY, .reason = "no_rule"};
    const sl_net_rule *denied = sl_verdict_net_denied(p, dest);
    if (denied != NULL) {
        ret->rule = denied->text;
        ret->reason = "denied_by_rule";
        return;
    }
    if (dest->proto == SL_PROTO_UDP && p->no_udp) {
        ret->reason = "udp_disabled";
        return;
    }
    if (dest->name == NULL && sl_synth_is(&dest->addr) && sl_policy_needs_names(p)) {
        ret->reason = "unassigned"; /* no name was ever given this address */
        return;
    }
    const char *rule;
    if (!is_allowed(p, dest, &rule)) {
        bool udp = dest->proto == SL_PROTO_UDP && (rule != NULL || http_governs(p, dest));
        ret->reason = udp ? "http_only" : refusal(p, dest);
        return;
    }
    ret->rule = rule;
    ret->reason = NULL;
    ret->action = action(p, dest);
}

const char *sl_policy_name_denied(const sl_policy *p, const char *name)
{
    const unsigned both = SL_PROTO_TCP | SL_PROTO_UDP;
    for (size_t i = 0; i < p->net_deny_count; i++) {
        const sl_net_rule *rule = &p->net_deny[i];
        if ((rule->protos & both) == both && rule->ports.count == 0 &&
            sl_host_pattern_denies_name(&rule->host, name)) {
            return rule->text;
        }
    }
    return NULL;
}

static bool any_rule_names(const sl_net_rule *rules, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (names_name(&rules[i].host, name)) {
            return true;
        }
    }
    return false;
}

bool sl_policy_grants_name(const sl_policy *p, const char *name)
{
    if (sl_host_is_localhost(name)) {
        return true; /* the answer is a constant and grants nothing */
    }
    if (sl_policy_name_denied(p, name) != NULL) {
        return false;
    }
    if (sl_verdict_is_open(p) || sl_verdict_deny_only(p) || p->net_connect.count > 0 ||
        sl_policy_resolve(p, name) != NULL) {
        return true;
    }
    for (size_t i = 0; i < p->http_allow_count; i++) {
        if (sl_host_pattern_has_name(&p->http_allow[i].host, name)) {
            return true;
        }
    }
    return any_rule_names(p->net_allow, p->net_allow_count, name) ||
           any_rule_names(p->net_hosts, p->net_host_count, name);
}

static bool is_called(const sl_host_pattern *pattern, const char *name)
{
    return (pattern->kind == SL_HOST_NAME || pattern->kind == SL_HOST_WILDCARD) &&
           sl_host_pattern_has_name(pattern, name);
}

static bool any_rule_calls(const sl_net_rule *rules, size_t count, const char *name)
{
    size_t i = 0;
    while (i < count && !is_called(&rules[i].host, name)) {
        i++;
    }
    return i < count;
}

bool sl_policy_speaks_of(const sl_policy *p, const char *name)
{
    for (size_t i = 0; i < p->http_allow_count; i++) {
        if (is_called(&p->http_allow[i].host, name)) {
            return true;
        }
    }
    for (size_t i = 0; i < p->http_deny_count; i++) {
        if (is_called(&p->http_deny[i].host, name)) {
            return true;
        }
    }
    return sl_policy_resolve(p, name) != NULL ||
           any_rule_calls(p->net_allow, p->net_allow_count, name) ||
           any_rule_calls(p->net_hosts, p->net_host_count, name) ||
           any_rule_calls(p->net_deny, p->net_deny_count, name);
}

static bool no_inspect(const sl_policy *p, const sl_dest *dest)
{
    for (size_t i = 0; i < p->http_no_inspect_count; i++) {
        if (host_allows(&p->http_no_inspect[i], dest)) {
            return true;
        }
    }
    return false;
}

bool sl_policy_may_pass(const sl_policy *p, const sl_dest *dest)
{
    return !http_deny_concerns(p, dest);
}

/* HTTP/2 beside HTTP rules could not be judged: only a rule that says tcp://, the host and the port
 * means it. */
static bool h2c_is_meant(const sl_policy *p, const sl_dest *dest)
{
    for (size_t i = 0; i < p->net_allow_count; i++) {
        const sl_net_rule *rule = &p->net_allow[i];
        if (rule->protos == SL_PROTO_TCP && rule->ports.count > 0 &&
            rule->host.kind != SL_HOST_ANY && net_rule_reaches(rule, dest) &&
            host_allows(&rule->host, dest)) {
            return !http_deny_concerns(p, dest);
        }
    }
    return false;
}

void sl_policy_judge_flow(const sl_policy *p, const sl_dest *dest, sl_flow_verdict *ret)
{
    sl_dest tcp = *dest;
    tcp.proto = SL_PROTO_TCP;
    *ret = (sl_flow_verdict){.mode = SL_FLOW_REFUSE};
    const sl_net_rule *denied = sl_verdict_net_denied(p, &tcp);
    if (denied != NULL) {
        ret->rule = denied->text;
        return;
    }
    const char *rule;
    if (!is_allowed(p, &tcp, &rule)) {
        return;
    }
    ret->rule = rule;
    ret->raw = sl_verdict_is_open(p) || sl_verdict_net_allowed(p, &tcp) != NULL;
    ret->governed = http_governs(p, &tcp);
    ret->h2c = ret->raw && h2c_is_meant(p, &tcp);
    if (!ret->governed) {
        ret->mode = SL_FLOW_TLS_PASS;
    } else if (no_inspect(p, &tcp) && !http_deny_concerns(p, &tcp)) {
        /* A deny rule must see requests: it wins over passing them through unseen. */
        ret->mode = SL_FLOW_TLS_PASS;
    } else {
        ret->mode = SL_FLOW_INSPECT;
    }
}
