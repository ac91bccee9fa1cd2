/* HOST PORT: sends standard input over TCP, prints what comes back until the peer closes; says
 * "closed", "reset" or (after 20 s) "open" on standard error. */
#include "attack.h"

#include <netdb.h>
#include <poll.h>
#include <signal.h>

static void on_alarm(int number)
{
    (void)number;
    static const char text[] = "open\n";
    (void)!write(2, text, sizeof(text) - 1);
    _exit(3);
}

static int dial(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    if (getaddrinfo(host, port, &hints, &list)) {
        fprintf(stderr, "name\n");
        return -1;
    }
    for (struct addrinfo *a = list; a; a = a->ai_next) {
        int fd = socket(a->ai_family, SOCK_STREAM, 0);
        if (connect(fd, a->ai_addr, a->ai_addrlen) == 0) {
            return fd;
        }
        fprintf(stderr, "connect %s\n", strerrorname_np(errno));
        close(fd);
    }
    return -1;
}

static int receive(int fd)
{
    char data[65536];
    ssize_t n = read(fd, data, sizeof(data));
    if (n > 0) {
        fwrite(data, 1, (size_t)n, stdout);
        fflush(stdout);
        return 0;
    }
    fprintf(stderr, n == 0 ? "closed\n" : "reset\n");
    return 1;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, on_alarm);
    alarm(20);
    int fd = argc == 3 ? dial(argv[1], argv[2]) : -1;
    if (fd < 0) {
        return 1;
    }
    static char data[4 << 20];
    size_t len = fread(data, 1, sizeof(data), stdin), sent = 0;
    for (;;) {
        struct pollfd p = {fd, (short)(POLLIN | (sent < len ? POLLOUT : 0)), 0};
        if (poll(&p, 1, -1) < 0) {
            return 1;
        }
        if (p.revents & POLLOUT && sent < len) {
            ssize_t n = send(fd, data + sent, len - sent, MSG_DONTWAIT);
            sent = n < 0 ? (errno == EAGAIN ? sent : len) : sent + (size_t)n;
        }
        if (p.revents & (POLLIN | POLLHUP | POLLERR) && receive(fd)) {
            fflush(stdout);
            return 0;
        }
    }
}
