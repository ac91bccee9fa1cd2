/* What the files of this room alone share. */
#ifndef SANDLOCK_HTTP_GATEWAY_INT_H
#define SANDLOCK_HTTP_GATEWAY_INT_H

#include "http/flow.h"
#include "http/gateway.h"
#include "http/upstream.h"

extern const sl_protocol sl_protocol_sniff;
extern const sl_protocol sl_protocol_shake;
extern const sl_protocol sl_protocol_tunnel;

/* trust.c */
int sl_trust_make(sl_gateway *gw, const char *cert, size_t cert_len, const char *key,
                  size_t key_len, sl_error *err);
int sl_trust_client_ctx(sl_gateway *gw, sl_error *err);
/* Makes every trust artefact as a sealed memfd; `user` is PEM of what the child believed before.
 * What is made at a failure is in `fds` too, the caller's. */
int sl_trust_artefacts(sl_gateway *gw, const char *user, size_t user_len, int fds[SL_ARTEFACTS],
                       sl_error *err);

/* confine.c: no exec, no fork, no writes, few reads. Before any byte of the child is looked at. */
int sl_confine_self(sl_error *err);

#endif
