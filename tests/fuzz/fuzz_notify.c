/* A trapped caller's memory, any bytes at all: what the send handlers copy out of it stays within
 * its bounds, every descriptor that would be passed on is one that was pinned, and no address is
 * taken for more than it is. SUP-06.
 *
 * src/supervisor/notify.c is not linked: its functions are here and read the input as the caller's
 * memory, at MEMORY. First byte: which parser; second: which socket; the rest: the memory. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/util.h"
#include "features/net/send_int.h"
#include "features/net/unix.h"
#include "policy/synth.h"

#define MEMORY   0x10000u
#define OPEN_FDS 64 /* descriptors that the caller has */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *memory;
static size_t memory_len;

static void check(bool true_or_abort)
{
    if (!true_or_abort) {
        abort();
    }
}

/* ---- notify.c ---- */

bool sl_call_valid(const sl_call *call)
{
    (void)call;
    return true;
}

ssize_t sl_call_read_some(const sl_call *call, uint64_t addr, void *to, size_t len)
{
    (void)call;
    if (addr < MEMORY || addr - MEMORY >= memory_len) {
        return len == 0 ? 0 : -EFAULT;
    }
    size_t n = SL_MIN(len, memory_len - (size_t)(addr - MEMORY));
    memcpy(to, memory + (addr - MEMORY), n);
    return (ssize_t)n;
}

int sl_call_read(const sl_call *call, uint64_t addr, void *to, size_t len)
{
    return sl_call_read_some(call, addr, to, len) == (ssize_t)len ? 0 : -EFAULT;
}

int sl_call_read_str(const sl_call *call, uint64_t addr, char *to, size_t cap)
{
    ssize_t n = sl_call_read_some(call, addr, to, cap);
    return n > 0 && memchr(to, '\0', (size_t)n) != NULL ? 0 : -EFAULT;
}

int sl_call_write(const sl_call *call, uint64_t addr, const void *from, size_t len)
{
    (void)call;
    (void)addr;
    (void)from;
    (void)len;
    return -EFAULT;
}

int sl_call_take(int fd)
{
    return fd;
}

int sl_call_pin(const sl_call *call, int fd)
{
    (void)call;
    return fd >= 0 && fd < OPEN_FDS ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -EBADF;
}

int sl_call_reach(const sl_call *call, int fd)
{
    return sl_call_pin(call, fd);
}

int sl_call_fd_read(const sl_call *call, int fd, sl_call_fd *ret)
{
    (void)call;
    (void)fd;
    (void)ret;
    return -EBADF;
}

bool sl_call_fd_is(const sl_call_fd *info, int own)
{
    (void)info;
    (void)own;
    return false;
}

int sl_call_give(const sl_call *call, int fd, bool cloexec)
{
    (void)call;
    (void)fd;
    (void)cloexec;
    return -ESRCH;
}

int sl_call_pidfd(const sl_call *call)
{
    (void)call;
    return -ESRCH;
}

pid_t sl_call_tgid(const sl_call *call)
{
    (void)call;
    return -ESRCH;
}

/* ---- what must be true of a copied message ---- */

static bool is_pinned(const struct sl_outgoing *out, const uint8_t *at)
{
    int fd;
    memcpy(&fd, at, sizeof(fd));
    for (size_t i = 0; i < out->fd_count; i++) {
        if (out->fds[i] == fd) {
            return true;
        }
    }
    return false;
}

/* Walks the control data as the kernel will (cmsg(3), net/core/scm.c): no header may be there that
 * was not looked at. */
static void check_control(const struct sl_outgoing *out, const sl_sock *sock)
{
    size_t at = 0;
    while (out->control_len - at >= sizeof(struct cmsghdr)) {
        struct cmsghdr c;
        memcpy(&c, out->control + at, sizeof(c));
        if (c.cmsg_len < sizeof(c) || c.cmsg_len > out->control_len - at) {
            return; /* the kernel refuses the whole message */
        }
        if (c.cmsg_level == SOL_SOCKET) {
            check(c.cmsg_type == SCM_RIGHTS && sock->domain == AF_UNIX);
            for (size_t i = CMSG_LEN(0); i + sizeof(int) <= c.cmsg_len; i += sizeof(int)) {
                check(is_pinned(out, out->control + at + i));
            }
        }
        check(sock->domain != AF_UNIX || c.cmsg_level == SOL_SOCKET);
        if (CMSG_ALIGN(c.cmsg_len) > out->control_len - at) {
            return;
        }
        at += CMSG_ALIGN(c.cmsg_len);
    }
}

static void check_outgoing(const struct sl_outgoing *out, const sl_sock *sock)
{
    check(out->data != NULL && out->len <= SL_SEND_UNIX_MAX);
    check(sock->type == SOCK_STREAM || sock->domain == AF_UNIX || out->len <= SL_SEND_DATAGRAM_MAX);
    check(out->name_len == 0 ||
          (out->name_len >= sizeof(sa_family_t) && out->name_len <= sizeof(out->name)));
    check(out->control_len <= SL_SEND_CONTROL_MAX && out->fd_count <= SL_SEND_FDS_MAX);
    check_control(out, sock);
}

static void try_args(sl_call *call, const sl_sock *sock)
{
    struct sl_outgoing out = {.unix_pin = -1};
    sl_call_read(call, MEMORY, call->args, sizeof(call->args));
    if (sl_outgoing_from_args(call, sock, &out) == 0) {
        check_outgoing(&out, sock);
    }
    sl_outgoing_done(&out);
}

static void try_msghdr(const sl_call *call, const sl_sock *sock)
{
    struct sl_outgoing out = {.unix_pin = -1};
    if (sl_outgoing_from_msghdr(call, sock, MEMORY, &out) == 0) {
        check_outgoing(&out, sock);
    }
    sl_outgoing_done(&out);
    check(out.fd_count == 0 && out.data == NULL);
}

/* ---- addresses ---- */

static void try_dest(const sl_call *call, const sl_sock *sock, const void *sa, socklen_t len)
{
    char name[SL_HOST_NAME_MAX];
    sl_dest dest = {.proto = 0};
    if (sl_dest_make(call, sock, sa, len, &dest, name) < 0) {
        return;
    }
    check(dest.addr.family == 4 || dest.addr.family == 6);
    check(dest.name == NULL || (dest.name == name && strcmp(name, "example.com") == 0));
    check(dest.name != NULL || !sl_synth_is(&dest.addr));
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    check(dest.addr.family == 4 || memcmp(dest.addr.bytes, mapped, sizeof(mapped)) != 0);
}

/* Nothing is granted, so nothing may come out, whatever the path. */
static void try_unix(const sl_call *call, const struct sockaddr_un *sa, socklen_t len)
{
    struct sockaddr_un pinned;
    socklen_t pinned_len = 0;
    int pin = -1;
    check(sl_unix_pin(call, SOCK_STREAM, sa, len, &pinned, &pinned_len, &pin) < 0);
    check(pin == -1 && pinned_len == 0);
}

static const sl_synth_map *make_synth(void)
{
    sl_addr addr;
    int fd = sl_synth_create();
    sl_synth_map *map = fd < 0 ? NULL : sl_synth_map_open(fd, true);
    sl_close(fd);
    check(map != NULL && sl_synth_assign(map, "example.com", &addr) == 0);
    return map;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const sl_sock socks[] = {
        {.fd = -1, .domain = AF_INET, .type = SOCK_STREAM},
        {.fd = -1, .domain = AF_INET6, .type = SOCK_DGRAM},
        {.fd = -1, .domain = AF_UNIX, .type = SOCK_STREAM},
        {.fd = -1, .domain = AF_UNIX, .type = SOCK_DGRAM},
    };
    static sl_fsview view;
    static sl_supervisor sv;
    union {
        struct sockaddr_storage any;
        struct sockaddr_un local;
    } sa;
    if (sv.synth == NULL) {
        sv.synth = make_synth();
        sv.view = &view;
    }
    if (size < 2) {
        return 0;
    }
    sl_call call = {.sv = &sv, .tid = getpid()};
    const sl_sock *sock = &socks[data[1] % SL_ARRAY_LEN(socks)];
    memory = data + 2;
    memory_len = size - 2;
    memset(&sa, 0, sizeof(sa));
    memcpy(&sa, memory, SL_MIN(memory_len, sizeof(sa)));
    switch (data[0] % 4) {
    case 0:
        try_args(&call, sock);
        break;
    case 1:
        try_msghdr(&call, sock);
        break;
    case 2:
        try_dest(&call, sock, &sa, (socklen_t)SL_MIN(memory_len, sizeof(sa)));
        break;
    default:
        try_unix(&call, &sa.local, (socklen_t)SL_MIN(memory_len, sizeof(sa)));
        break;
    }
    return 0;
}
