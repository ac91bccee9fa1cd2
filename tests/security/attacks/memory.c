/* Takes memory in one way until it is stopped, or has taken as much as it was told. How much it
 * took stands in a file, written before the memory is: it is what the test reads when we are dead.
 *
 *   memory WAY COUNTER MEGABYTES [DIRECTORY] */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MB      ((size_t)1 << 20)
#define PIECE   ((size_t)64 << 10)
#define WORKERS 8

static _Atomic uint64_t *taken;
static size_t wanted;
static const char *directory;

static void need(int ok, const char *what)
{
    if (!ok) {
        printf("%s %s\n", what, strerror(errno));
        fflush(stdout);
        exit(3);
    }
}

/* Random: pages of equal content must not be one page. */
static void touch(char *p, size_t len)
{
    for (size_t at = 0; at < len; at += PIECE) {
        atomic_fetch_add(taken, PIECE);
        for (size_t i = 0; i < PIECE; i += 4096) {
            *(volatile uint64_t *)(p + at + i) =
                (uint64_t)(uintptr_t)(p + at + i) * 0x9e3779b97f4a7c15u;
        }
    }
}

static char *map(size_t len, int prot, int flags, int fd)
{
    char *p = mmap(NULL, len, prot, flags, fd, 0);
    need(p != MAP_FAILED, "mmap");
    return p;
}

static void write_into(int fd)
{
    static char piece[PIECE];
    for (size_t done = 0; done < wanted; done += PIECE) {
        atomic_fetch_add(taken, PIECE);
        memset(piece, (int)(done >> 16) | 1, sizeof(piece));
        need(write(fd, piece, sizeof(piece)) == (ssize_t)sizeof(piece), "write");
    }
}

static int in_directory(const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s-%d", directory, name, (int)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    need(fd >= 0, "open");
    printf("file %s\n", path);
    fflush(stdout);
    return fd;
}

static void take_noreserve(void)
{
    touch(map(wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1),
          wanted);
}

static void take_shared(void)
{
    touch(map(wanted, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1), wanted);
}

/* The pages stay when nobody has them mapped any more. */
static void take_shared_dropped(void)
{
    char *p = map(wanted, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    for (size_t at = 0; at < wanted; at += MB) {
        touch(p + at, MB);
        need(madvise(p + at, MB, MADV_DONTNEED) == 0, "madvise");
    }
}

static void take_memfd(void)
{
    int fd = memfd_create("x", 0);
    need(fd >= 0, "memfd_create");
    write_into(fd);
}

static void take_memfd_mapped(void)
{
    int fd = memfd_create("x", 0);
    need(fd >= 0 && ftruncate(fd, (off_t)wanted) == 0, "memfd_create");
    char *p = map(wanted, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    close(fd);
    touch(p, wanted);
}

static void take_fallocate(void)
{
    int fd = memfd_create("x", 0);
    need(fd >= 0, "memfd_create");
    for (size_t at = 0; at < wanted; at += MB) {
        atomic_fetch_add(taken, MB);
        need(fallocate(fd, 0, (off_t)at, (off_t)MB) == 0 || errno == EINTR, "fallocate");
    }
}

/* Many, each open nowhere but in a message under way. */
static void take_in_flight(void)
{
    int pair[2];
    need(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0, "socketpair");
    for (size_t done = 0; done < wanted; done += 16 * MB) {
        int fd = memfd_create("x", 0);
        need(fd >= 0 && ftruncate(fd, 16 * MB) == 0, "memfd_create");
        char *p = map(16 * MB, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
        touch(p, 16 * MB);
        char byte = 0;
        char room[CMSG_SPACE(sizeof(int))] = {0};
        struct iovec iov = {.iov_base = &byte, .iov_len = 1};
        struct msghdr msg = {
            .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
        need(sendmsg(pair[0], &msg, MSG_DONTWAIT) == 1, "sendmsg");
        close(fd);
        munmap(p, 16 * MB);
    }
}

static void take_tmpfs(void)
{
    write_into(in_directory("tmpfs"));
}

static void take_tmpfs_closed(void)
{
    static char piece[PIECE];
    for (size_t done = 0; done < wanted; done += 4 * MB) {
        char name[64];
        snprintf(name, sizeof(name), "part-%zu", done);
        int fd = in_directory(name);
        for (size_t i = 0; i < 4 * MB; i += PIECE) {
            atomic_fetch_add(taken, PIECE);
            need(write(fd, piece, sizeof(piece)) == (ssize_t)sizeof(piece), "write");
        }
        close(fd);
    }
}

static void take_tmpfs_unlinked(void)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/gone-%d", directory, (int)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    need(fd >= 0 && unlink(path) == 0, "open");
    write_into(fd);
}

static void take_private_file(void)
{
    int fd = in_directory("file");
    need(ftruncate(fd, (off_t)wanted) == 0, "ftruncate");
    touch(map(wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd), wanted);
}

static void take_prot_none(void)
{
    char *p = map(wanted, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    for (size_t at = 0; at < wanted; at += MB) {
        need(mprotect(p + at, MB, PROT_READ | PROT_WRITE) == 0, "mprotect");
        touch(p + at, MB);
    }
}

static void take_mremap(void)
{
    size_t len = MB;
    char *p = map(len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    touch(p, len);
    while (len < wanted) {
        p = mremap(p, len, len + MB, MREMAP_MAYMOVE);
        need(p != MAP_FAILED, "mremap");
        touch(p + len, MB);
        len += MB;
    }
}

static void take_brk(void)
{
    for (size_t at = 0; at < wanted; at += MB) {
        char *p = sbrk((intptr_t)MB);
        need(p != (char *)-1, "sbrk");
        touch(p, MB);
    }
}

static void take_sysv(void)
{
    int id = shmget(IPC_PRIVATE, wanted, IPC_CREAT | 0600);
    need(id >= 0, "shmget");
    char *p = shmat(id, NULL, 0);
    need(p != (char *)-1, "shmat");
    shmctl(id, IPC_RMID, NULL); /* gone with the last user */
    touch(p, wanted);
}

static void take_stack(void)
{
    char *p = map(wanted, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_NORESERVE, -1);
    touch(p, wanted);
}

/* Credit for what was never had (RES-03). */
static void take_credit(void)
{
    char *far = map(64 * 1024 * MB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    for (size_t at = 0; at < wanted; at += MB) {
        char *p = map(MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        touch(p, MB);
        madvise(far + 40 * 1024 * MB, 1024 * MB, MADV_DONTNEED);
        munmap((char *)0x10000000000, 1024 * MB);
        munmap(far + 50 * 1024 * MB + at, MB);
        mremap(far + 32 * 1024 * MB, MB, 0, 0);
    }
}

/* No single one is over the limit. */
static void take_many(void)
{
    size_t each = wanted / WORKERS;
    for (int i = 0; i < WORKERS; i++) {
        pid_t pid = fork();
        need(pid >= 0, "fork");
        if (pid == 0) {
            touch(map(each, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1), each);
            pause();
        }
    }
    pause();
}

/* Shared at the fork, its own as it is written. */
static void take_unshared(void)
{
    size_t each = wanted / WORKERS;
    char *p = map(each, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    touch(p, each);
    for (int i = 1; i < WORKERS; i++) {
        pid_t pid = fork();
        need(pid >= 0, "fork");
        if (pid == 0) {
            touch(p, each);
            pause();
        }
    }
    pause();
}

static void take_below(int depth)
{
    pid_t pid = depth == 0 ? 0 : fork();
    need(pid >= 0, "fork");
    if (depth > 0 && pid != 0) {
        int status;
        waitpid(pid, &status, 0);
        exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
    if (depth > 0) {
        setsid();
        take_below(depth - 1);
    }
    take_noreserve();
}

/* RES-06: somebody of its own session, far from the first process. */
static void take_grandchild(void)
{
    take_below(3);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*take)(void);
    } ways[] = {
        {"noreserve", take_noreserve},
        {"shared", take_shared},
        {"shared_dropped", take_shared_dropped},
        {"memfd", take_memfd},
        {"memfd_mapped", take_memfd_mapped},
        {"fallocate", take_fallocate},
        {"in_flight", take_in_flight},
        {"tmpfs", take_tmpfs},
        {"tmpfs_closed", take_tmpfs_closed},
        {"tmpfs_unlinked", take_tmpfs_unlinked},
        {"private_file", take_private_file},
        {"prot_none", take_prot_none},
        {"mremap", take_mremap},
        {"brk", take_brk},
        {"sysv", take_sysv},
        {"stack", take_stack},
        {"credit", take_credit},
        {"many", take_many},
        {"unshared", take_unshared},
        {"grandchild", take_grandchild},
    };
    if (argc < 4) {
        return 2;
    }
    int fd = open(argv[2], O_RDWR | O_CREAT, 0600);
    need(fd >= 0 && ftruncate(fd, 4096) == 0, "counter");
    taken = (_Atomic uint64_t *)map(4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    wanted = (size_t)strtoul(argv[3], NULL, 10) * MB;
    directory = argc > 4 ? argv[4] : ".";
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        if (strcmp(ways[i].name, argv[1]) == 0) {
            ways[i].take();
            printf("taken\n");
            return 0;
        }
    }
    return 2;
}
