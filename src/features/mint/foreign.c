/* Owns the looking at sockets that we do not have: accepted ones, pairs, listeners, what was
 * inherited or received. Nothing here acts on them. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/util.h"
#include "features/mint/holders.h"
#include "features/mint/mint.h"
#include "kernel/diag/diag.h"
#include "kernel/proc.h"

/* sockfs tells the protocol's name as an attribute of the object, which O_PATH keeps meanwhile. */
enum sl_mint_foreign sl_mint_foreign(const sl_call *call, int fd)
{
    char link[SL_PROC_FD_NAME_MAX];
    char text[32];
    sl_autoclose int object = sl_call_reach(call, fd);
    if (object < 0) {
        return SL_MINT_UNKNOWN;
    }
    sl_proc_fd_name(object, link);
    ssize_t n = getxattr(link, "system.sockprotoname", text, sizeof(text) - 1);
    text[SL_MAX(n, 0)] = '\0';
    static const char *const streams[] = {"TCP", "TCPv6", "UNIX-STREAM"};
    for (size_t i = 0; n > 0 && i < SL_ARRAY_LEN(streams); i++) {
        if (strcmp(text, streams[i]) == 0) {
            return SL_MINT_STREAM;
        }
    }
    return SL_MINT_UNKNOWN;
}

struct naming {
    uint64_t ino;
    sl_mint_named *ret;
    bool found;
};

static void put_address(const struct inet_diag_msg *m, const void *address, uint16_t port,
                        struct sockaddr_storage *ret, socklen_t *ret_len)
{
    *ret = (struct sockaddr_storage){.ss_family = m->idiag_family};
    if (m->idiag_family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
        in6->sin6_port = port;
        memcpy(&in6->sin6_addr, address, sizeof(in6->sin6_addr));
        *ret_len = sizeof(*in6);
    } else {
        struct sockaddr_in *in = (struct sockaddr_in *)ret;
        in->sin_port = port;
        memcpy(&in->sin_addr, address, sizeof(in->sin_addr));
        *ret_len = sizeof(*in);
    }
}

static void take_name(void *arg, const struct inet_diag_msg *m)
{
    struct naming *n = arg;
    if (n->found || m->idiag_inode != (uint32_t)n->ino) {
        return;
    }
    n->found = true;
    n->ret->cookie = sl_diag_cookie(m);
    n->ret->domain = m->idiag_family;
    put_address(m, m->id.idiag_src, m->id.idiag_sport, &n->ret->own, &n->ret->len);
    put_address(m, m->id.idiag_dst, m->id.idiag_dport, &n->ret->peer, &n->ret->len);
}

bool sl_mint_name(const sl_call *call, int fd, sl_mint_named *ret)
{
    static const int families[] = {AF_INET, AF_INET6};
    struct naming n = {.ret = ret};
    if (sl_holders_socket(call->tid, fd, &n.ino) < 0) {
        return false;
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(families) && !n.found; i++) {
        struct sl_diag_question q = {
            .family = families[i], .protocol = IPPROTO_TCP, .states = UINT32_MAX};
        (void)sl_diag_each(&q, take_name, &n);
    }
    return n.found;
}
