/* Owns the verdict on the address that is really dialled. Pure; an address that only a wide rule
 * could mean is never this host, its neighbours or its cloud. */
#include <string.h>

#include "policy/verdict.h"
#include "policy/verdict_int.h"

const sl_resolve *sl_policy_resolve(const sl_policy *p, const char *name)
{
    for (size_t i = p->resolve_count; i > 0; i--) { /* the last one given counts */
        if (strcmp(p->resolve[i - 1].name, name) == 0) {
            return &p->resolve[i - 1];
        }
    }
    return NULL;
}

/* A deny rule on addresses holds for what a name resolves to as well. */
static bool addr_denied(const sl_policy *p, const sl_addr *addr, uint16_t port)
{
    for (size_t i = 0; i < p->net_deny_count; i++) {
        const sl_net_rule *rule = &p->net_deny[i];
        if ((rule->ports.count == 0 || sl_ports_has(&rule->ports, port)) &&
            (rule->protos & (SL_PROTO_TCP | SL_PROTO_UDP)) != 0 && rule->host.kind != SL_HOST_ANY &&
            sl_host_pattern_denies_addr(&rule->host, addr)) {
            return true;
        }
    }
    for (size_t i = 0; i < p->http_deny_count; i++) {
        const sl_http_rule *rule = &p->http_deny[i];
        bool whole = rule->any_method && rule->path == NULL && rule->query.count == 0;
        if (whole && (rule->port == 0 || rule->port == port) && rule->host.kind != SL_HOST_ANY &&
            sl_host_pattern_denies_addr(&rule->host, addr)) {
            return true;
        }
    }
    return false;
}

/* A rule that means this very address: a literal, a CIDR, a set or localhost. */
static bool is_literal(const sl_host_pattern *host)
{
    return host->kind == SL_HOST_CIDR || host->kind == SL_HOST_CLASS ||
           host->kind == SL_HOST_LOCALHOST;
}

static bool net_rules_mean(const sl_net_rule *rules, size_t count, const char *name,
                           const sl_addr *addr, uint16_t port)
{
    for (size_t i = 0; i < count; i++) {
        const sl_net_rule *rule = &rules[i];
        if (rule->ports.count > 0 && !sl_ports_has(&rule->ports, port)) {
            continue;
        }
        if (addr == NULL
                ? rule->host.kind == SL_HOST_NAME && sl_host_pattern_has_name(&rule->host, name)
                : is_literal(&rule->host) && sl_host_pattern_has_addr(&rule->host, addr)) {
            return true;
        }
    }
    return false;
}

/* Does an allow rule mean this address itself (`addr` given), or write this name out in full? */
static bool rules_mean(const sl_policy *p, const char *name, const sl_addr *addr, uint16_t port)
{
    for (size_t i = 0; i < p->http_allow_count; i++) {
        const sl_http_rule *rule = &p->http_allow[i];
        if (rule->port == 0 ? !sl_ports_has(&p->http_ports, port) : rule->port != port) {
            continue;
        }
        if (addr == NULL
                ? rule->host.kind == SL_HOST_NAME && sl_host_pattern_has_name(&rule->host, name)
                : is_literal(&rule->host) && sl_host_pattern_has_addr(&rule->host, addr)) {
            return true;
        }
    }
    return net_rules_mean(p->net_allow, p->net_allow_count, name, addr, port) ||
           net_rules_mean(p->net_hosts, p->net_host_count, name, addr, port);
}

static bool may_dial_literal(const sl_policy *p, const sl_addr *addr, uint16_t port)
{
    sl_dest dest = {.proto = SL_PROTO_TCP, .addr = *addr, .port = port};
    sl_net_verdict verdict;
    sl_policy_judge_net(p, &dest, &verdict);
    return verdict.action != SL_NET_DENY;
}

bool sl_policy_may_dial(const sl_policy *p, const char *name, const sl_addr *addr, uint16_t port)
{
    if (name == NULL) {
        return may_dial_literal(p, addr, port);
    }
    if (addr->family == 0 || addr_denied(p, addr, port)) {
        return false;
    }
    const sl_resolve *fixed = sl_policy_resolve(p, name);
    if (fixed != NULL && sl_addr_equal(&fixed->addr, addr)) {
        return true;
    }
    unsigned classes = sl_addr_classify(addr);
    if (sl_host_is_localhost(name) && (classes & SL_ADDR_LOOPBACK) == 0) {
        return false;
    }
    if (sl_verdict_is_open(p) || rules_mean(p, name, addr, port)) {
        return true;
    }
    if ((classes & (SL_ADDR_LINK_LOCAL | SL_ADDR_METADATA)) != 0 || sl_addr_is_multicast(addr)) {
        return false;
    }
    if (sl_verdict_deny_only(p) && sl_ports_has(&p->http_ports, port)) {
        return true;
    }
    if ((classes & SL_ADDR_LOOPBACK) != 0) {
        return false;
    }
    return (classes & SL_ADDR_PRIVATE) == 0 || rules_mean(p, name, NULL, port);
}
