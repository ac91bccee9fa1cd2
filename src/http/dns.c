/* Owns which names exist for the child, and the resolving for direct flows. A look-up never asks
 * anybody; only a connection does. */
#include "http/dns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fd.h"
#include "core/trace.h"
#include "core/util.h"
#include "http/why/search.h"

#define REFUSED_MAX 1024 /* names that get a line of their own; more are only counted */

/* ---- the child's questions ---- */

static bool seen_before(const char *name)
{
    static char *refused[REFUSED_MAX];
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *p = name; *p != '\0'; p++) {
        hash = (hash ^ (uint8_t)*p) * 16777619u;
    }
    for (uint32_t i = 0; i < REFUSED_MAX; i++) {
        char **slot = &refused[(hash + i) % REFUSED_MAX];
        if (*slot == NULL) {
            *slot = strdup(name);
            return false;
        }
        if (strcmp(*slot, name) == 0) {
            return true;
        }
    }
    return true;
}

static void note_refusal(sl_gateway *gw, const struct sl_link_process *process, const char *name)
{
    const char *rule = sl_policy_name_denied(gw->policy, name);
    sl_denial d = {.port = 0};
    sl_audit_count(gw->audit, false, 0, 0);
    snprintf(d.what, sizeof(d.what), "DNS %s", name);
    snprintf(d.host, sizeof(d.host), "%s", name);
    sl_denial_by(&d, process->exe);
    if (rule != NULL) {
        snprintf(d.why, sizeof(d.why), "the deny rule '%s', which no option overrules", rule);
    } else if (sl_policy_has_http(gw->policy)) {
        snprintf(d.allow_with, sizeof(d.allow_with), "--http-allow 'GET %s/*'", name);
    } else {
        snprintf(d.allow_with, sizeof(d.allow_with), "--net-allow '%s'", name);
    }
    sl_audit_denied(gw->audit, &d);
    if (!seen_before(name)) {
        sl_audit_event e = {.kind = "dns",
                            .host = name,
                            .rule = rule,
                            .reason = rule != NULL ? "denied_by_rule" : "no_rule",
                            .pid = process->pid,
                            .exe = process->exe};
        sl_audit_write(gw->audit, &e);
    }
}

enum sl_dns_answer sl_dns_on_question(void *gateway, void *tag, const char *name, bool addresses,
                                      sl_addr *ret_v4, sl_addr *ret_v6)
{
    sl_gateway *gw = gateway;
    if (sl_host_is_localhost(name)) {
        return SL_DNS_LOOPBACK;
    }
    if (!sl_policy_grants_name(gw->policy, name)) {
        SL_TRACE(SL_TRACE_FLOW, "name '%s': no rule grants it", name);
        /* Services, texts and keys are not asked for in order to connect, and no option answers
         * them: they do not exist, and that is no denial. Nor is what a resolver makes of a name
         * that is granted. */
        if (addresses && !sl_search_is_expansion(gw->policy, name)) {
            note_refusal(gw, tag, name);
        }
        return SL_DNS_NXDOMAIN;
    }
    int r = sl_synth_assign(gw->synth, name, ret_v4);
    if (r == 0) {
        sl_synth_to_v6(ret_v4, ret_v6);
        if (gw->expect_tls != NULL) {
            gw->expect_tls(gw); /* who asks for a name will connect to it */
        }
    }
    SL_TRACE(SL_TRACE_FLOW, "name '%s': %s", name,
             r == 0 ? "granted" : "no address is left for it");
    return r == 0 ? SL_DNS_ADDRESS : SL_DNS_SERVFAIL;
}

/* ---- the engine's ---- */

typedef struct resolving {
    sl_gateway *gw;
    uint64_t id;
    uint16_t port;
    char name[SL_HOST_NAME_MAX];
} resolving;

static void reply(const sl_gateway *gw, struct sl_link_resolved *m, const char *reason)
{
    m->header = (struct sl_link_header){SL_LINK_RESOLVED, sizeof(*m)};
    snprintf(m->reason, sizeof(m->reason), "%s", m->count > 0 ? "" : reason);
    (void)sl_fd_send(gw->link, m, sizeof(*m), NULL, 0, 0);
}

static void on_resolved(void *arg, int status, const sl_addr *addrs, size_t count)
{
    resolving *q = arg;
    struct sl_link_resolved m;
    memset(&m, 0, sizeof(m));
    m.id = q->id;
    const char *reason = status == -ETIMEDOUT ? "timeout" : "dns";
    if (status == 0 && count > 0) {
        m.count = (uint32_t)sl_upstream_permitted(q->gw, q->name, q->port, addrs, count, m.addrs);
        reason = "address_denied";
        m.refused = addrs[0];
    }
    reply(q->gw, &m, reason);
    free(q);
}

void sl_dns_resolve(sl_gateway *gw, const struct sl_link_resolve *msg)
{
    struct sl_link_resolved m;
    memset(&m, 0, sizeof(m));
    m.id = msg->id;
    size_t known = sl_upstream_known(gw, msg->name, msg->port, m.addrs);
    if (known > 0) {
        m.count = (uint32_t)known;
        reply(gw, &m, "");
        return;
    }
    resolving *q = calloc(1, sizeof(*q));
    sl_resolver_query *query;
    if (q == NULL) {
        reply(gw, &m, "dns");
        return;
    }
    q->gw = gw;
    q->id = msg->id;
    q->port = msg->port;
    memcpy(q->name, msg->name, sizeof(q->name));
    if (sl_resolver_start(gw->resolver, q->name, on_resolved, q, &query) < 0) {
        free(q);
        reply(gw, &m, "dns");
    }
}
