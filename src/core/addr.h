/* IP addresses as values: one form for both families, parsed strictly, classified, printed. */
#ifndef SANDLOCK_CORE_ADDR_H
#define SANDLOCK_CORE_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define SL_ADDR_STR_MAX 72 /* "[v6%scope]:65535" and the terminator */

/* An address in canonical form. IPv4-mapped IPv6 (::ffff:a.b.c.d) is always stored as IPv4. */
typedef struct sl_addr {
    uint8_t family;    /* 4, 6, or 0 for none */
    uint8_t bytes[16]; /* network order; IPv4 in the first four */
    uint32_t scope;    /* IPv6 zone index, 0 for none */
} sl_addr;

typedef struct sl_cidr {
    sl_addr addr;
    uint8_t prefix; /* bits, 0..32 or 0..128 */
} sl_cidr;

/* The sets a rule may name. A bit mask: an address can be in several. */
enum sl_addr_class {
    SL_ADDR_LOOPBACK = 1 << 0,   /* 127/8, ::1, 0.0.0.0, :: (which reach this host) */
    SL_ADDR_PRIVATE = 1 << 1,    /* RFC 1918, 100.64/10, fc00::/7 */
    SL_ADDR_LINK_LOCAL = 1 << 2, /* 169.254/16, fe80::/10 */
    SL_ADDR_METADATA = 1 << 3,   /* 169.254.169.254, 169.254.170.2, fd00:ec2::254... */
    SL_ADDR_PUBLIC = 1 << 4,     /* none of the above, nor multicast, broadcast or reserved */
    SL_ADDR_SPECIAL = 1 << 5,    /* multicast, broadcast, reserved, 198.18/15, documentation ... */
};

/* Strict parse of "a.b.c.d" (four decimal numbers, no leading zero) or IPv6 text, optionally in
 * brackets and with %scope (a zone number). 0 or -EINVAL; `ret` untouched on failure. */
int sl_addr_parse(const char *text, sl_addr *ret);

/* True when the text looks like an attempt at a numeric address that sl_addr_parse refuses
 * (octal, hex, short or single-number IPv4: "010.0.0.1", "0x7f.1", "2130706433", "127.1"). */
bool sl_addr_looks_numeric(const char *text);

/* "addr/prefix" or "addr". Bits below the prefix must be zero. 0 or -EINVAL. */
int sl_cidr_parse(const char *text, sl_cidr *ret);
bool sl_cidr_contains(const sl_cidr *cidr, const sl_addr *addr);

/* The same address. An address without a scope equals the one with any. */
bool sl_addr_equal(const sl_addr *a, const sl_addr *b);

/* Mask of enum sl_addr_class. IPv6 forms that embed an IPv4 address (64:ff9b::/96 RFC 6052,
 * 2002::/16 RFC 3056, ::a.b.c.d) have the classes of both. */
unsigned sl_addr_classify(const sl_addr *addr);

/* Multicast, or the IPv4 limited broadcast: one packet, many receivers. */
bool sl_addr_is_multicast(const sl_addr *addr);

/* If `addr` is an IPv6 form that embeds an IPv4 address (64:ff9b::/96, 2002::/16, ::a.b.c.d),
 * gives it and returns true. A verdict must look at both. */
bool sl_addr_embedded_v4(const sl_addr *addr, sl_addr *ret_v4);

/* From and to the kernel's form. `sl_addr_from_sockaddr` reads no more than `len` bytes;
 * -EINVAL if too short, -EAFNOSUPPORT if not AF_INET/AF_INET6. */
int sl_addr_from_sockaddr(const void *sa, socklen_t len, sl_addr *ret_addr, uint16_t *ret_port);
/* Writes a sockaddr of family `af` (AF_INET, or AF_INET6 with IPv4 as v4-mapped) and returns its
 * length; 0 when an IPv6 address is asked for as AF_INET. */
socklen_t sl_addr_to_sockaddr(const sl_addr *addr, uint16_t port, int af,
                              struct sockaddr_storage *ret);

/* "192.0.2.1", "2001:db8::1" (no brackets). Returns `out`. */
const char *sl_addr_format(const sl_addr *addr, char out[SL_ADDR_STR_MAX]);

#endif
