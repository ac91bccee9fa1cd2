/* Owns `sandlock kill`: the run that was meant is gone when it says so, and no other is. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "cli/mains.h"
#include "cli/runs/runs.h"
#include "cli/say.h"
#include "core/util.h"

#define GRACE_MS 5000 /* to end after SIGTERM; and to be gone after SIGKILL */

/* One signal for the command of the run. The exit code. */
static int send_signal(const sl_cli_run_words *w, sl_cli_guardian *ret_guardian)
{
    json_t *answer = NULL;
    int code = sl_cli_run_ask(w, SL_CONTROL_KILL, &answer, ret_guardian);
    if (code == 0 && !json_is_true(json_object_get(answer, "sent"))) {
        sl_error err;
        (void)sl_error_set(&err, ESRCH, "run '%s' is over", w->run);
        (void)sl_cli_fail(&err);
        code = SL_CLI_NO_RUN;
    }
    json_decref(answer);
    return code;
}

static bool is_over_within(const sl_cli_guardian *g, int ms)
{
    struct pollfd p = {.fd = g->pidfd, .events = POLLIN};
    return g->pidfd < 0 || poll(&p, 1, ms) > 0;
}

/* SIGKILL for the run that was asked to end, not for one that has its name by now. */
static int kill_run(const char *name, const sl_cli_guardian *g)
{
    sl_error err;
    json_t *answer = NULL;
    char number[16];
    snprintf(number, sizeof(number), "%d", g->pid);
    (void)sl_error_set(&err, ETIMEDOUT, "run '%s' did not end within %d s of SIGTERM; killing it",
                       name, GRACE_MS / 1000);
    (void)sl_cli_fail(&err);
    sl_cli_run_words w = {.run = number, .signal = SIGKILL};
    int code = sl_cli_run_ask(&w, SL_CONTROL_KILL, &answer, NULL);
    json_decref(answer);
    if (is_over_within(g, code == 0 ? GRACE_MS : 0)) {
        return 0;
    }
    if (code == 0) {
        (void)sl_error_set(&err, ETIMEDOUT, "run '%s' is still there %d s after SIGKILL", name,
                           GRACE_MS / 1000);
        code = sl_cli_fail(&err);
    }
    return code;
}

/* Asked to end, given time for it, then killed; and gone when we say so. */
static int end_run(sl_cli_run_words *w)
{
    sl_cli_guardian guardian = {.pidfd = -1};
    w->signal = SIGTERM;
    int code = send_signal(w, &guardian);
    if (code == 0 && !is_over_within(&guardian, GRACE_MS)) {
        code = kill_run(w->run, &guardian);
    }
    sl_close(guardian.pidfd);
    return code;
}

int sl_cli_kill_main(int argc, char **argv)
{
    sl_cli_run_words w = {0};
    sl_error err;
    int code = 0;
    int r = sl_cli_run_words_read(argc, argv, &w, &code, &err);
    if (r != 0) {
        return r < 0 ? sl_cli_fail(&err) : code;
    }
    return w.signal != 0 ? send_signal(&w, NULL) : end_run(&w);
}
