/* RES-01, and the limits beside it: many processes.
 *
 *   forks bomb           everybody forks for ever, until a line comes; then as a first process
 *                        again
 *   forks short N        N children, one after the other
 *   forks hold MB N      N children of 8 MB each beside a parent that holds MB (RES-05)
 *   forks burn N TURNS   N processes that burn, each in so many children of 20 ms */
#include "attack.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define MB   ((size_t)1 << 20)
#define PART (8 * MB)

static void touch(char *p, size_t len)
{
    for (size_t i = 0; i < len; i += 4096) {
        ((volatile char *)p)[i] = 1;
    }
}

static char *take(size_t len)
{
    char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        _exit(3);
    }
    touch(p, len);
    return p;
}

static int bomb(void)
{
    char line;
    for (;;) {
        pid_t pid = fork();
        while (pid == 0) {
            fork();
        }
        if (pid < 0) {
            break;
        }
    }
    report("full", -1);
    while (read(0, &line, 1) == 1 && line != '\n') {
    }
    while (kill(-1, SIGKILL) == 0) { /* the rest of the tree, until there is none */
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
    }
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    report("again", pid);
    return pid < 0 || waitpid(pid, NULL, 0) != pid;
}

static int short_lives(int n)
{
    for (volatile int i = 0; i < n; i++) {
        pid_t pid = i % 2 == 0 ? fork() : vfork();
        if (pid == 0) {
            _exit(0);
        }
        if (pid < 0) {
            return report("fork", pid);
        }
        waitpid(pid, NULL, 0);
    }
    return report("all", 0);
}

/* Some of the children share the parent's memory, which counts once; the others run a program. */
static int hold(const char *self, size_t len, int n)
{
    int status;
    take(len);
    for (volatile int i = 0; i < n; i++) {
        pid_t pid = i % 40 == 0 ? fork() : vfork();
        if (pid == 0 && i % 40 == 0) {
            take(PART);
            _exit(0);
        }
        if (pid == 0) {
            execl(self, self, "part", (char *)NULL);
            _exit(4);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
            return report("child", -1);
        }
    }
    return report("all", 0);
}

static void spend(long ms)
{
    struct timespec t;
    do {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    } while (t.tv_sec * 1000 + t.tv_nsec / 1000000 < ms);
}

static int burn(long processes, long turns)
{
    bool first = true;
    for (volatile long i = 1; first && i < processes; i++) {
        first = fork() != 0;
    }
    for (volatile long i = 0; i < turns; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            spend(20);
            _exit(0);
        }
        waitpid(pid, NULL, 0);
    }
    while (waitpid(-1, NULL, 0) > 0) {
    }
    return first ? report("all", 0) : 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    long first = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
    long second = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
    if (strcmp(what, "bomb") == 0) {
        return bomb();
    }
    if (strcmp(what, "part") == 0) {
        take(PART);
        return 0;
    }
    if (strcmp(what, "short") == 0) {
        return short_lives((int)first);
    }
    if (strcmp(what, "hold") == 0) {
        return hold(argv[0], (size_t)first * MB, (int)second);
    }
    return burn(first, second);
}
