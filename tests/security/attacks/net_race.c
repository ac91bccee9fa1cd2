/* VERB ROUNDS HOST PORT HOST PORT: races against the check. The first destination is denied, the
 * second allowed.
 *   addr     a thread rewrites the sockaddr of connect(2)
 *   addr_udp a thread rewrites the sockaddr of sendto(2) (datagrams hold "x")
 *   iov_udp  a thread rewrites msg_name of sendmsg(2)
 *   dup      a thread flips the fd between a TCP and a UDP socket; both destinations the same
 *   local    a thread flips it between a local and a UDP socket while a message with an address is
 *            sent on it
 *   table    a process does, which shares the table of descriptors
 *   chain    threads do, each of which makes the next and ends; what the kernel refuses, since a
 *            local stream takes no address, is counted as done */
#include "attack.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static struct sockaddr_in shared;
static struct sockaddr_in sides[2];
static struct msghdr message;
static atomic_int stop;
static const char *verb;
static int slot = 200;

static void *flip(void *arg)
{
    int *fds = arg;
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        if (strcmp(verb, "dup") == 0 || strcmp(verb, "local") == 0 || strcmp(verb, "table") == 0) {
            dup2(fds[i & 1], slot);
        } else if (strcmp(verb, "iov_udp") == 0) {
            *(void *volatile *)&message.msg_name = &sides[i & 1];
        } else {
            *(volatile unsigned *)&shared.sin_addr.s_addr = sides[i & 1].sin_addr.s_addr;
        }
    }
    return NULL;
}

#define LINKS      64
#define LINK_STACK 16384u
#define A_THREAD                                                                                   \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |            \
     CLONE_CHILD_CLEARTID)

static char stacks[LINKS][LINK_STACK] __attribute__((aligned(16)));
static atomic_int taken[LINKS]; /* the kernel takes it back when who stands there has ended */
static atomic_uint made;

static int next_link(void *arg);

static int make_link(unsigned n, void *arg)
{
    unsigned i = n % LINKS;
    while (atomic_load(&taken[i]) != 0) {
        sched_yield();
    }
    atomic_store(&taken[i], 1);
    int tid = clone(next_link, stacks[i] + LINK_STACK, A_THREAD, arg, NULL, NULL, &taken[i]);
    if (tid < 0) {
        atomic_store(&taken[i], 0);
    }
    return tid;
}

/* One lives at a time, or two. */
static int next_link(void *arg)
{
    int *fds = arg;
    unsigned own = atomic_fetch_add(&made, 1);
    dup2(fds[own & 1], slot);
    while (!atomic_load(&stop) && make_link(own + 1, arg) < 0) {
    }
    syscall(SYS_exit, 0);
    return 0;
}

static long one_connect(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct linger now = {1, 0};
    long rc = connect(fd, (struct sockaddr *)&shared, sizeof(shared));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
    return rc;
}

/* Messages to the first destination on whatever has the number. */
static long send_local(long rounds)
{
    int pair[2];
    long done = 0;
    pid_t child = 0;
    pthread_t thread;
    bool chain = strcmp(verb, "chain") == 0;
    if (socketpair(AF_UNIX, chain ? SOCK_STREAM : SOCK_SEQPACKET, 0, pair) < 0) {
        return -1;
    }
    int fds[2] = {pair[0], socket(AF_INET, SOCK_DGRAM, 0)};
    message.msg_name = &sides[0];
    dup2(fds[0], slot);
    if (strcmp(verb, "table") == 0) {
        child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
        if (child == 0) {
            flip(fds);
        }
    } else if (chain) {
        make_link(0, fds);
    } else {
        pthread_create(&thread, NULL, flip, fds);
    }
    for (long i = 0; i < rounds; i++) {
        done += sendmsg(slot, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 || errno == EISCONN;
        recv(pair[1], (char[1]){0}, 1, MSG_DONTWAIT);
    }
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    } else if (chain) {
        atomic_store(&stop, 1);
    } else {
        atomic_store(&stop, 1);
        pthread_join(thread, NULL);
    }
    return done;
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        return 2;
    }
    verb = argv[1];
    long rounds = strtol(argv[2], NULL, 10), done = 0;
    for (int i = 0; i < 2; i++) {
        place p = place_of(argv[3 + 2 * i], argv[4 + 2 * i]);
        memcpy(&sides[i], &p.addr, sizeof(sides[i]));
    }
    shared = sides[1];
    struct iovec iov = {"x", 1};
    message = (struct msghdr){&sides[1], sizeof(sides[1]), &iov, 1, NULL, 0, 0};
    if (strcmp(verb, "local") == 0 || strcmp(verb, "table") == 0 || strcmp(verb, "chain") == 0) {
        printf("done %ld\n", send_local(rounds));
        return 0;
    }
    int fds[2] = {socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_DGRAM, 0)};
    dup2(fds[0], slot);
    pthread_t thread;
    pthread_create(&thread, NULL, flip, fds);
    for (long i = 0; i < rounds; i++) {
        if (strcmp(verb, "addr") == 0) {
            done += one_connect() == 0;
        } else if (strcmp(verb, "addr_udp") == 0) {
            done += sendto(fds[1], "x", 1, 0, (struct sockaddr *)&shared, sizeof(shared)) == 1;
        } else if (strcmp(verb, "iov_udp") == 0) {
            done += sendmsg(fds[1], &message, 0) == 1;
        } else {
            connect(slot, (struct sockaddr *)&sides[0], sizeof(sides[0]));
            done += send(fds[1], "x", 1, MSG_NOSIGNAL) == 1;
        }
    }
    atomic_store(&stop, 1);
    pthread_join(thread, NULL);
    printf("done %ld\n", done);
    return 0;
}
