/* Owns the DNS wire format, both ways, as far as a responder needs it. Never follows a compression
 * pointer: a query has no reason to carry one, so a loop cannot exist. Never allocates. */
#include "net/dns/dnsmsg.h"

#include <errno.h>
#include <string.h>

#include "net/hostname_int.h"

#define HEADER_LEN     12
#define NAME_WIRE_MAX  255 /* RFC 1035 section 3.1 */
#define ADDITIONAL_MAX 8   /* one OPT is usual, a TSIG or SIG(0) possible */
#define TYPE_OPT       41
#define EDNS_PAYLOAD   1232 /* the size that fits everywhere (DNS flag day 2020) */
#define TTL_S          60   /* short, since a run is; long enough for a resolver's own cache */

#define FLAG_QR     0x8000
#define FLAG_OPCODE 0x7800
#define FLAG_RD     0x0100
#define FLAG_RA     0x0080
#define FLAG_CD     0x0010

struct reader {
    const uint8_t *data;
    size_t len;
    size_t off;
};

static int read_u16(struct reader *r, uint16_t *ret)
{
    if (r->len - r->off < 2) {
        return -EBADMSG;
    }
    *ret = (uint16_t)(r->data[r->off] << 8 | r->data[r->off + 1]);
    r->off += 2;
    return 0;
}

/* Walks one uncompressed name. A dot or NUL inside a label would make the text form ambiguous, so
 * the whole message is malformed (SECURITY: a name is judged as text, and the text must be it). */
static int read_name(struct reader *r, uint8_t text[NAME_WIRE_MAX], size_t *ret_len)
{
    size_t start = r->off;
    size_t len = 0;
    for (;;) {
        if (r->off >= r->len) {
            return -EBADMSG;
        }
        uint8_t label = r->data[r->off++];
        /* 0x40, 0x80 and 0xc0 are extended labels and pointers (RFC 1035 section 4.1.4). */
        if (label > 63 || label > r->len - r->off || r->off - start + label > NAME_WIRE_MAX) {
            return -EBADMSG;
        }
        if (label == 0) {
            *ret_len = len;
            return 0;
        }
        if (len > 0) {
            text[len++] = '.';
        }
        const uint8_t *bytes = r->data + r->off;
        if (memchr(bytes, '.', label) != NULL || memchr(bytes, '\0', label) != NULL) {
            return -EBADMSG;
        }
        memcpy(text + len, bytes, label);
        len += label;
        r->off += label;
    }
}

/* RFC 6891 section 6.1.1: at most one OPT, owned by the root. */
static int read_additional(struct reader *r, sl_dnsmsg_query *query)
{
    uint8_t owner[NAME_WIRE_MAX];
    size_t owner_len;
    uint16_t type;
    uint16_t class;
    uint16_t ttl_high;
    uint16_t ttl_low;
    uint16_t rdlen;
    int rc = read_name(r, owner, &owner_len);
    if (rc < 0 || read_u16(r, &type) < 0 || read_u16(r, &class) < 0 || read_u16(r, &ttl_high) < 0 ||
        read_u16(r, &ttl_low) < 0 || read_u16(r, &rdlen) < 0 || r->len - r->off < rdlen) {
        return -EBADMSG;
    }
    r->off += rdlen;
    if (type == TYPE_OPT) {
        if (query->edns || owner_len != 0) {
            return -EBADMSG;
        }
        query->edns = true;
        query->edns_version = (uint8_t)(ttl_high & 0xff);
    }
    return 0;
}

static int read_question(struct reader *r, sl_dnsmsg_query *query)
{
    uint8_t text[NAME_WIRE_MAX];
    size_t text_len;
    size_t start = r->off;
    int rc = read_name(r, text, &text_len);
    if (rc < 0 || read_u16(r, &query->qtype) < 0 || read_u16(r, &query->qclass) < 0) {
        return -EBADMSG;
    }
    query->question = r->data + start;
    query->question_len = r->off - start;
    query->name_ok = sl_hostname_copy(text, text_len, query->name) == 0;
    return 0;
}

static int read_body(struct reader *r, sl_dnsmsg_query *query)
{
    uint16_t counts[4]; /* questions, answers, authorities, additional records */
    for (size_t i = 0; i < 4; i++) {
        if (read_u16(r, &counts[i]) < 0) {
            return -EBADMSG;
        }
    }
    if (counts[0] != 1 || counts[1] != 0 || counts[2] != 0 || counts[3] > ADDITIONAL_MAX) {
        return -EBADMSG;
    }
    int rc = read_question(r, query);
    for (size_t i = 0; rc == 0 && i < counts[3]; i++) {
        rc = read_additional(r, query);
    }
    return rc == 0 && r->off != r->len ? -EBADMSG : rc;
}

int sl_dnsmsg_parse(const uint8_t *data, size_t len, sl_dnsmsg_query *ret_query)
{
    struct reader r = {.data = data, .len = len};
    sl_dnsmsg_query query = {0};
    if (len < HEADER_LEN || read_u16(&r, &query.id) < 0 || read_u16(&r, &query.flags) < 0 ||
        (query.flags & FLAG_QR) != 0) {
        return -EINVAL;
    }
    int rc = (query.flags & FLAG_OPCODE) != 0 ? -EOPNOTSUPP : read_body(&r, &query);
    if (rc < 0) {
        query = (sl_dnsmsg_query){.id = query.id, .flags = query.flags};
    }
    *ret_query = query;
    return rc;
}

static uint8_t *put_u16(uint8_t *p, unsigned value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
    return p + 2;
}

static uint8_t *put_addr(uint8_t *p, const sl_addr *addr)
{
    unsigned len = addr->family == 4 ? 4 : 16;
    p = put_u16(p, 0xc000 | HEADER_LEN); /* the owner: the name in the question */
    p = put_u16(p, addr->family == 4 ? SL_DNSMSG_TYPE_A : SL_DNSMSG_TYPE_AAAA);
    p = put_u16(p, SL_DNSMSG_CLASS_IN);
    p = put_u16(p, 0);
    p = put_u16(p, TTL_S);
    p = put_u16(p, len);
    memcpy(p, addr->bytes, len);
    return p + len;
}

size_t sl_dnsmsg_answer(const sl_dnsmsg_query *query, enum sl_dnsmsg_rcode rcode,
                        const sl_addr *addr, uint8_t out[SL_DNSMSG_MAX])
{
    /* A version we do not speak: BADVERS, 16, whose upper bits are in the OPT (RFC 6891 6.1.3). */
    bool badvers = query->edns && query->edns_version != 0;
    bool has_addr = addr != NULL && rcode == SL_DNS_NOERROR && !badvers && query->question_len > 0;
    unsigned flags = FLAG_QR | FLAG_RA | (query->flags & (FLAG_OPCODE | FLAG_RD | FLAG_CD));
    uint8_t *p = out;
    p = put_u16(p, query->id);
    p = put_u16(p, flags | (badvers ? 0 : (unsigned)rcode));
    p = put_u16(p, query->question_len > 0 ? 1 : 0);
    p = put_u16(p, has_addr ? 1 : 0);
    p = put_u16(p, 0);
    p = put_u16(p, query->edns ? 1 : 0);
    /* The question as it came: its letter case is the asker's own check (DNS 0x20). */
    if (query->question_len > 0) {
        memcpy(p, query->question, query->question_len);
        p += query->question_len;
    }
    if (has_addr) {
        p = put_addr(p, addr);
    }
    if (query->edns) {
        *p++ = 0;
        p = put_u16(p, TYPE_OPT);
        p = put_u16(p, EDNS_PAYLOAD);
        p = put_u16(p, badvers ? 0x0100 : 0);
        p = put_u16(p, 0);
        p = put_u16(p, 0);
    }
    return (size_t)(p - out);
}
