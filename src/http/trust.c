/* Owns the making of the run's TLS identities: the CA, what makes a child believe it, and the
 * contexts for both directions. Never gives the CA key to anybody. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/fd.h"
#include "core/trace.h"
#include "http/gateway_int.h"
#include "net/tls/bundle.h"
#include "net/tls/roots.h"
#include "net/tls/tls.h"
#include "policy/verdict.h"

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

/* ---- the trust artefacts ---- */

static int make_ca(const sl_gateway *gw, const char *user, size_t user_len, sl_buf *out,
                   sl_error *err)
{
    (void)user;
    (void)user_len;
    int r = sl_buf_append_str(out, sl_ca_pem(gw->ca));
    return r < 0 ? sl_error_set(err, -r, "no memory for certificates") : 0;
}

/* What the user had set, the system's, ours; or, for who meets nobody but us, as little as will do:
 * clients read a system's roots for longer than all that stands in between takes. */
static int make_bundle(const sl_gateway *gw, const char *user, size_t user_len, sl_buf *out,
                       sl_error *err)
{
    if (sl_policy_owns_trust(gw->policy)) {
        return sl_bundle_make_own(user, user_len, sl_ca_pem(gw->ca), out, err);
    }
    if (user_len > 0) { /* its certificates: a key beside them is not for the child */
        int r = sl_bundle_add_pem(out, user, user_len);
        if (r < 0) {
            return r;
        }
    }
    return sl_bundle_make(NULL, 0, sl_ca_pem(gw->ca), out, err);
}

/* Fills `out` with the content of one. */
static int (*const makers[SL_ARTEFACTS])(const sl_gateway *gw, const char *user, size_t user_len,
                                         sl_buf *out, sl_error *err) = {
    [SL_ARTEFACT_CA] = make_ca,
    [SL_ARTEFACT_BUNDLE] = make_bundle,
};

static int make_memfd(sl_gateway *gw, enum sl_artefact artefact, const char *user, size_t user_len,
                      int *ret_fd, sl_error *err)
{
    char name[32];
    sl_buf out;
    snprintf(name, sizeof(name), "sandlock-%s", sl_artefact_name(artefact));
    sl_buf_init(&out, SL_BUNDLE_MAX + SL_LINK_PEM_MAX);
    int r = makers[artefact](gw, user, user_len, &out, err);
    if (r == 0) {
        *ret_fd = sl_fd_memfd(name, sl_buf_head(&out), out.len);
        r = *ret_fd < 0 ? sl_error_set(err, EMFILE, "no descriptor for certificates") : 0;
    }
    sl_buf_done(&out);
    return r;
}

int sl_trust_artefacts(sl_gateway *gw, const char *user, size_t user_len, int fds[SL_ARTEFACTS],
                       sl_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < SL_ARTEFACTS; i++) {
        r = make_memfd(gw, (enum sl_artefact)i, user, user_len, &fds[i], err);
    }
    return r;
}
