/* Owns isolate_ipc where Landlock has no scope for it: System V IPC and POSIX message queues, which
 * all processes of a user share. Semaphores and queues are refused; shared memory is judged by who
 * made it, since databases cannot start without.
 *
 * Who made a segment the kernel tells by a number, which comes round to others when its process has
 * ended. So the tree's segments are made from here, and remembered: the maker is the engine, whose
 * number stays. The calls that use one name it by its own number, and may continue: that is given
 * out again only when some ten thousand others were. */
#include <errno.h>
#include <linux/seccomp.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/features.h"
#include "supervisor/supervisor.h"

#define SL_IPC_SEGMENTS_MAX 4096 /* of a run; the kernel's own limit, as it is by default */

struct sl_ipc_state {
    int ids[SL_IPC_SEGMENTS_MAX]; /* that we made for the tree; dispatcher thread only */
    size_t count;
};

static bool wanted(const sl_policy *policy)
{
    return policy->isolate_ipc;
}

/* A segment is the tree's when we made it for the tree. */
static bool is_of_tree(const sl_supervisor *sv, int id, const struct shmid_ds *segment)
{
    const struct sl_ipc_state *s = sl_supervisor_state(sv, &sl_feature_ipc);
    for (size_t i = 0; i < s->count && segment->shm_cpid == getpid(); i++) {
        if (s->ids[i] == id) {
            return true;
        }
    }
    return false;
}

static sl_answer judge(const sl_call *call, int id)
{
    struct shmid_ds segment;
    if (shmctl(id, IPC_STAT, &segment) < 0) {
        return SL_ANSWER_VALUE(-errno);
    }
    return is_of_tree(call->sv, id, &segment) ? SL_ANSWER_PASS : SL_ANSWER_VALUE(-EACCES);
}

/* Room for one more. Those that are gone are forgotten. */
static bool make_room(struct sl_ipc_state *s)
{
    struct shmid_ds segment;
    size_t kept = 0;
    if (s->count < SL_IPC_SEGMENTS_MAX) {
        return true;
    }
    for (size_t i = 0; i < s->count; i++) {
        bool gone = shmctl(s->ids[i], IPC_STAT, &segment) < 0 && errno != EACCES;
        if (!gone && (errno == EACCES || segment.shm_cpid == getpid())) {
            s->ids[kept++] = s->ids[i];
        }
    }
    s->count = kept;
    return s->count < SL_IPC_SEGMENTS_MAX;
}

/* A new one, never one that somebody made meanwhile. */
static sl_answer make(const sl_call *call)
{
    struct sl_ipc_state *s = sl_supervisor_state(call->sv, &sl_feature_ipc);
    if (!make_room(s)) {
        return SL_ANSWER_VALUE(-ENOSPC);
    }
    if (!sl_call_valid(call)) {
        return SL_ANSWER_VALUE(-ESRCH);
    }
    int id = shmget((key_t)call->args[0], call->args[1], (int)call->args[2] | IPC_CREAT | IPC_EXCL);
    if (id < 0) {
        return SL_ANSWER_VALUE(errno == EEXIST ? -EACCES : -errno);
    }
    s->ids[s->count++] = id;
    return SL_ANSWER_VALUE(id);
}

static sl_answer handle_shmget(sl_call *call)
{
    struct shmid_ds segment;
    key_t key = (key_t)call->args[0];
    int flags = (int)call->args[2];
    if (key == IPC_PRIVATE) {
        return make(call);
    }
    int id = shmget(key, 0, 0);
    if (id < 0 && errno == ENOENT) {
        return (flags & IPC_CREAT) != 0 ? make(call) : SL_ANSWER_VALUE(-ENOENT);
    }
    if (id < 0 || shmctl(id, IPC_STAT, &segment) < 0 || !is_of_tree(call->sv, id, &segment)) {
        return SL_ANSWER_VALUE(-EACCES);
    }
    if ((flags & IPC_CREAT) != 0 && (flags & IPC_EXCL) != 0) {
        return SL_ANSWER_VALUE(-EEXIST);
    }
    id = shmget(key, call->args[1], flags & ~IPC_CREAT); /* what the kernel says to size and mode */
    return SL_ANSWER_VALUE(id < 0 ? -errno : id);
}

static sl_answer handle_shmat(sl_call *call)
{
    return judge(call, (int)call->args[0]);
}

static sl_answer handle_shmctl(sl_call *call)
{
    int command = (int)call->args[1];
    bool one = command == IPC_RMID || command == IPC_SET || command == IPC_STAT ||
               command == SHM_LOCK || command == SHM_UNLOCK;
    return one ? judge(call, (int)call->args[0]) : SL_ANSWER_VALUE(-EPERM); /* lists of all */
}

#define REFUSE(call)                                                                               \
    {                                                                                              \
        .nr = SYS_##call, .action = SL_BPF_ERRNO(EPERM)                                            \
    }

static const sl_bpf_rule settled[] = {
    REFUSE(semget), REFUSE(semop),  REFUSE(semtimedop), REFUSE(semctl),  REFUSE(msgget),
    REFUSE(msgsnd), REFUSE(msgrcv), REFUSE(msgctl),     REFUSE(mq_open), REFUSE(mq_unlink),
};

static const sl_syscall_row rows[] = {
    {.nr = SYS_shmget, .handler = handle_shmget},
    {.nr = SYS_shmat, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_shmat},
    {.nr = SYS_shmctl, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_shmctl},
};

const sl_feature sl_feature_ipc = {
    .name = "ipc",
    .wanted = wanted,
    .option = "--isolate-ipc",
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .settled = settled,
    .settled_count = SL_ARRAY_LEN(settled),
    .state_size = sizeof(struct sl_ipc_state),
};
