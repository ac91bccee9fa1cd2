/* HOST PORT ROUNDS: every trapped call with arguments that no sane program would pass, chosen by a
 * generator with a fixed seed; then one sane call. Prints how often each errno came. */
#include "attack.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#define PAGE      4096
#define ERRNO_MAX 134

static uint64_t state = 20260;
static const uint64_t target = 0x0100007f50000002u; /* AF_INET, port 80, 127.0.0.1 */
static char *pages;                                 /* mapped, mapped, unmapped */
static int fds[8];

static uint64_t draw(uint64_t below)
{
    state ^= state << 13; /* xorshift64 */
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

/* Something that is used as a pointer. Some point at structures whose own pointers are as bad. */
static uint64_t pointer(void)
{
    uint64_t choice[] = {
        0,
        1,
        (uint64_t)(pages + 2 * PAGE),            /* unmapped */
        (uint64_t)(pages + 2 * PAGE - 1),        /* one byte */
        (uint64_t)(pages + 2 * PAGE - draw(64)), /* cut off */
        (uint64_t)(pages + draw(PAGE)),
        (uint64_t)pages,
        (uint64_t)pages,
        0xffffffff80000000u,
        ~(uint64_t)0,
        0x8000000000000000u,
        draw(UINT64_MAX),
    };
    return choice[draw(sizeof(choice) / sizeof(*choice))];
}

static uint64_t number(void)
{
    uint64_t choice[] = {
        0,          1,          2,         16,         28,          108,
        110,        PAGE,       1u << 20,  INT32_MAX,  1u << 31,    UINT32_MAX,
        1ull << 32, UINT64_MAX, INT64_MAX, draw(4096), 0x20000000u, draw(UINT32_MAX)};
    return choice[draw(sizeof(choice) / sizeof(*choice))];
}

/* Fills what pointer() points at: words that are pointers, lengths, families, or text. */
static void refill(void)
{
    for (size_t i = 0; i + 8 <= 2 * PAGE; i += 8) {
        uint64_t kind = draw(5);
        uint64_t word = kind == 0   ? pointer()
                        : kind == 1 ? number()
                        : kind == 2 ? target
                        : kind == 3 ? 0x4141414141414141u
                                    : draw(64);
        memcpy(pages + i, &word, 8);
    }
    memcpy(pages, &target, 8);
}

static int descriptor(void)
{
    int choice[] = {-1, 4095, INT32_MAX, fds[draw(8)], fds[draw(8)], fds[draw(8)], fds[draw(8)]};
    return choice[draw(sizeof(choice) / sizeof(*choice))];
}

/* connect often enough to reach the address that is not allowed, bare */
static const long with_fd[] = {
    SYS_connect,     SYS_connect,    SYS_connect,    SYS_connect,    SYS_connect,  SYS_sendto,
    SYS_sendmsg,     SYS_sendmmsg,   SYS_recvfrom,   SYS_recvmsg,    SYS_recvmmsg, SYS_getpeername,
    SYS_getsockname, SYS_listen,     SYS_bind,       SYS_openat,     SYS_openat2,  SYS_newfstatat,
    SYS_statx,       SYS_faccessat2, SYS_readlinkat, SYS_getdents64, SYS_uname,    SYS_sysinfo};

static long opened(long fd)
{
    if (fd >= 0) {
        close((int)fd);
    }
    return fd;
}

/* Changes of metadata, of descriptors of our own or by paths that nobody can read: a readable one
 * could be that of a real file. */
static long one_change(void)
{
    static const uint64_t unreadable[] = {0, 1, 0xffffffff80000000u, 0x8000000000000000u};
    const uint64_t path = draw(2) ? unreadable[draw(4)] : (uint64_t)(pages + 2 * PAGE);
    int fd = descriptor();
    switch (draw(8)) {
    case 0:
        return syscall(SYS_fsetxattr, fd, pointer(), pointer(), number(), number());
    case 1:
        return syscall(SYS_fremovexattr, fd, pointer());
    case 2:
        return syscall(SYS_utimensat, fd, NULL, pointer(), number());
    case 3:
        return syscall(SYS_fchmod, fd, number());
    case 4:
        return syscall(SYS_fchmodat, draw(2) ? AT_FDCWD : fd, path, number());
    case 5:
        return syscall(SYS_setxattr, path, pointer(), pointer(), number(), number());
    case 6:
        return syscall(463 /* setxattrat */, fd, path, number(), pointer(), pointer(), number());
    default:
        return syscall(SYS_ioctl, fd, draw(2) ? FS_IOC_SETFLAGS : FS_IOC_FSSETXATTR, pointer());
    }
}

/* Clock, chance and directories. Nothing here may wait: the times are as bad as the pointers. */
static long repeatable_call(void)
{
    int fd;
    long r;
    switch (draw(8)) {
    case 0:
        return syscall(SYS_clock_gettime, draw(16) - 2, pointer());
    case 1:
        return syscall(SYS_gettimeofday, pointer(), pointer());
    case 2:
        return syscall(SYS_time, pointer()) < 0 ? -1 : 0;
    case 3:
        return syscall(SYS_getrandom, pointer(), draw(2) ? draw(9000) : number(), draw(8));
    case 4:
        /* no bits to wait for: EINVAL once the time was read */
        return syscall(SYS_futex, pages, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, number(),
                       pointer(), NULL, 0);
    case 5:
        fd = timerfd_create(draw(2) ? CLOCK_REALTIME : CLOCK_MONOTONIC, TFD_NONBLOCK);
        r = syscall(SYS_timerfd_settime, draw(4) ? fd : descriptor(), draw(4), pointer(),
                    pointer());
        close(fd);
        return r;
    case 6:
        fd = open("/etc", O_RDONLY | O_DIRECTORY);
        lseek(fd, (off_t)draw(200), SEEK_SET);
        r = syscall(SYS_getdents64, draw(4) ? fd : descriptor(), pointer(), number());
        close(fd);
        return r;
    default:
        return syscall(SYS_timer_settime, number(), TIMER_ABSTIME, pointer(), pointer());
    }
}

static long one_call(void)
{
    pid_t self = getpid();
    switch (draw(11)) {
    case 8:
    case 9:
        return one_change();
    case 10:
        return repeatable_call();
    case 0:
        return opened(syscall(SYS_open, pointer(), (number() | O_NONBLOCK) & ~(uint64_t)O_CREAT));
    case 1:
        return syscall(SYS_rt_sigqueueinfo, self, SIGURG, pointer());
    case 2:
        return syscall(SYS_rt_tgsigqueueinfo, self, self, SIGURG, pointer());
    case 3:
        return syscall(SYS_pidfd_send_signal, descriptor(), draw(2) ? SIGURG : 0, pointer(),
                       draw(3));
    default:
        break;
    }
    long nr = with_fd[draw(sizeof(with_fd) / sizeof(*with_fd))];
    int fd = descriptor();
    switch (nr) {
    case SYS_openat:
        return opened(syscall(nr, draw(2) ? AT_FDCWD : fd, pointer(), O_RDONLY | O_NONBLOCK, 0));
    case SYS_openat2:
        return opened(syscall(nr, draw(2) ? AT_FDCWD : fd, pointer(), pointer(), number()));
    case SYS_newfstatat:
    case SYS_readlinkat:
        return syscall(nr, draw(2) ? AT_FDCWD : fd, pointer(), pointer(), number());
    case SYS_statx:
        return syscall(nr, draw(2) ? AT_FDCWD : fd, pointer(), number(), number(), pointer());
    case SYS_faccessat2:
        return syscall(nr, draw(2) ? AT_FDCWD : fd, pointer(), number(), number());
    case SYS_uname:
    case SYS_sysinfo:
        return syscall(nr, pointer());
    case SYS_sendto:
    case SYS_recvfrom:
        return syscall(nr, fd, pointer(), number(), number() | MSG_DONTWAIT, pointer(), pointer());
    case SYS_sendmsg:
    case SYS_recvmsg:
        return syscall(nr, fd, pointer(), number() | MSG_DONTWAIT);
    case SYS_sendmmsg:
        return syscall(nr, fd, pointer(), number(), number() | MSG_DONTWAIT);
    case SYS_recvmmsg:
        return syscall(nr, fd, pointer(), number(), number() | MSG_DONTWAIT, pointer());
    default:
        return syscall(nr, fd, pointer(), number(), number(), pointer(), number());
    }
}

static void open_fds(void)
{
    int pair[2];
    int tube[2];
    for (int i = 0; i < 8; i++) {
        close(fds[i]);
    }
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) || pipe2(tube, O_NONBLOCK)) {
        perror("descriptors");
        exit(1);
    }
    int all[] = {socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0),
                 socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0),
                 socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0),
                 socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0),
                 pair[0],
                 pair[1],
                 tube[0],
                 tube[1]};
    memcpy(fds, all, sizeof(fds));
}

int main(int argc, char **argv)
{
    static long count[ERRNO_MAX + 1];
    if (argc != 4) {
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(pages + 2 * PAGE, PAGE);
    memset(fds, -1, sizeof(fds));
    long rounds = strtol(argv[3], NULL, 10);
    for (long i = 0; i < rounds; i++) {
        if (i % 64 == 0) {
            open_fds();
        }
        if (i % 16 == 0) {
            refill();
        }
        long got = one_call();
        int error = got < 0 ? errno : 0;
        if (error > ERRNO_MAX) {
            printf("odd %d\n", error);
        }
        count[error > ERRNO_MAX ? ERRNO_MAX : error]++;
    }
    for (int i = 0; i < ERRNO_MAX; i++) {
        if (count[i]) {
            printf("%s %ld\n", i ? strerrorname_np(i) : "ok", count[i]);
        }
    }
    place to = place_of(argv[1], argv[2]);
    return report("sane", connect(socket(family_of(&to), SOCK_STREAM, 0), place_sa(&to), to.len));
}
