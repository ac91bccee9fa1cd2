/* Owns isolate_ipc where Landlock has no scope for it: System V IPC and POSIX message queues, which
 * all processes of a user share. Semaphores and queues are refused; shared memory is judged by who
 * made it, since databases cannot start without.
 *
 * The calls name a segment by number, so continuing is safe: a number is not given out again. */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "core/util.h"
#include "features/features.h"
#include "kernel/tree.h"
#include "supervisor/supervisor.h"

static bool wanted(const sl_policy *policy)
{
    return policy->isolate_ipc;
}

static bool is_of_tree(const sl_supervisor *sv, pid_t pid)
{
    sl_autofree pid_t *list = malloc(SL_TREE_MAX * sizeof(*list));
    size_t n = list == NULL ? 0 : sl_tree_list(sv->helper_pid, list, SL_TREE_MAX);
    for (size_t i = 0; i < n; i++) {
        if (list[i] == pid) {
            return true;
        }
    }
    return false;
}

/* A segment is the tree's while the process that made it lives in the tree. */
static sl_answer judge(const sl_call *call, int id)
{
    struct shmid_ds segment;
    if (shmctl(id, IPC_STAT, &segment) < 0) {
        return SL_ANSWER_VALUE(-errno);
    }
    return is_of_tree(call->sv, segment.shm_cpid) ? SL_ANSWER_PASS : SL_ANSWER_VALUE(-EACCES);
}

/* A key that nobody has yet makes a segment of the caller's own. Should somebody be quicker, shmat
 * is asked again. */
static sl_answer handle_shmget(sl_call *call)
{
    int id = shmget((key_t)call->args[0], 0, 0);
    if (id < 0) {
        return errno == ENOENT ? SL_ANSWER_PASS : SL_ANSWER_VALUE(-EACCES);
    }
    return judge(call, id);
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
    {.nr = SYS_shmget,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = handle_shmget,
     .conds = {SL_ARG_NE(0, IPC_PRIVATE)}},
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
};
