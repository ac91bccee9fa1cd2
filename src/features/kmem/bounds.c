/* Owns the sizes. Never makes a buffer larger than the kernel would have. */
#include "features/kmem/bounds.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/num.h"
#include "kernel/proc.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
#define BOTH_LOCKED 3u /* SOCK_SNDBUF_LOCK, SOCK_RCVBUF_LOCK */

#define K                UINT64_C(1024)
#define STRUCTS          (4 * K) /* of a socket: itself, its inode and file, a dentry */
#define PARTS            256     /* a buffer takes no larger part of what is left of the budget */
#define TCP_PARTS        512
#define STREAM_MOST      (64 * K) /* Unix */
#define STREAM_LEAST     (8 * K)  /* goes on, in small steps */
#define MESSAGE_LEAST    (32 * K) /* the largest message is as large */
#define TCP_MOST         (1024 * K)
#define TCP_LEAST        (8 * K)
#define SEGMENTS         8 /* that a buffer holds, */
#define SEGMENTS_PRESSED 4 /* and still when it was made smaller */
#define PACKET_LEAST     (16 * K)
#define PACKET           (72 * K) /* one more than fits: 64 KiB and what surrounds them */
#define PIPE_PAGES       16       /* pipe(7) */
#define PIPE_SPARE       2        /* pages that a pipe keeps for the next write */
#define NAMED_SHARE      8        /* of the budget: what a named datagram socket may take of it */
#define DATAGRAM_MOST    (64 * K)
#define WAITING_PARTS    2048 /* buffers of a connection that nobody has accepted yet */
#define WAITING_LEAST    (16 * K)
#define WAITING_MOST     (256 * K)
#define WAITING_SHARE    8 /* of what is left: all of one listener's */

static int get_int(int fd, int option)
{
    int value = 0;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -errno : value;
}

static uint64_t size_of(int fd, int option)
{
    int value = get_int(fd, option);
    return value < 0 ? 0 : (uint64_t)value;
}

uint64_t sl_bounds_set(int fd, int option, uint64_t size)
{
    int value = (int)(size / 2);
    (void)setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value));
    return size_of(fd, option);
}

/* TCP is always told: a size that was set is one that does not grow by itself. */
static uint64_t shrink(int fd, int option, uint64_t size)
{
    uint64_t has = size_of(fd, option);
    return has <= size ? has : sl_bounds_set(fd, option, size);
}

int sl_bounds_lower(int fd, int option, int value)
{
    int has = get_int(fd, option);
    if (has < 0) {
        return has;
    }
    value = value < 0 || value > has / 2 ? has / 2 : value;
    return setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static uint64_t read_number(const char *path, uint64_t otherwise)
{
    char text[32];
    const char *at = text;
    uint64_t n;
    return sl_proc_read_at(AT_FDCWD, path, text, sizeof(text)) > 0 && sl_num_next(&at, &n) == 0
               ? n
               : otherwise;
}

uint64_t sl_bounds_pipe(const sl_bounds *b, uint64_t size)
{
    return size + PIPE_SPARE * b->page + STRUCTS;
}

uint64_t sl_bounds_usual_pipe(const sl_bounds *b)
{
    return sl_bounds_pipe(b, PIPE_PAGES * b->page);
}

void sl_bounds_init(sl_bounds *b, uint64_t budget)
{
    b->ordinary = read_number("/proc/sys/net/core/wmem_default", 1024 * K);
    b->page = (uint64_t)sysconf(_SC_PAGESIZE);
    b->queue = read_number("/proc/sys/net/unix/max_dgram_qlen", 512) + 1;
    b->datagram = SL_MIN(SL_MAX(budget / NAMED_SHARE / b->queue, STREAM_LEAST), DATAGRAM_MOST);
}

uint64_t sl_bounds_named(const sl_bounds *b)
{
    return b->queue * b->datagram;
}

/* unix(7): a write begins while the buffer is not full, and takes half of one at most. */
static uint64_t holds(uint64_t buffer)
{
    return buffer + buffer / 2 + STRUCTS;
}

uint64_t sl_bounds_accepted(const sl_bounds *b)
{
    return holds(b->ordinary) + holds(STREAM_MOST);
}

static void bound_unix(const sl_bounds *b, const sl_ledger *l, int fd, int type, bool is_pair,
                       sl_ledger_item *item)
{
    uint64_t size = STREAM_MOST;
    if (type == SOCK_DGRAM) {
        size = b->datagram;
    } else if (is_pair && type == SOCK_STREAM) {
        size = sl_ledger_share(l, PARTS, STREAM_LEAST, STREAM_MOST);
    } else if (is_pair) {
        size = sl_ledger_share(l, PARTS, MESSAGE_LEAST, b->ordinary);
    }
    size = shrink(fd, SO_SNDBUF, size);
    /* what a peer of another size has sent is its own charge, or this one's once that is gone */
    uint64_t most = is_pair || type == SOCK_DGRAM ? size : SL_MAX(size, STREAM_MOST);
    item->charge = type == SOCK_STREAM ? holds(most) : 2 * most + STRUCTS;
}

static uint64_t pressed_size(const sl_ledger *l)
{
    uint64_t part = sl_ledger_budget(l) / WAITING_PARTS;
    return SL_MIN(SL_MAX(part, WAITING_LEAST), WAITING_MOST);
}

/* A buffer that holds no two segments sends when a timer lets it: on the loopback interface these
 * are 64 KiB. Asked before there is a connection, and kept by it. */
static void shorten_segments(const sl_ledger *l, int fd, uint64_t size)
{
    int most = (int)SL_MIN(size / SEGMENTS, pressed_size(l) / SEGMENTS_PRESSED);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &most, sizeof(most));
}

static uint64_t of_tcp(uint64_t both)
{
    return both + both / 4 + 2 * STRUCTS;
}

static void bound_tcp(const sl_ledger *l, int fd, sl_ledger_item *item)
{
    uint64_t size = sl_ledger_share(l, TCP_PARTS, TCP_LEAST, TCP_MOST);
    int locked = get_int(fd, SO_BUF_LOCK);
    if (locked < 0 || ((unsigned)locked & BOTH_LOCKED) != BOTH_LOCKED) {
        (void)sl_bounds_set(fd, SO_SNDBUF, size);
        (void)sl_bounds_set(fd, SO_RCVBUF, size);
        shorten_segments(l, fd, size);
    }
    socklen_t len = sizeof(item->cookie);
    (void)getsockopt(fd, SOL_SOCKET, SO_COOKIE, &item->cookie, &len);
    item->charge = of_tcp(size_of(fd, SO_SNDBUF) + size_of(fd, SO_RCVBUF));
    item->kind = SL_LEDGER_TCP;
}

static void bound_packets(const sl_bounds *b, const sl_ledger *l, int fd, sl_ledger_item *item)
{
    uint64_t size = sl_ledger_share(l, PARTS, PACKET_LEAST, b->ordinary);
    item->charge = shrink(fd, SO_SNDBUF, size) + shrink(fd, SO_RCVBUF, size) + PACKET + STRUCTS;
}

/* What lies in it already, in buffers that were larger. */
static uint64_t has_now(int fd)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof(info);
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0) {
        return 0;
    }
    return (uint64_t)info[SK_MEMINFO_RMEM_ALLOC] + info[SK_MEMINFO_WMEM_ALLOC] +
           info[SK_MEMINFO_WMEM_QUEUED];
}

uint64_t sl_bounds_pressed(const sl_ledger *l)
{
    return of_tcp(2 * pressed_size(l));
}

uint64_t sl_bounds_press(const sl_ledger *l, int fd)
{
    uint64_t both = shrink(fd, SO_SNDBUF, pressed_size(l));
    both += shrink(fd, SO_RCVBUF, pressed_size(l));
    return SL_MAX(of_tcp(both), has_now(fd) + STRUCTS);
}

int sl_bounds_socket(const sl_bounds *b, const sl_ledger *l, int fd, bool is_pair,
                     sl_ledger_item *ret_item)
{
    int domain = get_int(fd, SO_DOMAIN);
    int type = get_int(fd, SO_TYPE);
    sl_ledger_item item = {.kind = SL_LEDGER_SOCKET};
    if (domain < 0 || type < 0) {
        return -ENOTSOCK;
    }
    if (domain == AF_UNIX) {
        bound_unix(b, l, fd, type, is_pair, &item);
    } else if (type == SOCK_STREAM) {
        bound_tcp(l, fd, &item);
    } else {
        bound_packets(b, l, fd, &item);
    }
    item.charge = SL_MAX(item.charge, has_now(fd) + STRUCTS);
    *ret_item = item;
    return 0;
}

int sl_bounds_listener(const sl_bounds *b, const sl_ledger *l, int fd, int asked,
                       sl_ledger_item *ret_item)
{
    sl_ledger_item item;
    int r = sl_bounds_socket(b, l, fd, false, &item);
    if (r < 0) {
        return r;
    }
    uint64_t waiting = holds(STREAM_MOST); /* what a client sent, which may be gone by then */
    item.child = sl_bounds_accepted(b);
    if (item.kind == SL_LEDGER_TCP) {
        uint64_t size = sl_ledger_share(l, WAITING_PARTS, WAITING_LEAST, WAITING_MOST);
        uint64_t receives = shrink(fd, SO_RCVBUF, size);
        uint64_t both = receives + shrink(fd, SO_SNDBUF, size);
        shorten_segments(l, fd, size);
        item.child = of_tcp(both);
        waiting = of_tcp(receives);
    }
    uint64_t most = SL_MAX(sl_ledger_left(l) / WAITING_SHARE / waiting, UINT64_C(1));
    uint64_t count = asked < 0 ? most : SL_MIN((uint64_t)asked, most);
    item.charge += (count + 1) * waiting;
    *ret_item = item;
    return (int)count;
}
