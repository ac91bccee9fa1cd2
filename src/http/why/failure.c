/* Owns the reading of failures: whose doing one was, and what would help. Never suggests what would
 * not, nor more than is needed. */
#include "http/why/failure.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"
#include "http/upstream.h"
#include "net/sniff.h"
#include "net/tls/tls.h"
#include "policy/text/suggest.h"

/* TLS alerts (RFC 8446 section 6). */
#define ALERT_HANDSHAKE_FAILURE     40
#define ALERT_BAD_CERTIFICATE       42
#define ALERT_UNKNOWN_CA            48
#define ALERT_ACCESS_DENIED         49
#define ALERT_PROTOCOL_VERSION      70
#define ALERT_INSUFFICIENT_SECURITY 71
#define ALERT_UNRECOGNIZED_NAME     112
#define ALERT_BAD_STATUS            113
#define ALERT_CERTIFICATE_REQUIRED  116
#define ALERT_NO_APPLICATION        120

void sl_failure_set(sl_failure *f, const char *reason, const char *detail)
{
    *f = (sl_failure){.reason = reason};
    snprintf(f->detail, sizeof(f->detail), "%s", detail);
}

/* ---- towards upstreams ---- */

/* Did the server end it for want of a certificate of the client's? It asked for one, got none, and
 * says so in one way or another: TLS 1.2 has no alert of its own for it, and a server that closes
 * at once may reset the line before its alert is read. */
static bool wants_certificate(const sl_tls_trouble *t)
{
    bool about_it = t->alert == ALERT_HANDSHAKE_FAILURE || t->alert == ALERT_ACCESS_DENIED ||
                    (t->alert >= ALERT_BAD_CERTIFICATE && t->alert <= ALERT_UNKNOWN_CA);
    return t->alert == ALERT_CERTIFICATE_REQUIRED ||
           (t->asked && !t->heard && (about_it || t->cut));
}

static void tell_alert(const char *what, int alert, sl_failure *ret)
{
    if (alert > 0) {
        snprintf(ret->detail, sizeof(ret->detail), "%s (its alert: '%s')", what,
                 sl_tls_alert_words(alert));
    } else {
        snprintf(ret->detail, sizeof(ret->detail), "%s", what);
    }
}

void sl_failure_upstream(sl_conn *upstream, const char *reason, const char *detail, sl_failure *ret)
{
    sl_tls_trouble t = {.alert = -1};
    sl_failure_set(ret, reason, detail);
    if (upstream == NULL) {
        return;
    }
    sl_tls_last_words(upstream);
    sl_tls_trouble_of(upstream, &t);
    if (t.untrusted) {
        sl_failure_set(ret, "tls_verify", t.why);
        ret->remedy = t.unknown_issuer ? SL_REMEDY_UPSTREAM_CA : SL_REMEDY_NONE;
    } else if (wants_certificate(&t)) {
        tell_alert("the server wants a client certificate, and the gateway has none", t.alert, ret);
        ret->remedy = SL_REMEDY_NO_INSPECT;
    } else if (t.alert == ALERT_PROTOCOL_VERSION || t.alert == ALERT_INSUFFICIENT_SECURITY ||
               t.nothing_common) {
        tell_alert("the server speaks no TLS that inspection accepts", t.alert, ret);
        ret->remedy = SL_REMEDY_NO_INSPECT;
    } else if (t.alert == ALERT_NO_APPLICATION) {
        tell_alert("the server does not speak HTTP/1.1", t.alert, ret);
        ret->remedy = SL_REMEDY_NO_INSPECT;
    } else if (t.alert == ALERT_UNRECOGNIZED_NAME) {
        tell_alert("the server does not know the name", t.alert, ret);
    } else if (t.alert > 0) {
        tell_alert("the server ended the connection", t.alert, ret);
    }
}

bool sl_failure_uncertified(const sl_conn *upstream, unsigned status, sl_failure *ret)
{
    sl_tls_trouble t;
    if (status != 400 && status != 403 && status != 495 && status != 496) {
        return false;
    }
    sl_tls_trouble_of(upstream, &t);
    if (t.asked) {
        sl_failure_set(ret, "protocol", "");
        snprintf(
            ret->detail, sizeof(ret->detail),
            "the server asked for a client certificate, and the gateway has none: it answers %u",
            status);
        ret->remedy = SL_REMEDY_NO_INSPECT;
    }
    return t.asked;
}

/* ---- towards the child ---- */

/* The protocols that it offered, as text; what is not printable is left out. */
static void list_protocols(const sl_client_hello *h, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < h->alpn_len && n + 2 < size; i += 1u + h->alpn[i]) {
        n += n > 0 ? (size_t)snprintf(out + n, size - n, " ") : 0;
        for (size_t k = i + 1; k <= i + h->alpn[i] && k < h->alpn_len && n + 1 < size; k++) {
            if (h->alpn[k] > 0x20 && h->alpn[k] < 0x7f && h->alpn[k] != '\'') {
                out[n++] = (char)h->alpn[k];
            }
        }
    }
    out[SL_MIN(n, size - 1)] = '\0';
}

static bool is_about_certificate(int alert)
{
    return (alert >= ALERT_BAD_CERTIFICATE && alert <= ALERT_ACCESS_DENIED) ||
           alert == ALERT_BAD_STATUS;
}

void sl_failure_client(const sl_conn *client, const sl_client_hello *hello, bool alpn_ok,
                       sl_failure *ret)
{
    sl_tls_trouble t;
    char offered[64] = "";
    sl_tls_trouble_of(client, &t);
    sl_failure_set(ret, "tls_handshake", t.why);
    if (hello->alpn_len > 0 && !alpn_ok) {
        list_protocols(hello, offered, sizeof(offered));
        snprintf(ret->detail, sizeof(ret->detail),
                 "the client offers '%s' and not HTTP/1.1, which is all that is inspected",
                 offered);
        ret->remedy = SL_REMEDY_NO_INSPECT;
    } else if (hello->version_max < TLS1_2_VERSION || t.nothing_common) {
        tell_alert("the client speaks no TLS that inspection accepts", t.alert, ret);
        ret->remedy = SL_REMEDY_NO_INSPECT;
    } else if (t.shown && is_about_certificate(t.alert)) {
        tell_alert("the client does not believe the CA of the run", t.alert, ret);
        ret->remedy = SL_REMEDY_NO_INSPECT;
    } else if (t.shown && (t.alert > 0 || t.cut)) {
        tell_alert("the client left when it saw the certificate of the run", t.alert, ret);
        ret->remedy = SL_REMEDY_NO_INSPECT;
    } else if (t.cut) {
        ret->reason = "client_gone";
    }
}

/* ---- what helps ---- */

bool sl_failure_is_denial(const sl_failure *f)
{
    return f->denies || f->remedy != SL_REMEDY_NONE || strcmp(f->reason, "address_denied") == 0 ||
           strcmp(f->reason, "tls_verify") == 0;
}

void sl_failure_option(const sl_policy *p, const sl_failure *f, const sl_target *t,
                       const sl_addr *peer, char ret[SL_SUGGESTION_MAX])
{
    char addr[SL_ADDR_STR_MAX];
    const char *host = t->name[0] != '\0' ? t->name : sl_addr_format(&t->addr, addr);
    sl_dest dest = {.proto = SL_PROTO_TCP,
                    .name = t->name[0] != '\0' ? t->name : NULL,
                    .addr = t->addr,
                    .port = t->port};
    ret[0] = '\0';
    switch (f->remedy) {
    case SL_REMEDY_NET_ALLOW:
        sl_policy_suggest_net(&dest, ret);
        break;
    case SL_REMEDY_TCP_ALLOW:
        if (sl_policy_may_pass(p, &dest)) {
            sl_policy_suggest_tcp(&dest, ret);
        }
        break;
    case SL_REMEDY_NO_INSPECT:
        if (sl_policy_may_pass(p, &dest)) {
            (void)sl_suggest_option("--http-no-inspect", host, ret, SL_SUGGESTION_MAX);
        }
        break;
    case SL_REMEDY_UPSTREAM_CA:
        snprintf(ret, SL_SUGGESTION_MAX, "--http-upstream-ca FILE");
        break;
    case SL_REMEDY_RESOLVE:
        if (t->name[0] != '\0' && peer != NULL) {
            sl_policy_suggest_resolve(t->name, peer, ret);
        }
        break;
    case SL_REMEDY_NONE:
        break;
    }
}
