/* Owns the first process: it waits, passes signals on, and kills what is left if the engine dies.
 * It parses nothing and serves nobody, so that nothing can bring it down. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/util.h"
#include "engine/engine_int.h"
#include "engine/killall.h"
#include "engine/report.h"

/* What other processes send us is meant for the command. Terminal signals reach it without us. */
static const int passed[] = {SIGTERM, SIGINT,  SIGQUIT,  SIGHUP, SIGUSR1,
                             SIGUSR2, SIGALRM, SIGWINCH, SIGCONT};

static void pass_on(struct sl_run *run, int sig)
{
    unsigned char byte = (unsigned char)sig;
    ssize_t n = write(run->signal_pipe[1], &byte, 1);
    (void)n; /* a full pipe: the engine is not keeping up with signals, one more tells it nothing */
}

static int engine_ended(struct sl_run *run, int status)
{
    if (WIFEXITED(status)) {
        return WEXITSTATUS(status);
    }
    char message[96];
    snprintf(message, sizeof(message), "the engine was ended by signal %d; the run is over",
             WTERMSIG(status));
    sl_run_say(message);
    if (run->options->status_fd >= 0) {
        struct sl_report_end end = {
            .exit_code = 125, .reason = "error", .message = message, .name = run->policy->name};
        sl_report_status(NULL, run->options->status_fd, &end);
    }
    return 125;
}

int sl_guardian_main(struct sl_run *run, pid_t engine)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < SL_ARRAY_LEN(passed); i++) {
        sigaddset(&set, passed[i]);
    }
    for (;;) {
        int status;
        siginfo_t info;
        int sig = sigwaitinfo(&set, &info);
        if (sig > 0 && sig != SIGCHLD) {
            /* What the terminal sends (si_code > 0) reached the whole group, the command included.
             */
            if (info.si_code <= 0) {
                pass_on(run, sig);
            }
            continue;
        }
        pid_t pid = waitpid(-1, &status, WNOHANG);
        for (; pid > 0 && pid != engine; pid = waitpid(-1, &status, WNOHANG)) {
        }
        if (pid == engine) {
            int code = engine_ended(run, status);
            sl_killall(0);
            return code;
        }
    }
}
