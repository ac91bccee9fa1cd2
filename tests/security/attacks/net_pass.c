/* HOST PORT: a forked process gets sockets by SCM_RIGHTS and uses them there: connect of a TCP
 * socket, sendto of a UDP one. */
#include "attack.h"

#include <sys/wait.h>

static void pass(int pair, int fd)
{
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec iov = {"s", 1};
    struct msghdr msg = {NULL, 0, &iov, 1, control, sizeof(control), 0};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    report("pass", sendmsg(pair, &msg, 0));
}

static int take(int pair)
{
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {&byte, 1};
    struct msghdr msg = {NULL, 0, &iov, 1, control, sizeof(control), 0};
    int fd = -1;
    if (report("take", recvmsg(pair, &msg, 0)) == 0 && CMSG_FIRSTHDR(&msg)) {
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
    }
    return fd;
}

int main(int argc, char **argv)
{
    int pair[2];
    if (argc != 3 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) {
        return 2;
    }
    place to = place_of(argv[1], argv[2]);
    pid_t child = fork();
    if (child == 0) {
        int tcp = take(pair[1]);
        report("connect", connect(tcp, place_sa(&to), to.len));
        int udp = take(pair[1]);
        report("send", sendto(udp, "x", 1, 0, place_sa(&to), to.len));
        _exit(0);
    }
    pass(pair[0], socket(family_of(&to), SOCK_STREAM, 0));
    pass(pair[0], socket(family_of(&to), SOCK_DGRAM, 0));
    waitpid(child, NULL, 0);
    return 0;
}
