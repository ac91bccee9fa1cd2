/* The runs of this user, asked from outside through their control sockets. */
#ifndef SANDLOCK_ENGINE_RUNS_RUNS_H
#define SANDLOCK_ENGINE_RUNS_RUNS_H

#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/util.h"
#include "engine/runs/control.h"

#define SL_RUNS_MAX 4096 /* that are looked at */

typedef struct sl_runs_entry {
    int dir_fd;
    char file[SL_RUNDIR_CONTROL_NAME_MAX];
    int guardian; /* as the socket's name says */
    char *answer; /* JSON of enum SL_CONTROL_LIST; NULL: it does not answer */
    int error;    /* then: why not, as sl_runs_ask says it */
} sl_runs_entry;

typedef struct sl_runs {
    sl_runs_entry *items;
    size_t count;
    int dirs[3];
    size_t dir_count;
} sl_runs;

/* Asks every run for its row, in the order of the guardians' numbers. What runs that are dead left
 * behind is removed. 0 or -ENOMEM. */
int sl_runs_list(sl_runs *ret_runs);
void sl_runs_done(sl_runs *runs);

/* Asks one run. The answer is JSON with a terminator behind it; caller frees. -ECONNREFUSED when it
 * is over, -ETIMEDOUT when it does not answer in time, -EACCES when it turned us away. */
int sl_runs_ask(const sl_runs_entry *run, enum sl_control_what what, int sig, char **ret_json);

#endif
