/* Owns the first process: it waits, passes signals on, and kills what is left if the engine dies.
 * It parses nothing and serves nobody, so that nothing can bring it down; the bytes of an
 * interactive run it moves, unseen. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
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

/* True once the engine is reaped. What else falls to us is reaped on the way. */
static bool reap(pid_t engine, int *ret_status)
{
    pid_t pid = waitpid(-1, ret_status, WNOHANG);
    while (pid > 0 && pid != engine) {
        pid = waitpid(-1, ret_status, WNOHANG);
    }
    return pid == engine;
}

static int wait_plain(struct sl_run *run, pid_t engine, const sigset_t *set)
{
    int status;
    siginfo_t info;
    for (;;) {
        int sig = sigwaitinfo(set, &info);
        if (sig > 0 && sig != SIGCHLD) {
            /* What the terminal sends (si_code > 0) reached the whole group, the command included.
             */
            if (info.si_code <= 0) {
                pass_on(run, sig);
            }
            continue;
        }
        if (reap(engine, &status)) {
            return status;
        }
    }
}

/* With a terminal between: what the caller's terminal sends is for us, and the command has its own.
 */
static void on_signal(struct sl_run *run, const struct signalfd_siginfo *info)
{
    int sig = (int)info->ssi_signo;
    if (sig == SIGWINCH) {
        sl_terminal_resize(run->terminal);
    } else if (sig == SIGTSTP) {
        sl_terminal_restore(run->terminal);
        kill(getpid(), SIGSTOP);
    } else if (sig == SIGHUP || info->ssi_code <= 0) {
        pass_on(run, sig);
    }
    if ((sig == SIGTSTP || sig == SIGCONT) && run->interacts) {
        sl_terminal_begin(run->terminal);
    }
}

/* The engine says that the command runs, and that it is gone; its death says so too. Then the
 * terminal is the caller's again, and the engine, which waits for that, may speak. */
static void on_news(struct sl_run *run)
{
    char news;
    ssize_t n = read(run->news_pipe[0], &news, 1); /* the second may be there already */
    if (n == 1 && news == SL_NEWS_STARTED) {
        run->interacts = true;
        sl_terminal_begin(run->terminal);
    } else if (n >= 0 || errno != EINTR) {
        run->interacts = false;
        sl_terminal_drain(run->terminal);
        sl_terminal_restore(run->terminal);
        sl_close(sl_steal_fd(&run->news_pipe[0]));
        pass_on(run, SL_SIGNAL_RESTORED);
    }
}

static int wait_interactive(struct sl_run *run, pid_t engine, sigset_t *set)
{
    enum { SIGNALS = SL_TERMINAL_POLLED, NEWS, COUNT };
    struct pollfd polled[COUNT];
    struct signalfd_siginfo info;
    int status;
    sl_close(sl_steal_fd(&run->news_pipe[1]));
    sl_terminal_close_slave(run->terminal);
    sigaddset(set, SIGTSTP);
    sigprocmask(SIG_BLOCK, set, NULL);
    sl_autoclose int signals = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0) {
        return wait_plain(run, engine,
                          set); /* no descriptor left: without keyboard, not without end */
    }
    for (;;) {
        sl_terminal_poll(run->terminal, polled);
        polled[SIGNALS] = (struct pollfd){.fd = signals, .events = POLLIN};
        polled[NEWS] = (struct pollfd){.fd = run->news_pipe[0], .events = POLLIN};
        if (poll(polled, COUNT, -1) < 0) {
            continue;
        }
        sl_terminal_pump(run->terminal, polled);
        if (polled[NEWS].revents != 0) {
            on_news(run);
        }
        while (read(signals, &info, sizeof(info)) == sizeof(info)) {
            if (info.ssi_signo != SIGCHLD) {
                on_signal(run, &info);
            }
        }
        if (reap(engine, &status)) {
            while (run->news_pipe[0] >= 0) {
                on_news(run); /* to the end */
            }
            return status;
        }
    }
}

int sl_guardian_main(struct sl_run *run, pid_t engine)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < SL_ARRAY_LEN(passed); i++) {
        sigaddset(&set, passed[i]);
    }
    int status =
        run->terminal != NULL ? wait_interactive(run, engine, &set) : wait_plain(run, engine, &set);
    int code = engine_ended(run, status);
    sl_killall(0);
    return code;
}
