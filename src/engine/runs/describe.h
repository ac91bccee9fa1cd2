/* What a run tells of itself through its control socket. */
#ifndef SANDLOCK_ENGINE_RUNS_DESCRIBE_H
#define SANDLOCK_ENGINE_RUNS_DESCRIBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/buf.h"
#include "policy/policy.h"
#include "sandbox/sandbox.h"

#define SL_DESCRIBE_NAME_MAX 80    /* of a run, with the terminator */
#define SL_DESCRIBE_ARGV_MAX 65536 /* bytes of the command; the rest is left out and said so */

struct sl_facts {
    const sl_policy *policy;
    char *const *argv;
    pid_t pid; /* the command's first process */
    pid_t guardian;
    pid_t engine;
    pid_t gateway; /* 0: none */
    uint64_t started_ns;
    bool ending;
    bool interactive;
    uint64_t allowed;
    uint64_t denied;
    const sl_remap_port *ports; /* port_remap: what the tree answers on */
    size_t port_count;
};

/* The name given, or "COMMAND-PID". Returns `out`. */
const char *sl_describe_name(const struct sl_facts *facts, char out[SL_DESCRIBE_NAME_MAX]);

/* One JSON object: a row for `ps`, or with the policy for `inspect`. 0 or -errno. */
int sl_describe(const struct sl_facts *facts, bool whole, sl_buf *out);

#endif
