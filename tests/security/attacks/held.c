/* VERB ...: processes that max_cpu cannot hold by ptrace(2). Says how often the child stopped, and
 * how it ended.
 *
 *   burn            uses its processor time and ends with 7
 *   watch PROGRAM   runs PROGRAM burn, which may be one that nobody can read
 *   trace           burns in a child that we trace, as a debugger does */
#include "attack.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#define BURN_MS 400

static int burn(void)
{
    struct timespec t;
    do {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    } while (t.tv_sec * 1000 + t.tv_nsec / 1000000 < BURN_MS);
    return 7;
}

static int watch(pid_t pid, bool traced)
{
    int status = 0;
    int stops = 0;
    while (waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status)) {
        stops++;
        if (traced) {
            ptrace(PTRACE_CONT, pid, NULL, (long)WSTOPSIG(status));
        }
    }
    printf("%d %d\n", stops, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    return 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "burn") == 0) {
        return burn();
    }
    bool traced = strcmp(verb, "trace") == 0;
    if (!traced && (strcmp(verb, "watch") != 0 || argc != 3)) {
        return 2;
    }
    pid_t pid = fork();
    if (pid == 0) {
        if (traced) {
            _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? 1 : burn());
        }
        execl(argv[2], argv[2], "burn", (char *)NULL);
        _exit(1);
    }
    return pid < 0 ? 1 : watch(pid, traced);
}
