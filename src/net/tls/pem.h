/* Certificates in PEM text, one after the other. */
#ifndef SANDLOCK_NET_TLS_PEM_H
#define SANDLOCK_NET_TLS_PEM_H

#include <stdbool.h>
#include <stddef.h>

#define SL_PEM_BEGIN "-----BEGIN CERTIFICATE-----"
#define SL_PEM_END   "-----END CERTIFICATE-----"

/* The next certificate in [*text, end): its base64 lines. False when there is none. `*text` moves
 * behind it. */
bool sl_pem_next(const char **text, const char *end, const char **ret_body, size_t *ret_len);

#endif
