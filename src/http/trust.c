/* Owns the making of the run's TLS identities: the CA, and the contexts for both directions. Never
 * gives the CA key to anybody. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "core/trace.h"
#include "http/gateway_int.h"
#include "net/roots.h"
#include "net/tls.h"

int sl_trust_make(sl_gateway *gw, const char *cert, size_t cert_len, const char *key,
                  size_t key_len, sl_error *err)
{
    int r = sl_tls_init(err);
    if (gw->policy->time_start != NULL) {
        sl_ca_set_clock(gw->policy->time_start_ns / 1000000000 - (int64_t)time(NULL));
    }
    if (r == 0) {
        r = cert != NULL ? sl_ca_load(cert, cert_len, key, key_len, &gw->ca, err)
                         : sl_ca_new(&gw->ca, err);
    }
    SL_TRACE(SL_TRACE_TLS, "the run's authority: %s",
             r < 0          ? err->message
             : cert != NULL ? "the user's own"
                            : "made");
    return r < 0 ? r : sl_tls_server_ctx(&gw->server_ctx, err);
}

int sl_trust_client_ctx(sl_gateway *gw, sl_error *err)
{
    if (gw->client_ctx != NULL) {
        return 0;
    }
    X509_STORE *store = NULL;
    int r = sl_tls_init(err);
    if (r == 0) {
        r = sl_roots_store(&store, err);
        if (r < 0 && gw->upstream_pem != NULL) {
            store = X509_STORE_new(); /* no system roots: the user's own alone */
            r = store == NULL ? sl_error_set(err, ENOMEM, "no memory for certificates") : 0;
        }
    }
    if (r == 0 && gw->upstream_pem != NULL) {
        r = sl_tls_store_add_pem(store, gw->upstream_pem, gw->upstream_pem_len, err);
    }
    if (r == 0) {
        r = sl_tls_client_ctx(store, &gw->client_ctx, err);
    }
    SL_TRACE(SL_TRACE_TLS, "the roots that upstreams are verified with: %s%s",
             r < 0 ? err->message : "read",
             gw->upstream_pem != NULL ? ", with those of the user" : "");
    X509_STORE_free(store);
    return r;
}
