/* Takes kernel memory: by WAY, MEGABYTES at most. Writes how many bytes it has had taken, all at
 * once, into COUNTER, which it maps; prints "taken" when it had all it wanted, else "refused". */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "attack.h"

#define CHUNK     65536
#define HUGE_PAGE (2u << 20)
#define MANY      1200 /* descriptors of one process */

static volatile uint64_t *counter;
static uint64_t wanted;
static const char *dir;
static char chunk[CHUNK];

static bool is_done(void)
{
    return *counter >= wanted;
}

static void count(uint64_t bytes)
{
    __atomic_fetch_add(counter, bytes, __ATOMIC_SEQ_CST);
}

static void nonblocking(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* As much as goes in. */
static void fill(int fd)
{
    nonblocking(fd);
    for (size_t size = CHUNK; size > 0 && !is_done(); size /= 2) {
        for (ssize_t n; !is_done() && (n = send(fd, chunk, size, MSG_NOSIGNAL)) > 0;) {
            count((uint64_t)n);
        }
    }
}

static void fill_pipe(int fd)
{
    nonblocking(fd);
    for (ssize_t n; !is_done() && (n = write(fd, chunk, CHUNK)) > 0;) {
        count((uint64_t)n);
    }
}

static void ask_for_much(int fd)
{
    int most = INT_MAX / 2;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &most, sizeof(most));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &most, sizeof(most));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &most, sizeof(most));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &most, sizeof(most));
}

/* In processes, one after the other while there is one more to be had: each holds what it has until
 * the end. `one` is false when nothing more can be made. */
static void with_processes(bool (*one)(void))
{
    int hold[2];
    int failed = 0;
    if (pipe(hold) < 0) {
        exit(2);
    }
    while (!is_done() && failed < 3) {
        int ready[2];
        uint64_t had = *counter;
        if (pipe(ready) < 0) {
            break;
        }
        pid_t pid = fork();
        if (pid == 0) {
            char byte;
            close(hold[1]);
            close(ready[0]);
            for (int i = 0; i < MANY && !is_done() && one(); i++) {
            }
            close(ready[1]);
            while (read(hold[0], &byte, 1) > 0) {
            }
            _exit(0);
        }
        if (pid < 0) {
            break;
        }
        char byte;
        close(ready[1]);
        while (read(ready[0], &byte, 1) > 0) {
        }
        close(ready[0]);
        failed = *counter == had ? failed + 1 : 0;
    }
}

static bool pair(int type)
{
    int fds[2];
    if (socketpair(AF_UNIX, type, 0, fds) < 0) {
        return false;
    }
    ask_for_much(fds[0]);
    ask_for_much(fds[1]);
    fill(fds[0]);
    fill(fds[1]);
    return true;
}

static bool streams(void)
{
    return pair(SOCK_STREAM);
}

static bool packets(void)
{
    return pair(SOCK_SEQPACKET);
}

static bool datagrams(void)
{
    return pair(SOCK_DGRAM);
}

/* Who sent is gone, and its data is not. */
static bool closed_senders(void)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0) {
        return false;
    }
    ask_for_much(fds[0]);
    fill(fds[0]);
    close(fds[0]);
    return true;
}

/* Both ends lie in a message to a third one, and in nobody's table. */
static bool under_way(void)
{
    static int post[2] = {-1, -1};
    static int letters = 0;
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0) {
        return false;
    }
    fill(fds[0]);
    fill(fds[1]);
    if (letters++ % 32 == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, post) < 0) {
        return false;
    }
    struct iovec iov = {"x", 1};
    char control[CMSG_SPACE(sizeof(fds))] = {0};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    *c = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(fds))};
    memcpy(CMSG_DATA(c), fds, sizeof(fds));
    bool sent = sendmsg(post[0], &msg, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
    close(fds[0]);
    close(fds[1]);
    return sent;
}

static int listen_tcp(struct sockaddr_in *ret)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t len = sizeof(*ret);
    *ret = (struct sockaddr_in){.sin_family = AF_INET};
    ret->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) {
        return -1;
    }
    ask_for_much(fd);
    return bind(fd, (struct sockaddr *)ret, len) == 0 && listen(fd, 4096) == 0 &&
                   getsockname(fd, (struct sockaddr *)ret, &len) == 0
               ? fd
               : -1;
}

static int connect_tcp(const struct sockaddr_in *to)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0) {
        ask_for_much(fd);
        if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0) {
            close(fd);
            return -1;
        }
    }
    return fd;
}

static bool tcp(void)
{
    static struct sockaddr_in sa;
    static int listener = -1;
    if (listener < 0 && (listener = listen_tcp(&sa)) < 0) {
        return false;
    }
    int client = connect_tcp(&sa);
    int server = client < 0 ? -1 : accept(listener, NULL, NULL);
    if (server < 0) {
        return false;
    }
    fill(client);
    fill(server);
    return true;
}

/* The end that sent is closed, and what it could not send waits in the kernel. */
static bool tcp_closed(void)
{
    static struct sockaddr_in sa;
    static int listener = -1;
    if (listener < 0 && (listener = listen_tcp(&sa)) < 0) {
        return false;
    }
    int client = connect_tcp(&sa);
    int server = client < 0 ? -1 : accept(listener, NULL, NULL);
    if (server < 0) {
        return false;
    }
    fill(client);
    close(client);
    return true;
}

/* A connection that nobody accepts, whose client is gone. */
static bool tcp_waiting(void)
{
    struct sockaddr_in sa;
    int listener = listen_tcp(&sa);
    if (listener < 0) {
        return false;
    }
    for (int i = 0; i < 4096 && !is_done(); i++) {
        int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (client < 0) {
            return false;
        }
        uint64_t had = *counter;
        (void)connect(client, (struct sockaddr *)&sa, sizeof(sa));
        fill(client);
        if (*counter == had) {
            close(client);
            break; /* nobody waits any more */
        }
        close(client);
    }
    listen(listener, 0); /* who waits goes on waiting */
    return true;
}

static int name_of(struct sockaddr_un *sa)
{
    static int number = 0;
    *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(sa->sun_path, sizeof(sa->sun_path), "%s/%d-%d", dir, (int)getpid(), number++);
    return (int)sizeof(*sa);
}

static bool unix_waiting(void)
{
    struct sockaddr_un sa;
    int len = name_of(&sa);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    bool ok = listener >= 0 && bind(listener, (struct sockaddr *)&sa, len) == 0 &&
              listen(listener, 4096) == 0;
    for (int i = 0; ok && i < 4096 && !is_done(); i++) {
        int client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (client < 0 || connect(client, (struct sockaddr *)&sa, len) < 0) {
            close(client);
            break;
        }
        ask_for_much(client);
        fill(client);
        close(client);
    }
    listen(listener, 0);
    unlink(sa.sun_path);
    return ok;
}

static bool unix_accepted(void)
{
    static struct sockaddr_un sa;
    static int listener = -1;
    int len = sizeof(sa);
    if (listener < 0) {
        len = name_of(&sa);
        listener = socket(AF_UNIX, SOCK_STREAM, 0);
        if (listener < 0 || bind(listener, (struct sockaddr *)&sa, len) < 0 ||
            listen(listener, 16) < 0) {
            return false;
        }
    }
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    int server = client < 0 || connect(client, (struct sockaddr *)&sa, len) < 0
                     ? -1
                     : accept(listener, NULL, NULL);
    if (server < 0) {
        close(client);
        return false;
    }
    ask_for_much(server);
    fill(server);
    fill(client);
    return true;
}

static bool udp(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET};
    socklen_t len = sizeof(sa);
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0) {
        return false;
    }
    ask_for_much(fd);
    if (bind(fd, (struct sockaddr *)&sa, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&sa, &len) < 0) {
        return false;
    }
    /* the kernel takes all and drops what does not fit: what lies there is told by reading it */
    for (int i = 0; i < 128; i++) {
        sendto(fd, chunk, 60000, MSG_DONTWAIT, (struct sockaddr *)&sa, len);
    }
    uint64_t lay = 0;
    while (recv(fd, chunk, CHUNK, MSG_DONTWAIT) > 0) {
        lay += 60000;
    }
    for (uint64_t i = 0; i < lay / 60000; i++) {
        sendto(fd, chunk, 60000, MSG_DONTWAIT, (struct sockaddr *)&sa, len);
    }
    count(lay);
    return true;
}

static bool pipes(void)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0) {
        return false;
    }
    fcntl(fds[1], F_SETPIPE_SZ, 1 << 20);
    fill_pipe(fds[1]);
    return true;
}

static bool fifos(void)
{
    struct sockaddr_un name;
    name_of(&name);
    if (mkfifo(name.sun_path, 0600) < 0) {
        return false;
    }
    int fd = open(name.sun_path, O_RDWR | O_CLOEXEC);
    unlink(name.sun_path);
    if (fd < 0) {
        return false;
    }
    fcntl(fd, F_SETPIPE_SZ, 1 << 20);
    fill_pipe(fd);
    return true;
}

/* Pages that are lent to a pipe, one byte of each, and are not the process's any more. */
static bool lent(void)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        return false;
    }
    for (int i = 0; i < 16 && !is_done(); i++) {
        char *area =
            mmap(NULL, 2 * HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char *page = (char *)(((uintptr_t)area + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
        madvise(page, HUGE_PAGE, MADV_HUGEPAGE);
        memset(page, 1, HUGE_PAGE);
        struct iovec iov = {page, 1};
        bool ok = vmsplice(fds[1], &iov, 1, SPLICE_F_NONBLOCK) == 1;
        munmap(area, 2 * HUGE_PAGE);
        if (!ok) {
            return false;
        }
        count(HUGE_PAGE);
    }
    return true;
}

/* Pages of a file that is made shorter, one byte of each, lent to a socket or a pipe. */
static bool lend_file(int to, bool by_sendfile)
{
    int file = memfd_create("lent", MFD_CLOEXEC);
    bool ok = file >= 0 && ftruncate(file, 64 * 4096) == 0;
    for (int i = 0; ok && i < 64 && !is_done(); i++) {
        off_t at = i * 4096;
        ok = pwrite(file, "x", 1, at) == 1 &&
             (by_sendfile ? sendfile(to, file, &at, 1)
                          : splice(file, &at, to, NULL, 1, SPLICE_F_NONBLOCK)) == 1;
        count(ok ? 4096 : 0);
    }
    close(file);
    return ok;
}

/* Whether a page is lent, and not copied: who has it is told of what is written to it later. */
static bool is_lent(int to, int from)
{
    char byte = 0;
    off_t at = 0;
    int file = memfd_create("probe", MFD_CLOEXEC);
    bool ok = file >= 0 && pwrite(file, "x", 1, 0) == 1 && sendfile(to, file, &at, 1) == 1 &&
              pwrite(file, "y", 1, 0) == 1 && read(from, &byte, 1) == 1;
    close(file);
    return ok && byte == 'y';
}

static bool sendfiles(void)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0) {
        return false;
    }
    bool lends = is_lent(fds[0], fds[1]);
    while (lends && !is_done() && lend_file(fds[0], true)) {
    }
    return lends;
}

static bool splices(void)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        return false;
    }
    uint64_t had = *counter;
    lend_file(fds[1], false);
    return *counter > had;
}

/* Thousands that wait, and touch next to nothing. */
static void *wait_on(void *arg)
{
    pause();
    return arg;
}

static bool threads(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 16384);
    while (!is_done() && pthread_create(&thread, &attr, wait_on, NULL) == 0) {
        count(16384);
    }
    return false;
}

/* And stays, until it is ended. */
static bool threads_stay(void)
{
    threads();
    pause();
    return false;
}

static const struct way {
    const char *name;
    bool (*one)(void);
} ways[] = {
    {"streams", streams},
    {"packets", packets},
    {"datagrams", datagrams},
    {"closed_senders", closed_senders},
    {"under_way", under_way},
    {"tcp", tcp},
    {"tcp_closed", tcp_closed},
    {"tcp_waiting", tcp_waiting},
    {"unix_waiting", unix_waiting},
    {"unix_accepted", unix_accepted},
    {"udp", udp},
    {"pipes", pipes},
    {"fifos", fifos},
    {"lent", lent},
    {"sendfiles", sendfiles},
    {"splices", splices},
    {"threads", threads},
    {"threads_stay", threads_stay},
};

int main(int argc, char **argv)
{
    if (argc != 5) {
        return 2;
    }
    int file = open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof(*counter)) < 0) {
        return 2;
    }
    counter = mmap(NULL, sizeof(*counter), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    wanted = strtoull(argv[3], NULL, 10) << 20;
    dir = argv[4];
    struct rlimit files = {0};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        if (strcmp(ways[i].name, argv[1]) == 0) {
            with_processes(ways[i].one);
            puts(is_done() ? "taken" : "refused");
            return 0;
        }
    }
    return 2;
}
