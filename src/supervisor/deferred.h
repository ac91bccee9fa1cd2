/* Calls that cannot be answered at once: a socket is not ready, the gateway has yet to say. They
 * wait on the loop, never on the dispatcher. */
#ifndef SANDLOCK_SUPERVISOR_DEFERRED_H
#define SANDLOCK_SUPERVISOR_DEFERRED_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "supervisor/notify.h"

#define SL_DEFERRED_MAX      2048 /* at once; one more is refused */
#define SL_DEFERRED_SWEEP_MS 50
#define SL_DEFERRED_SHARE    4 /* of our descriptors: what all that wait may hold together */

struct sl_supervisor;
typedef struct sl_deferred sl_deferred;

/* Why a deferred call is looked at again. */
enum sl_wake {
    SL_WAKE_READY,   /* the descriptor is ready */
    SL_WAKE_TIMEOUT, /* the deadline has passed */
    SL_WAKE_EVENT,   /* what it waits for has come (sl_deferred_wake) */
};

/* On the loop thread. True with *ret_answer when done; false: wait on. After a timeout it must be
 * done. */
typedef bool (*sl_deferred_resume)(sl_deferred *d, enum sl_wake why, sl_answer *ret_answer);

struct sl_deferred {
    sl_call call;
    int fd;               /* owned, or -1; watched for `events` when those are not 0 */
    int events;           /* UV_READABLE, UV_WRITABLE */
    uint64_t deadline_ms; /* sl_clock_now_ms, 0: none */
    uint64_t key;         /* for sl_deferred_wake, 0: none */
    sl_deferred_resume resume;
    void *data;               /* owned; freed with free() */
    void (*drop)(void *data); /* before that; may be NULL */

    /* private */
    size_t held; /* descriptors */
    bool polling;
    bool parked;       /* ready again and again for nothing: the sweep asks instead */
    unsigned spurious; /* times in a row that being ready led nowhere */
    bool done;
    sl_deferred *next;
    sl_deferred *prev;
};

/* Joins the loop: deferred calls are served from now on. Before that they queue. 0 or -ENOMEM. */
int sl_deferred_attach(struct sl_supervisor *sv, uv_loop_t *loop);
void sl_deferred_detach(struct sl_supervisor *sv);

int sl_deferred_new(struct sl_supervisor *sv);
void sl_deferred_free(struct sl_supervisor *sv);

/* What to wait for, and what then. */
typedef struct sl_wait {
    sl_deferred_resume resume;
    void *data;               /* malloc'ed; NULL: there was no memory, the call fails */
    void (*drop)(void *data); /* before `data` is freed; may be NULL */
    int events;               /* of the descriptor: UV_READABLE, UV_WRITABLE; 0: none */
    uint64_t deadline_ms;     /* sl_clock_now_ms, 0: none */
    uint64_t key;             /* for sl_deferred_wake, 0: none */
    size_t held;              /* descriptors in the data */
} sl_wait;

/* Any thread. Takes `fd` (or -1) and the data over, also on failure. Returns what the handler
 * returns: DEFER, or -ENOBUFS; -EAGAIN when too many wait already, -ETOOMANYREFS when they would
 * hold too many descriptors (unix(7)). */
sl_answer sl_deferred_start(const sl_call *call, int fd, const sl_wait *wait);

/* When SO_RCVTIMEO or SO_SNDTIMEO (socket(7)) ends a wait on this socket: for `deadline_ms`. */
uint64_t sl_deferred_deadline(int fd, int option);

/* Loop thread, from within a resume: watch the descriptor for `events` from now on. */
void sl_deferred_watch(sl_deferred *d);

/* Loop thread, from within a resume: ask again with the next sweep, as if it were ready. */
void sl_deferred_park(sl_deferred *d);

/* Loop thread: the deferred call with this key, or NULL. It may have been put a moment ago. */
sl_deferred *sl_deferred_find(struct sl_supervisor *sv, uint64_t key);

/* Loop thread: resumes every deferred call with this key. */
void sl_deferred_wake(struct sl_supervisor *sv, uint64_t key);

#endif
