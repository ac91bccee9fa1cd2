/* VERB HOST PORT [HOST PORT]: one way each of reaching a destination, with the second one as the
 * allowed destination where the trick needs one. Sends "x" where the call sends. */
#include "attack.h"

#include <linux/filter.h>
#include <net/if.h>
#include <sys/uio.h>

#define TCP_FASTOPEN_NO_COOKIE_ 34

static int tcp_connect(place *to, int protocol)
{
    int fd = socket(family_of(to), SOCK_STREAM, protocol);
    return fd < 0 ? report("socket", fd) : report("connect", connect(fd, place_sa(to), to->len));
}

static int fastopen(place *to, bool message)
{
    int fd = socket(family_of(to), SOCK_STREAM, 0);
    struct iovec iov = {"x", 1};
    struct msghdr msg = {
        .msg_name = place_sa(to), .msg_namelen = to->len, .msg_iov = &iov, .msg_iovlen = 1};
    return report("send", message ? sendmsg(fd, &msg, MSG_FASTOPEN)
                                  : sendto(fd, "x", 1, MSG_FASTOPEN, place_sa(to), to->len));
}

static int fastopen_connect(place *to)
{
    int fd = socket(family_of(to), SOCK_STREAM, 0);
    int one = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one))) {
        return report("fastopen_connect", -1);
    }
    if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE_, &one, sizeof(one))) {
        return report("fastopen_no_cookie", -1);
    }
    report("connect", connect(fd, place_sa(to), to->len));
    return report("write", write(fd, "x", 1));
}

static int udp(place *to, const char *how, place *allowed)
{
    int fd = socket(family_of(to), SOCK_DGRAM, 0);
    struct iovec iov = {"x", 1};
    struct mmsghdr two[2] = {
        {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}},
        {.msg_hdr = {place_sa(to), to->len, &iov, 1, NULL, 0, 0}},
    };
    if (fd < 0) {
        return report("socket", fd);
    }
    if (strcmp(how, "sendto") == 0) {
        return report("send", sendto(fd, "x", 1, 0, place_sa(to), to->len));
    }
    if (strcmp(how, "sendmsg") == 0) {
        return report("send", sendmsg(fd, &two[1].msg_hdr, 0));
    }
    if (strcmp(how, "sendmmsg") == 0) {
        two[0].msg_hdr.msg_name = place_sa(allowed);
        two[0].msg_hdr.msg_namelen = allowed->len;
        int sent = sendmmsg(fd, two, 2, 0);
        printf("sent %d\n", sent);
        return 0;
    }
    if (strcmp(how, "connected") == 0) {
        report("connect", connect(fd, place_sa(allowed), allowed->len));
        report("send", sendmsg(fd, &two[1].msg_hdr, 0));
        return report("sendto", sendto(fd, "x", 1, 0, place_sa(to), to->len));
    }
    report("connect", connect(fd, place_sa(to), to->len));
    return report("send", send(fd, "x", 1, 0));
}

/* An IPv4 sockaddr on an AF_INET6 socket. */
static int udp_mixed(place *to)
{
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    return report("send", sendto(fd, "x", 1, 0, place_sa(to), to->len));
}

static int unspec(place *to, place *allowed)
{
    int fd = socket(family_of(to), SOCK_STREAM, 0);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    report("first", connect(fd, place_sa(allowed), allowed->len));
    report("dissolve", connect(fd, &none, sizeof(none)));
    return report("second", connect(fd, place_sa(to), to->len));
}

static int listening(const char *verb)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (strcmp(verb, "bind0") == 0) {
        report("bind", bind(fd, (struct sockaddr *)&any, sizeof(any)));
    }
    int rc = report("listen", listen(fd, 5));
    struct sockaddr_in name;
    socklen_t len = sizeof(name);
    if (rc == 0 && getsockname(fd, (struct sockaddr *)&name, &len) == 0) {
        printf("port %d\n", ntohs(name.sin_port));
    }
    return rc;
}

static int bind_to(place *to)
{
    int fd = socket(family_of(to), SOCK_STREAM, 0);
    return report("bind", bind(fd, place_sa(to), to->len)) || report("listen", listen(fd, 5));
}

/* Options that change where packets go. */
static int options(place *to)
{
    int fd = socket(family_of(to), SOCK_STREAM, 0);
    int one = 1;
    report("bindtodevice", setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
    report("mark", setsockopt(fd, SOL_SOCKET, SO_MARK, &one, sizeof(one)));
    report("transparent", setsockopt(fd, IPPROTO_IP, 19, &one, sizeof(one)));
    return report("connect", connect(fd, place_sa(to), to->len));
}

static int odd_addresses(place *to)
{
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    int dgram = socket(AF_INET, SOCK_DGRAM, 0);
    static const socklen_t lengths[] = {0, 1, 2, 7, 15, 200, 0x7fffffff, 0xffffffff};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        report("length", connect(tcp, place_sa(to), lengths[i]));
        report("length_udp", sendto(dgram, "x", 1, 0, place_sa(to), lengths[i]));
    }
    report("unmapped", connect(tcp, (void *)8, to->len));
    report("unmapped_udp", sendto(dgram, "x", 1, 0, (void *)8, to->len));
    report("data_unmapped", sendto(dgram, (void *)8, 100, 0, place_sa(to), to->len));
    place odd = *to;
    for (int family = 11; family < 60; family += 7) {
        odd.addr.ss_family = (sa_family_t)family;
        report("family", connect(tcp, place_sa(&odd), odd.len));
        report("family_udp", sendto(dgram, "x", 1, 0, place_sa(&odd), odd.len));
    }
    return 0;
}

static int families(void)
{
    static const struct {
        const char *name;
        int family, type, protocol;
    } kinds[] = {
        {"unix", AF_UNIX, SOCK_STREAM, 0},
        {"inet", AF_INET, SOCK_STREAM, 0},
        {"inet6", AF_INET6, SOCK_DGRAM, 0},
        {"route", AF_NETLINK, SOCK_RAW, 0},
        {"sockdiag", AF_NETLINK, SOCK_RAW, 4},
        {"xfrm", AF_NETLINK, SOCK_RAW, 6},
        {"audit", AF_NETLINK, SOCK_RAW, 9},
        {"netfilter", AF_NETLINK, SOCK_RAW, 12},
        {"uevent", AF_NETLINK, SOCK_RAW, 15},
        {"generic", AF_NETLINK, SOCK_RAW, 16},
        {"packet", AF_PACKET, SOCK_RAW, 0x300},
        {"packet_dgram", AF_PACKET, SOCK_DGRAM, 0x300},
        {"alg", AF_ALG, SOCK_SEQPACKET, 0},
        {"vsock", AF_VSOCK, SOCK_STREAM, 0},
        {"key", AF_KEY, SOCK_RAW, 2},
        {"xdp", 44, SOCK_RAW, 0},
        {"tipc", AF_TIPC, SOCK_SEQPACKET, 0},
        {"bluetooth", AF_BLUETOOTH, SOCK_RAW, 1},
        {"can", AF_CAN, SOCK_RAW, 1},
        {"rds", AF_RDS, SOCK_SEQPACKET, 0},
        {"smc", 43, SOCK_STREAM, 0},
        {"qipcrtr", 42, SOCK_DGRAM, 0},
        {"raw_icmp", AF_INET, SOCK_RAW, 1},
        {"raw_tcp", AF_INET, SOCK_RAW, 6},
        {"raw6", AF_INET6, SOCK_RAW, 58},
        {"sctp", AF_INET, SOCK_STREAM, 132},
        {"sctp_seq", AF_INET, SOCK_SEQPACKET, 132},
        {"dccp", AF_INET, SOCK_DCCP, 33},
        {"mptcp", AF_INET, SOCK_STREAM, 262},
        {"mptcp6", AF_INET6, SOCK_STREAM, 262},
        {"udplite", AF_INET, SOCK_DGRAM, 136},
        {"sock_packet", AF_INET, SOCK_PACKET, 0x300},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        int fd = socket(kinds[i].family, kinds[i].type | SOCK_CLOEXEC, kinds[i].protocol);
        report(kinds[i].name, fd);
        if (fd >= 0) {
            close(fd);
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    if (argc == 2) {
        return strcmp(verb, "families") == 0 ? families() : listening(verb);
    }
    if (argc < 4) {
        return 2;
    }
    place to = place_of(argv[2], argv[3]);
    place allowed = argc > 5 ? place_of(argv[4], argv[5]) : to;
    if (strcmp(verb, "connect") == 0) {
        return tcp_connect(&to, 0);
    } else if (strcmp(verb, "mptcp") == 0) {
        return tcp_connect(&to, 262);
    } else if (strcmp(verb, "fastopen") == 0) {
        return fastopen(&to, false);
    } else if (strcmp(verb, "fastopen_msg") == 0) {
        return fastopen(&to, true);
    } else if (strcmp(verb, "fastopen_connect") == 0) {
        return fastopen_connect(&to);
    } else if (strcmp(verb, "unspec") == 0) {
        return unspec(&to, &allowed);
    } else if (strcmp(verb, "udp_mixed") == 0) {
        return udp_mixed(&to);
    } else if (strcmp(verb, "bind") == 0) {
        return bind_to(&to);
    } else if (strcmp(verb, "options") == 0) {
        return options(&to);
    } else if (strcmp(verb, "odd") == 0) {
        return odd_addresses(&to);
    } else if (strncmp(verb, "udp_", 4) == 0) {
        return udp(&to, verb + 4, &allowed);
    }
    return 2;
}
