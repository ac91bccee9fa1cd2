/* Owns addresses as values: parsing, classes, printing. Never resolves a name, never guesses what a
 * malformed address meant. */
#include "core/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/num.h"
#include "core/util.h"

#define ADDR_TEXT_MAX 64 /* "[v6%4294967295]" fits */

/* Four decimal numbers: inet_aton(3)'s octal, hex and short forms are how filters get fooled
 * (CVE-2021-29921). */
static int parse_v4(const char *text, size_t len, uint8_t out[4])
{
    for (int i = 0; i < 4; i++) {
        const char *dot = memchr(text, '.', len);
        size_t n = dot == NULL ? len : (size_t)(dot - text);
        uint64_t value;
        if ((i == 3) != (dot == NULL) || sl_num_parse_plain(text, n, 255, &value) < 0) {
            return -EINVAL;
        }
        out[i] = (uint8_t)value;
        text += i == 3 ? n : n + 1;
        len -= i == 3 ? n : n + 1;
    }
    return 0;
}

static bool is_mapped(const uint8_t bytes[16])
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return memcmp(bytes, prefix, sizeof(prefix)) == 0;
}

/* RFC 4291 section 2.5.5.2: a mapped address is the IPv4 one. */
static void set_v6(sl_addr *addr, const uint8_t bytes[16], uint32_t scope)
{
    *addr = (sl_addr){0};
    if (is_mapped(bytes)) {
        addr->family = 4;
        memcpy(addr->bytes, bytes + 12, 4);
        return;
    }
    addr->family = 6;
    addr->scope = scope;
    memcpy(addr->bytes, bytes, 16);
}

static int parse_v6(const char *text, size_t len, sl_addr *ret)
{
    char copy[ADDR_TEXT_MAX];
    uint8_t bytes[16];
    uint64_t scope = 0;
    const char *percent = memchr(text, '%', len);
    if (percent != NULL) { /* RFC 4007 section 11.2; zones by number, names differ by host */
        size_t at = (size_t)(percent - text);
        if (sl_num_parse_plain(percent + 1, len - at - 1, UINT32_MAX, &scope) < 0 || scope == 0) {
            return -EINVAL;
        }
        len = at;
    }
    if (len >= sizeof(copy)) {
        return -EINVAL;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    const char *dot = strchr(copy, '.');
    if (dot != NULL) { /* the dotted tail must be strict too, whatever the C library thinks */
        const char *tail = strrchr(copy, ':');
        uint8_t v4[4];
        if (tail == NULL || tail > dot || parse_v4(tail + 1, strlen(tail + 1), v4) < 0) {
            return -EINVAL;
        }
    }
    if (inet_pton(AF_INET6, copy, bytes) != 1 || (scope != 0 && is_mapped(bytes))) {
        return -EINVAL;
    }
    set_v6(ret, bytes, (uint32_t)scope);
    return 0;
}

int sl_addr_parse(const char *text, sl_addr *ret)
{
    size_t len = strlen(text);
    uint8_t v4[4];
    if (len == 0 || len >= ADDR_TEXT_MAX) {
        return -EINVAL;
    }
    if (text[0] == '[') {
        if (len < 2 || text[len - 1] != ']') {
            return -EINVAL;
        }
        return parse_v6(text + 1, len - 2, ret);
    }
    if (memchr(text, ':', len) != NULL) {
        return parse_v6(text, len, ret);
    }
    if (parse_v4(text, len, v4) < 0) {
        return -EINVAL;
    }
    *ret = (sl_addr){.family = 4};
    memcpy(ret->bytes, v4, 4);
    return 0;
}

/* The URL standard's test: a host whose last label is a number is an attempt at IPv4. */
bool sl_addr_looks_numeric(const char *text)
{
    sl_addr addr;
    size_t len = strlen(text);
    if (sl_addr_parse(text, &addr) == 0) {
        return false;
    }
    if (len > 0 && text[len - 1] == '.') {
        len--;
    }
    size_t start = len;
    while (start > 0 && text[start - 1] != '.') {
        start--;
    }
    const char *label = text + start;
    size_t n = len - start;
    if (n == 0) {
        return false;
    }
    if (n >= 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X')) {
        return strspn(label + 2, "0123456789abcdefABCDEF") >= n - 2;
    }
    return strspn(label, "0123456789") >= n;
}

static unsigned addr_bits(const sl_addr *addr)
{
    return addr->family == 4 ? 32 : 128;
}

static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    if (memcmp(a, b, bits / 8) != 0) {
        return false;
    }
    unsigned rest = bits % 8;
    uint8_t mask = (uint8_t)(0xff00u >> rest);
    return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) & mask) == 0;
}

static bool low_bits_zero(const sl_addr *addr, unsigned prefix)
{
    for (unsigned i = prefix; i < addr_bits(addr); i++) {
        if ((addr->bytes[i / 8] & (0x80u >> (i % 8))) != 0) {
            return false;
        }
    }
    return true;
}

int sl_cidr_parse(const char *text, sl_cidr *ret)
{
    sl_cidr cidr;
    const char *slash = strchr(text, '/');
    char host[ADDR_TEXT_MAX];
    size_t n = slash == NULL ? strlen(text) : (size_t)(slash - text);
    if (n >= sizeof(host)) {
        return -EINVAL;
    }
    memcpy(host, text, n);
    host[n] = '\0';
    if (sl_addr_parse(host, &cidr.addr) < 0) {
        return -EINVAL;
    }
    uint64_t prefix = addr_bits(&cidr.addr);
    if (slash != NULL) {
        bool mapped = cidr.addr.family == 4 && memchr(host, ':', n) != NULL;
        if (sl_num_parse_plain(slash + 1, strlen(slash + 1), mapped ? 128 : prefix, &prefix) < 0 ||
            (mapped && prefix < 96)) {
            return -EINVAL;
        }
        prefix -= mapped ? 96 : 0;
    }
    if (!low_bits_zero(&cidr.addr, (unsigned)prefix)) {
        return -EINVAL;
    }
    cidr.prefix = (uint8_t)prefix;
    *ret = cidr;
    return 0;
}

static bool scope_agrees(const sl_addr *a, const sl_addr *b)
{
    return a->scope == 0 || b->scope == 0 || a->scope == b->scope;
}

bool sl_cidr_contains(const sl_cidr *cidr, const sl_addr *addr)
{
    return addr->family != 0 && cidr->addr.family == addr->family &&
           scope_agrees(&cidr->addr, addr) &&
           bits_equal(cidr->addr.bytes, addr->bytes, cidr->prefix);
}

bool sl_addr_equal(const sl_addr *a, const sl_addr *b)
{
    return a->family != 0 && a->family == b->family && scope_agrees(a, b) &&
           memcmp(a->bytes, b->bytes, addr_bits(a) / 8) == 0;
}

struct range {
    uint8_t bytes[16];
    uint8_t prefix;
    uint8_t classes;
};

/* RFC 6890 and the IANA special-purpose registries. An address has the classes of every row it is
 * in; none: PUBLIC. */
static const struct range ranges_v4[] = {
    {{127}, 8, SL_ADDR_LOOPBACK},
    {{0}, 32, SL_ADDR_LOOPBACK}, /* Linux connects 0.0.0.0 to this host */
    {{0}, 8, SL_ADDR_SPECIAL},
    {{10}, 8, SL_ADDR_PRIVATE},
    {{172, 16}, 12, SL_ADDR_PRIVATE},
    {{192, 168}, 16, SL_ADDR_PRIVATE},
    {{100, 64}, 10, SL_ADDR_PRIVATE},
    {{169, 254}, 16, SL_ADDR_LINK_LOCAL},
    {{169, 254, 169, 254}, 32, SL_ADDR_METADATA}, /* AWS, Azure, GCP, OpenStack... */
    {{169, 254, 169, 253}, 32, SL_ADDR_METADATA}, /* AWS resolver */
    {{169, 254, 170, 2}, 32, SL_ADDR_METADATA},   /* ECS task credentials */
    {{169, 254, 170, 23}, 32, SL_ADDR_METADATA},  /* EKS pod identity */
    {{100, 100, 100, 200}, 32, SL_ADDR_METADATA}, /* Alibaba */
    {{192, 0, 0, 192}, 32, SL_ADDR_METADATA},     /* Oracle */
    {{168, 63, 129, 16}, 32, SL_ADDR_METADATA},   /* Azure wire server */
    {{192, 0, 0}, 24, SL_ADDR_SPECIAL},
    {{192, 0, 2}, 24, SL_ADDR_SPECIAL},
    {{192, 88, 99}, 24, SL_ADDR_SPECIAL},
    {{198, 18}, 15, SL_ADDR_SPECIAL},
    {{198, 51, 100}, 24, SL_ADDR_SPECIAL},
    {{203, 0, 113}, 24, SL_ADDR_SPECIAL},
    {{224}, 4, SL_ADDR_SPECIAL},
    {{240}, 4, SL_ADDR_SPECIAL},
};

static const struct range ranges_v6[] = {
    {{[15] = 1}, 128, SL_ADDR_LOOPBACK},
    {{0}, 128, SL_ADDR_LOOPBACK}, /* connect to :: reaches this host */
    {{0}, 8, SL_ADDR_SPECIAL},
    {{0xfc}, 7, SL_ADDR_PRIVATE},
    {{0xfe, 0x80}, 10, SL_ADDR_LINK_LOCAL},
    {{0xfe, 0xc0}, 10, SL_ADDR_PRIVATE},                                  /* site-local, RFC 3879 */
    {{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54}, 128, SL_ADDR_METADATA}, /* AWS */
    {{0xfd, 0x00, 0x0e, 0xc2, [15] = 0x23}, 128, SL_ADDR_METADATA},       /* EKS pod identity */
    {{0xfd, 0x20, 0x00, 0xce, [14] = 0x02, 0x54}, 128, SL_ADDR_METADATA}, /* GCP */
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, SL_ADDR_SPECIAL},          /* RFC 8215 */
    {{0x01}, 64, SL_ADDR_SPECIAL},                                        /* RFC 6666 discard */
    {{0x20, 0x01}, 23, SL_ADDR_SPECIAL},             /* RFC 2928, Teredo among them */
    {{0x20, 0x01, 0x0d, 0xb8}, 32, SL_ADDR_SPECIAL}, /* documentation */
    {{0x3f, 0xff}, 20, SL_ADDR_SPECIAL},             /* RFC 9637 documentation */
    {{0x5f, 0x00}, 16, SL_ADDR_SPECIAL},             /* RFC 9602 */
    {{0xff}, 8, SL_ADDR_SPECIAL},
};

bool sl_addr_embedded_v4(const sl_addr *addr, sl_addr *ret_v4)
{
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    static const uint8_t zero[12];
    const uint8_t *b = addr->bytes;
    const uint8_t *v4 = NULL;
    if (addr->family != 6) {
        return false;
    }
    if (memcmp(b, nat64, sizeof(nat64)) == 0) {
        v4 = b + 12;
    } else if (b[0] == 0x20 && b[1] == 0x02) {
        v4 = b + 2;
    } else if (memcmp(b, zero, sizeof(zero)) == 0 && (b[12] | b[13]) != 0) {
        v4 = b + 12; /* IPv4-compatible, RFC 4291 section 2.5.5.1; not :: nor ::1 */
    }
    if (v4 == NULL) {
        return false;
    }
    *ret_v4 = (sl_addr){.family = 4};
    memcpy(ret_v4->bytes, v4, 4);
    return true;
}

static unsigned classify_in(const struct range *ranges, size_t count, const sl_addr *addr)
{
    unsigned classes = 0;
    for (size_t i = 0; i < count; i++) {
        if (bits_equal(ranges[i].bytes, addr->bytes, ranges[i].prefix)) {
            classes |= ranges[i].classes;
        }
    }
    return classes;
}

unsigned sl_addr_classify(const sl_addr *addr)
{
    if (addr->family == 4) {
        unsigned classes = classify_in(ranges_v4, SL_ARRAY_LEN(ranges_v4), addr);
        return classes == 0 ? SL_ADDR_PUBLIC : classes;
    }
    if (addr->family != 6) {
        return 0;
    }
    sl_addr v4;
    if (sl_addr_embedded_v4(addr, &v4)) {
        /* The translator's prefix is no class of its own: what counts is where it leads. */
        return sl_addr_classify(&v4) |
               (addr->bytes[0] == 0 && addr->bytes[1] == 0 ? SL_ADDR_SPECIAL : 0);
    }
    unsigned classes = classify_in(ranges_v6, SL_ARRAY_LEN(ranges_v6), addr);
    return classes == 0 ? SL_ADDR_PUBLIC : classes;
}

bool sl_addr_is_multicast(const sl_addr *addr)
{
    static const uint8_t broadcast[4] = {255, 255, 255, 255};
    if (addr->family == 4) {
        return (addr->bytes[0] & 0xf0) == 0xe0 || memcmp(addr->bytes, broadcast, 4) == 0;
    }
    return addr->family == 6 && addr->bytes[0] == 0xff;
}

int sl_addr_from_sockaddr(const void *sa, socklen_t len, sl_addr *ret_addr, uint16_t *ret_port)
{
    sa_family_t family;
    if (len < sizeof(family)) {
        return -EINVAL;
    }
    memcpy(&family, sa, sizeof(family));
    if (family == AF_INET) {
        struct sockaddr_in in;
        if (len < sizeof(in)) {
            return -EINVAL;
        }
        memcpy(&in, sa, sizeof(in));
        *ret_addr = (sl_addr){.family = 4};
        memcpy(ret_addr->bytes, &in.sin_addr, 4);
        *ret_port = ntohs(in.sin_port);
        return 0;
    }
    if (family == AF_INET6) {
        struct sockaddr_in6 in6;
        /* The kernel takes the shorter RFC 2133 form too, without a scope (ipv6(7)). */
        if (len < offsetof(struct sockaddr_in6, sin6_scope_id)) {
            return -EINVAL;
        }
        memset(&in6, 0, sizeof(in6));
        memcpy(&in6, sa, SL_MIN((size_t)len, sizeof(in6)));
        set_v6(ret_addr, in6.sin6_addr.s6_addr, len >= sizeof(in6) ? in6.sin6_scope_id : 0);
        *ret_port = ntohs(in6.sin6_port);
        return 0;
    }
    return -EAFNOSUPPORT;
}

socklen_t sl_addr_to_sockaddr(const sl_addr *addr, uint16_t port, int af,
                              struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (af == AF_INET && addr->family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)ret;
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, addr->bytes, 4);
        return sizeof(*in);
    }
    if (af == AF_INET6 && (addr->family == 4 || addr->family == 6)) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        if (addr->family == 4) {
            in6->sin6_addr.s6_addr[10] = 0xff;
            in6->sin6_addr.s6_addr[11] = 0xff;
            memcpy(in6->sin6_addr.s6_addr + 12, addr->bytes, 4);
        } else {
            memcpy(in6->sin6_addr.s6_addr, addr->bytes, 16);
            in6->sin6_scope_id = addr->scope;
        }
        return sizeof(*in6);
    }
    return 0;
}

const char *sl_addr_format(const sl_addr *addr, char out[SL_ADDR_STR_MAX])
{
    out[0] = '\0';
    if (addr->family == 4 || addr->family == 6) {
        (void)inet_ntop(addr->family == 4 ? AF_INET : AF_INET6, addr->bytes, out, SL_ADDR_STR_MAX);
    }
    if (addr->scope != 0) {
        size_t n = strlen(out);
        snprintf(out + n, SL_ADDR_STR_MAX - n, "%%%u", addr->scope);
    }
    return out;
}
