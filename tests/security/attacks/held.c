/* VERB ...: processes that max_cpu cannot hold by ptrace(2). Says how often the child stopped, and
 * how it ended.
 *
 *   burn            uses its processor time and ends with 7
 *   watch PROGRAM   runs PROGRAM burn, which may be one that nobody can read
 *   trace           burns in a child that we trace, as a debugger does
 *   chain N         the same, but between us and that child N debuggers debug each other */
#include "attack.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#define BURN_MS 200

static int burn(void)
{
    struct timespec t;
    do {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    } while (t.tv_sec * 1000 + t.tv_nsec / 1000000 < BURN_MS);
    return 7;
}

/* Lets the child go on whenever it stops. How it ended, and how often SIGSTOP stopped it before: a
 * debugger among the children stops for its SIGCHLD as well. */
static int follow(pid_t pid, bool traced, int *ret_stops)
{
    int status = 0;
    *ret_stops = 0;
    while (waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status)) {
        *ret_stops += WSTOPSIG(status) == SIGSTOP;
        if (traced) {
            ptrace(PTRACE_CONT, pid, NULL, (long)WSTOPSIG(status));
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Burns at the end of so many debuggers, each the child of the one before. */
static int burn_below(int debuggers, int *ret_stops)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0) {
            _exit(1);
        }
        _exit(debuggers == 0 ? burn() : burn_below(debuggers - 1, ret_stops));
    }
    return pid < 0 ? -1 : follow(pid, true, ret_stops);
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    int stops = 0;
    int code = 0;
    if (strcmp(verb, "burn") == 0) {
        return burn();
    }
    if (strcmp(verb, "trace") == 0) {
        code = burn_below(0, &stops);
    } else if (strcmp(verb, "chain") == 0 && argc == 3) {
        code = burn_below((int)strtol(argv[2], NULL, 10), &stops);
    } else if (strcmp(verb, "watch") == 0 && argc == 3) {
        pid_t pid = fork();
        if (pid == 0) {
            execl(argv[2], argv[2], "burn", (char *)NULL);
            _exit(1);
        }
        code = pid < 0 ? -1 : follow(pid, false, &stops);
    } else {
        return 2;
    }
    printf("%d %d\n", stops, code);
    return 0;
}
