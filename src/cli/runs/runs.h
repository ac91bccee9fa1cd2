/* Which run is meant by the words after `inspect` and `kill`, and what it answers. */
#ifndef SANDLOCK_CLI_RUNS_RUNS_H
#define SANDLOCK_CLI_RUNS_RUNS_H

#include <jansson.h>
#include <stdbool.h>

#include "core/err.h"
#include "engine/runs/runs.h"

#define SL_CLI_NO_RUN       1           /* exit code: there is no such run, or more than one */
#define SL_CLI_RUNS_MAX     (16u << 20) /* bytes of what runs say of themselves */
#define SL_CLI_RUN_NAME_MAX 80          /* bytes of the name of a run */

/* The words after `inspect` and `kill`. */
typedef struct sl_cli_run_words {
    const char *run;
    bool json;
    int signal; /* 0: none was given */
} sl_cli_run_words;

/* 0 to go on, 1 after the help (`ret_code`), -EINVAL. */
int sl_cli_run_words_read(int argc, char **argv, sl_cli_run_words *w, int *ret_code, sl_error *err);

/* One run and its row. */
typedef struct sl_cli_run_row {
    const sl_runs_entry *entry;
    json_t *facts; /* of a run that does not answer: what is known of it */
} sl_cli_run_row;

typedef struct sl_cli_run_rows {
    sl_runs runs;
    sl_cli_run_row *items; /* runs.count of them */
} sl_cli_run_rows;

/* All runs of this user. On failure too there is something to be done with. */
int sl_cli_run_rows_get(sl_cli_run_rows *ret_rows, sl_error *err);
void sl_cli_run_rows_done(sl_cli_run_rows *rows);

/* Of a row or another answer: "-" and 0 for what is not there. */
const char *sl_cli_run_word(const json_t *facts, const char *key);
int sl_cli_run_number(const json_t *facts, const char *key);

/* The row of the run that is called so, or has this number; NULL with the reason when there is none
 * or more than one. */
const sl_cli_run_row *sl_cli_run_choose(const sl_cli_run_rows *rows, const char *word,
                                        sl_error *err);

/* The first process of a run. */
typedef struct sl_cli_guardian {
    int pid;
    int pidfd; /* says when the run is over; -1: it is so already. The caller closes it */
} sl_cli_guardian;

/* Finds the run and asks it, and says what went wrong. The exit code; 0 with the answer, a JSON
 * object, the caller's. `ret_guardian` may be NULL. */
int sl_cli_run_ask(const sl_cli_run_words *w, enum sl_control_what what, json_t **ret_answer,
                   sl_cli_guardian *ret_guardian);

#endif
