/* What the first bytes of a flow are, without a TLS library (RFC 8446 section 4.1.2). Pure. */
#ifndef SANDLOCK_NET_SNIFF_H
#define SANDLOCK_NET_SNIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sl_sniff_kind {
    SL_SNIFF_MORE,  /* cannot tell yet */
    SL_SNIFF_TLS,   /* a complete ClientHello was read */
    SL_SNIFF_HTTP1, /* a method token and a space */
    SL_SNIFF_HTTP2, /* the preface of RFC 9113 section 3.4 */
    SL_SNIFF_OTHER, /* anything else */
    SL_SNIFF_BAD,   /* TLS that may not pass: malformed, over 16 KiB, SNI not a host name */
};

#define SL_SNIFF_ALPN_MAX 256

typedef struct sl_client_hello {
    bool has_sni;
    char sni[254];        /* lower case, no trailing dot; a valid host name, or an address */
    bool sni_is_addr;     /* an IP literal as SNI (RFC 6066 section 3 forbids it) */
    bool has_ech;         /* encrypted_client_hello (0xfe0d) or its forerunner may hide a name.
                             Clients also send it empty of meaning (GREASE): it cannot be told */
    uint16_t version_max; /* highest version offered */
    size_t alpn_len;      /* wire form of the protocol list */
    uint8_t alpn[SL_SNIFF_ALPN_MAX];
} sl_client_hello;

#define SL_SNIFF_MAX 16704 /* the most bytes ever needed before a decision */

/* `data` is everything since the flow began. `ret_hello` may be NULL; it is filled for
 * SL_SNIFF_TLS, and for SL_SNIFF_BAD says by has_sni that the name is what is wrong. Never
 * SL_SNIFF_MORE from SL_SNIFF_MAX bytes on. */
enum sl_sniff_kind sl_sniff(const uint8_t *data, size_t len, sl_client_hello *ret_hello);

#endif
