/* The worker: a thread for calls whose doing may block, which the dispatcher must never do. One a
 * run, from the first job on; it takes them in turn. */
#ifndef SANDLOCK_SUPERVISOR_WORKER_H
#define SANDLOCK_SUPERVISOR_WORKER_H

#include "supervisor/notify.h"

#define SL_WORKER_QUEUE_MAX 1024 /* jobs that wait; one more is refused */

/* A call handed to the worker. First member of a struct of the handler's own. */
typedef struct sl_job {
    sl_call call;
    /* On the worker: does it, and says the answer. Not called any more when the run ends. */
    sl_answer (*perform)(struct sl_job *job);
    void (*free)(struct sl_job *job);
    struct sl_job *next; /* the worker's */
} sl_job;

/* Takes the job over, also on failure; it is freed after its answer. Returns what the handler
 * returns: DEFER, or -ENOMEM when too many wait already. Dispatcher thread only. */
sl_answer sl_worker_start(sl_job *job);

/* Ends the thread behind the job in hand; the others are freed without an answer. */
void sl_worker_free(struct sl_supervisor *sv);

#endif
