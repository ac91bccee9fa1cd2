/* Owns the first process: it waits, passes signals on, and kills what is left if the engine dies.
 * It parses nothing and serves nobody, so that nothing can bring it down; the bytes of an
 * interactive run it moves, unseen. */
#include "engine/guardian.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/util.h"
#include "engine/caller/report.h"
#include "engine/caller/say.h"
#include "engine/killall.h"

/* What other processes send us is meant for the command. Terminal signals reach it without us. */
static const int passed[] = {SIGTERM, SIGINT,  SIGQUIT,  SIGHUP, SIGUSR1,
                             SIGUSR2, SIGALRM, SIGWINCH, SIGCONT};

static int engine_ended(const sl_guardian *g, int status)
{
    if (WIFEXITED(status)) {
        return WEXITSTATUS(status);
    }
    char message[96];
    snprintf(message, sizeof(message), "the engine was ended by signal %d; the run is over",
             WTERMSIG(status));
    sl_say(message);
    if (g->status_fd >= 0) {
        struct sl_report_end end = {
            .exit_code = 125, .reason = "error", .message = message, .name = g->name};
        sl_report_status(NULL, g->status_fd, &end);
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

static int wait_plain(const sl_guardian *g, const sigset_t *set)
{
    int status;
    siginfo_t info;
    for (;;) {
        int sig = sigwaitinfo(set, &info);
        if (sig > 0 && sig != SIGCHLD) {
            /* What the terminal sends (si_code > 0) reached the whole group, the command included.
             */
            if (info.si_code <= 0) {
                sl_wire_pass_on(g->wire, sig);
            }
            continue;
        }
        if (reap(g->engine, &status)) {
            return status;
        }
    }
}

/* With a terminal between: what the caller's terminal sends is for us, and the command has its own.
 */
static void on_signal(const sl_guardian *g, const struct signalfd_siginfo *info)
{
    int sig = (int)info->ssi_signo;
    if (sig == SIGWINCH) {
        sl_terminal_resize(g->terminal);
    } else if (sig == SIGTSTP) {
        sl_terminal_restore(g->terminal);
        kill(getpid(), SIGSTOP);
    } else if (sig == SIGHUP || info->ssi_code <= 0) {
        sl_wire_pass_on(g->wire, sig);
    }
    if ((sig == SIGTSTP || sig == SIGCONT) && g->interacts) {
        sl_terminal_begin(g->terminal);
    }
}

/* The engine says that the command runs, and that it is gone; its death says so too. Then the
 * terminal is the caller's again, and the engine, which waits for that, may speak. */
static void on_news(sl_guardian *g)
{
    int news = sl_wire_read_news(g->wire); /* the second may be there already */
    if (news == SL_NEWS_STARTED) {
        g->interacts = true;
        sl_terminal_begin(g->terminal);
    } else if (news == SL_NEWS_ENDED) {
        g->interacts = false;
        sl_terminal_drain(g->terminal);
        sl_terminal_restore(g->terminal);
        sl_wire_close_news(g->wire);
        sl_wire_pass_on(g->wire, SL_WIRE_RESTORED);
    }
}

static int wait_interactive(sl_guardian *g, sigset_t *set)
{
    enum { SIGNALS = SL_TERMINAL_POLLED, NEWS, COUNT };
    struct pollfd polled[COUNT];
    struct signalfd_siginfo info;
    int status;
    sl_wire_keep_guardian(g->wire);
    sl_terminal_close_slave(g->terminal);
    sigaddset(set, SIGTSTP);
    sigprocmask(SIG_BLOCK, set, NULL);
    sl_autoclose int signals = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0) {
        return wait_plain(g, set); /* no descriptor left: without keyboard, not without end */
    }
    for (;;) {
        sl_terminal_poll(g->terminal, polled);
        polled[SIGNALS] = (struct pollfd){.fd = signals, .events = POLLIN};
        polled[NEWS] = (struct pollfd){.fd = g->wire->news[0], .events = POLLIN};
        if (poll(polled, COUNT, -1) < 0) {
            continue;
        }
        sl_terminal_pump(g->terminal, polled);
        if (polled[NEWS].revents != 0) {
            on_news(g);
        }
        while (read(signals, &info, sizeof(info)) == sizeof(info)) {
            if (info.ssi_signo != SIGCHLD) {
                on_signal(g, &info);
            }
        }
        if (reap(g->engine, &status)) {
            while (g->wire->news[0] >= 0) {
                on_news(g); /* to the end */
            }
            return status;
        }
    }
}

int sl_guardian_main(sl_guardian *g)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < SL_ARRAY_LEN(passed); i++) {
        sigaddset(&set, passed[i]);
    }
    int status = g->terminal != NULL ? wait_interactive(g, &set) : wait_plain(g, &set);
    int code = engine_ended(g, status);
    sl_killall(0);
    return code;
}
