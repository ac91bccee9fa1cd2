/* The DNS server that the child sees: one object for all responder sockets.
 *
 * Each socket is connected to one socket of the child. Answers come from a callback; nothing is
 * ever asked upstream (DNS carries no data out). A and AAAA -> the synthetic addresses, every
 * other type -> empty, refused names -> NXDOMAIN, malformed -> FORMERR or silence. */
#ifndef SANDLOCK_NET_DNS_RESPONDER_H
#define SANDLOCK_NET_DNS_RESPONDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/addr.h"

#define SL_RESPONDER_SOCKETS_MAX    1024  /* the longest idle is closed for a new one */
#define SL_RESPONDER_STREAM_IDLE_MS 10000 /* RFC 7766 section 6.2.3 */

enum sl_dns_answer {
    SL_DNS_ADDRESS,  /* an A record and an AAAA record */
    SL_DNS_LOOPBACK, /* localhost: 127.0.0.1 and ::1 */
    SL_DNS_NXDOMAIN,
    SL_DNS_SERVFAIL,
};

typedef struct sl_responder sl_responder;

/* `name` is a normalised host name. `tag` is what was given with the socket (who asks).
 * `addresses`: an A or AAAA record is asked for; other types are empty, whatever the callback says,
 * unless the name does not exist. */
typedef enum sl_dns_answer (*sl_responder_cb)(void *arg, void *tag, const char *name,
                                              bool addresses, sl_addr *ret_v4, sl_addr *ret_v6);

sl_responder *sl_responder_new(uv_loop_t *loop, sl_responder_cb cb, void *arg);
void sl_responder_free(sl_responder *responder);

/* How long a TCP connection may go without a complete query; the default is
 * SL_RESPONDER_STREAM_IDLE_MS. For tests. */
void sl_responder_set_stream_idle(sl_responder *responder, uint64_t idle_ms);

/* How many sockets are served now. */
size_t sl_responder_count(const sl_responder *responder);

/* Serves `fd` (taken over, also on failure). `tag` is freed with free() when the socket goes. */
int sl_responder_add(sl_responder *responder, int fd, bool stream, void *tag);

#endif
