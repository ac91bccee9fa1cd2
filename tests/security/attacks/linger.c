/* Makes the supervisor the last to close a socket whose peer never reads: with SO_LINGER on it, a
 * close waits. Then stays, for the run to be ended. */
#include "attack.h"

#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>

static int sock;

static void on_signal(int sig)
{
    (void)sig;
}

/* Blocks in a send that is performed on behalf; the signal ends it when `sock` is closed already.
 */
static void *fill(void *started)
{
    static char block[65536];
    struct iovec iov = {.iov_base = block, .iov_len = sizeof(block)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    (void)started;
    while (sendmsg(sock, &msg, MSG_NOSIGNAL) >= 0) {
    }
    report("send", -1);
    return NULL;
}

int main(int argc, char **argv)
{
    place p = place_of("127.0.0.1", "0");
    struct linger on = {.l_onoff = 1, .l_linger = 100000};
    struct sigaction action = {.sa_handler = on_signal};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    pthread_t thread;
    (void)argv;
    sock = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, place_sa(&p), p.len);
    getsockname(listener, place_sa(&p), &p.len);
    listen(listener, 1);
    if (report("connect", connect(sock, place_sa(&p), p.len))) {
        return 1;
    }
    report("linger", setsockopt(sock, SOL_SOCKET, SO_LINGER, &on, sizeof(on)));
    sigaction(SIGUSR1, &action, NULL);
    pthread_create(&thread, NULL, fill, NULL);
    /* full, and the thread waits: its own reading of "writable" would not be ours */
    for (int quiet = 0; quiet < 20; quiet++) {
        int queued = 0;
        static int before;
        usleep(10000);
        ioctl(sock, TIOCOUTQ, &queued);
        quiet = queued == before && queued > 0 ? quiet : 0;
        before = queued;
    }
    close(sock);
    pthread_kill(thread, SIGUSR1);
    pthread_join(thread, NULL);
    report("closed", 0);
    if (argc > 1) {
        pause();
    }
    return 0;
}
