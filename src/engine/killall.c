/* Owns the ending of the tree. It kills only processes that are our children at that moment: a
 * number cannot be reused before its parent, which is us, has reaped it. */
#include "engine/killall.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/num.h"
#include "core/util.h"

#define LIST_MAX 65536 /* bytes of the list that one round looks at; the rest comes next round */
#define WAIT_MS  10

/* Kills and reaps what is our direct child now. Returns how many there were, reaped ones too, since
 * their own children may have become ours only then; *ret_one is one that is still there, or 0.
 * Only the main thread forks, and orphans are given to the first living thread: one list is all. */
static int kill_children(pid_t spare, pid_t *ret_one)
{
    static char list[LIST_MAX];
    char path[64];
    int seen = 0;
    *ret_one = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)getpid(), (int)getpid());
    sl_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, list, sizeof(list) - 1);
    if (n <= 0) {
        return 0;
    }
    list[n] = '\0';
    const char *at = list;
    uint64_t number;
    for (;;) {
        if (sl_num_next(&at, &number) < 0 || (*at != ' ' && *at != '\n')) {
            return seen; /* the end, or a number that was cut */
        }
        pid_t pid = (pid_t)number;
        if (pid == spare || pid <= 0) {
            continue;
        }
        seen++;
        kill(pid, SIGKILL);
        if (waitpid(pid, NULL, WNOHANG) != pid) {
            *ret_one = pid;
        }
    }
}

void sl_killall(pid_t spare)
{
    pid_t one = 0;
    siginfo_t info;
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0) {
        return; /* ECHILD: nobody is left, as mostly */
    }
    while (kill_children(spare, &one) > 0) {
        if (one == 0) {
            continue;
        }
        sl_autoclose int pidfd = (int)syscall(SYS_pidfd_open, one, 0);
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        if (pidfd >= 0) {
            poll(&p, 1, WAIT_MS);
        }
    }
}
