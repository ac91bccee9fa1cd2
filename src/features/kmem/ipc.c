/* Owns System V semaphores and message queues, which stay when who made them is gone: the kernel's
 * own list says what there is (sysvipc(7)), each time one is made. A list that cannot be read is a
 * full one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/kmem/kmem_int.h"

#define SEMAPHORE UINT64_C(64)        /* each has cache lines of its own */
#define SET       UINT64_C(512)       /* an array of them */
#define QUEUE     (UINT64_C(1) << 20) /* 16 KiB of messages of one byte: msgmnb of msgctl(2) */
#define SHARE     4                   /* of the budget: what each of the two kinds may take */
#define FULL      (UINT64_MAX / 2)
#define LEAST     2 /* queues that every run may have */

/* Bytes behind what this user has; FULL when that cannot be told. */
static uint64_t taken(bool queues)
{
    char *line = NULL;
    size_t cap = 0;
    uint64_t sum = 0;
    FILE *file = fopen(queues ? "/proc/sysvipc/msg" : "/proc/sysvipc/sem", "re");
    if (file == NULL) {
        return FULL;
    }
    while (getline(&line, &cap, file) > 0) {
        unsigned uid;
        unsigned creator;
        unsigned long long count;
        const char *form =
            queues ? "%*d %*d %*o %*u %llu %*u %*u %u %*u %u" : "%*d %*d %*o %llu %u %*u %u";
        if (sscanf(line, form, &count, &uid, &creator) == 3 &&
            (uid == geteuid() || creator == geteuid())) {
            sum += queues ? QUEUE : SET + count * SEMAPHORE;
        }
    }
    free(line);
    fclose(file);
    return sum;
}

void sl_kmem_ipc_init(struct sl_kmem_state *s)
{
    uint64_t semaphores = taken(false);
    uint64_t queues = taken(true);
    s->semaphores = semaphores == FULL ? 0 : semaphores;
    s->queues = queues == FULL ? 0 : queues;
}

/* SL_ROW_MAY_CONTINUE: plain numbers. */
sl_answer sl_kmem_handle_ipc(sl_call *call)
{
    const struct sl_kmem_state *s = sl_kmem_of(call->sv);
    bool queues = call->nr == SYS_msgget;
    uint64_t flags = call->args[queues ? 1 : 2];
    bool makes = (key_t)call->args[0] == IPC_PRIVATE || (flags & IPC_CREAT) != 0;
    if (s == NULL || !makes) {
        return SL_ANSWER_PASS;
    }
    uint64_t one = queues ? QUEUE : SET + (uint32_t)call->args[1] * SEMAPHORE;
    uint64_t before = queues ? s->queues : s->semaphores;
    uint64_t most = sl_ledger_budget(s->ledger) / SHARE;
    most = queues ? SL_MAX(most, LEAST * QUEUE) : most;
    return taken(queues) + one <= before + most ? SL_ANSWER_PASS : SL_ANSWER_VALUE(-ENOSPC);
}
