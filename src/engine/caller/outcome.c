/* Owns how a run ended: which of several reasons counts, and what is told of it. It ends nothing
 * itself. */
#include "engine/caller/outcome.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/util.h"
#include "engine/caller/say.h"
#include "policy/policy.h"

#define EXITED "exited" /* until there is another reason */

void sl_outcome_init(sl_outcome *o, const char *name)
{
    *o = (sl_outcome){.end = {.reason = EXITED, .name = name}};
}

void sl_outcome_exited(sl_outcome *o, int wait_status)
{
    if (strcmp(o->end.reason, EXITED) != 0) {
        return;
    }
    if (WIFSIGNALED(wait_status)) {
        o->end.signal = WTERMSIG(wait_status);
        o->end.exit_code = 128 + o->end.signal;
        o->end.reason = "signaled";
    } else {
        o->end.exit_code = WEXITSTATUS(wait_status);
    }
}

void sl_outcome_timeout(sl_outcome *o)
{
    o->end.reason = "timeout";
    o->end.exit_code = 124;
}

void sl_outcome_over_memory(sl_outcome *o, uint64_t max_memory)
{
    char size[SL_SIZE_TEXT_MAX];
    snprintf(o->message, sizeof(o->message), "the command went over its memory limit of %s",
             sl_size_text(max_memory, size));
    o->end.exit_code = 128 + SIGKILL;
    o->end.signal = SIGKILL;
    o->end.reason = "memory";
    o->end.message = o->message;
    sl_say(o->message);
}

void sl_outcome_failed(sl_outcome *o, const char *message)
{
    snprintf(o->message, sizeof(o->message), "%s; the run is over", message);
    o->end.exit_code = 125;
    o->end.signal = 0;
    o->end.reason = "error";
    o->end.message = o->message;
    o->unsaid = o->message;
}

void sl_outcome_not_started(sl_outcome *o, const sl_error *err)
{
    snprintf(o->message, sizeof(o->message), "%s", err->message);
    o->end.exit_code = sl_error_exit_code(err->kind);
    o->end.reason = "error";
    o->end.message = o->message;
    o->unsaid = o->message;
}

void sl_outcome_orphaned(sl_outcome *o)
{
    o->end.reason = "error";
    o->end.exit_code = 125;
}

bool sl_outcome_is_failure(const sl_outcome *o)
{
    return strcmp(o->end.reason, "error") == 0;
}

int sl_outcome_tell(sl_outcome *o, sl_report *report, int status_fd, bool quiet)
{
    if (o->unsaid != NULL) {
        sl_say(o->unsaid);
    }
    getrusage(RUSAGE_CHILDREN, &o->end.usage);
    o->end.peak_memory = SL_MAX((uint64_t)o->end.usage.ru_maxrss * 1024, o->end.peak_memory);
    if (report != NULL) {
        sl_report_settle(report);
    }
    if (status_fd >= 0) {
        sl_report_status(report, status_fd, &o->end);
    }
    if (!quiet && report != NULL) {
        if (o->end.exit_code == 0) {
            sl_report_worked(report);
        }
        sl_report_summary(report);
    }
    return o->end.exit_code;
}
