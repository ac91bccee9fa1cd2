/* DNS messages as bytes (RFC 1035 section 4): parse one query, write one answer. Holds nothing. */
#ifndef SANDLOCK_NET_DNS_DNSMSG_H
#define SANDLOCK_NET_DNS_DNSMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/addr.h"

#define SL_DNSMSG_NAME_MAX 254
#define SL_DNSMSG_MAX      512 /* our answers never need more */

#define SL_DNSMSG_TYPE_A    1
#define SL_DNSMSG_TYPE_AAAA 28
#define SL_DNSMSG_CLASS_IN  1

enum sl_dnsmsg_rcode {
    SL_DNS_NOERROR = 0,
    SL_DNS_FORMERR = 1,
    SL_DNS_FAIL = 2,
    SL_DNS_NXNAME = 3,
    SL_DNS_NOTIMP = 4,
    SL_DNS_REFUSED = 5
};

typedef struct sl_dnsmsg_query {
    uint16_t id;
    uint16_t flags;
    uint16_t qtype;
    uint16_t qclass;
    bool edns;                     /* an OPT record came along (RFC 6891) */
    uint8_t edns_version;          /* other than 0: the answer is BADVERS, whatever else is asked */
    bool name_ok;                  /* the labels form a host name; false: answer NXDOMAIN */
    char name[SL_DNSMSG_NAME_MAX]; /* lower case, no trailing dot */
    size_t question_len;           /* bytes of the question as sent, which the answer repeats */
    const uint8_t *question;
} sl_dnsmsg_query;

/* 0; -EBADMSG: answer FORMERR; -EOPNOTSUPP: an opcode other than QUERY, answer NOTIMP (in both
 * cases id and flags are set, and there is no question to repeat); -EINVAL: drop it (too short, or
 * itself a response). */
int sl_dnsmsg_parse(const uint8_t *data, size_t len, sl_dnsmsg_query *ret_query);

/* Writes the answer with at most one address record (addr NULL: none). Returns its length. */
size_t sl_dnsmsg_answer(const sl_dnsmsg_query *query, enum sl_dnsmsg_rcode rcode,
                        const sl_addr *addr, uint8_t out[SL_DNSMSG_MAX]);

#endif
