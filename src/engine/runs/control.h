/* The control socket of a run: how `sandlock ps`, `inspect` and `kill` reach its engine.
 *
 * One Unix stream socket a run, 0600 in a directory that is 0700, named by the guardian's number
 * and chance. A request is one struct, the answer is one JSON object and the end of the stream. */
#ifndef SANDLOCK_ENGINE_RUNS_CONTROL_H
#define SANDLOCK_ENGINE_RUNS_CONTROL_H

#include <stdint.h>
#include <uv.h>

#include "core/buf.h"
#include "engine/runs/rundir.h"

#define SL_CONTROL_MAGIC       0x314b4c53u /* "SLK1": of this build's form */
#define SL_CONTROL_PEERS_MAX   8           /* served at once; one more is turned away */
#define SL_CONTROL_DEADLINE_MS 2000        /* for a peer to ask and to take its answer */
#define SL_CONTROL_ANSWER_MAX  (8u << 20)

enum sl_control_what {
    SL_CONTROL_LIST = 1, /* a row of `ps` */
    SL_CONTROL_INSPECT,  /* the same and the policy */
    SL_CONTROL_KILL,     /* `signal` for the command */
};

struct sl_control_request {
    uint32_t magic;
    uint32_t what;
    uint32_t signal;
    uint32_t zero;
};

typedef struct sl_control sl_control;

/* Fills the answer. 0, or -errno: then there is none. */
typedef int (*sl_control_answer)(void *arg, const struct sl_control_request *request, sl_buf *out);

/* Opens the socket of this run and serves it as long as the loop runs; the process then ends, and
 * sl_rundir_end removes the file. 0 or -errno: the run does without. */
int sl_control_open(uv_loop_t *loop, const sl_rundir *dir, sl_control_answer answer, void *arg,
                    sl_control **ret_control);
#endif
