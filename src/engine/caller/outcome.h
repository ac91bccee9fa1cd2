/* How a run ended, and everybody's last words about it. */
#ifndef SANDLOCK_ENGINE_CALLER_OUTCOME_H
#define SANDLOCK_ENGINE_CALLER_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "engine/caller/report.h"

typedef struct sl_outcome {
    struct sl_report_end end;
    char message[SL_ERROR_MESSAGE_MAX];
    const char *unsaid; /* to be said once the terminal is the caller's again; NULL: nothing */
} sl_outcome;

/* `name` of the run (NULL: none) outlives it. Until something else is said: exited with 0. */
void sl_outcome_init(sl_outcome *o, const char *name);

/* The command's own end, as waitpid(2) tells it. What was said before stands. */
void sl_outcome_exited(sl_outcome *o, int wait_status);
void sl_outcome_timeout(sl_outcome *o);
/* Said at once. */
void sl_outcome_over_memory(sl_outcome *o, uint64_t max_memory);
/* Sandlock's own failure while the command ran. */
void sl_outcome_failed(sl_outcome *o, const char *message);
/* It did not begin. */
void sl_outcome_not_started(sl_outcome *o, const sl_error *err);
/* Nobody is left who would wait for it. */
void sl_outcome_orphaned(sl_outcome *o);

bool sl_outcome_is_failure(const sl_outcome *o);

/* What is unsaid, the status line (fd -1: none), then the summary unless `quiet`. Returns the exit
 * code. `wall_ns` and `peak_memory` are facts for the status; `report` may be NULL: nothing was
 * decided. */
int sl_outcome_tell(sl_outcome *o, sl_report *report, int status_fd, bool quiet);

#endif
