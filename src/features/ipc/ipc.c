/* Owns isolate_ipc where Landlock has no scope for it: System V IPC, which all processes of a user
 * share. What the tree made is the tree's; what others made is out of its reach. Who made an object
 * the kernel tells of semaphores and queues not at all, and of segments by a number, which comes
 * round to others when its process has ended. So they are made here, on behalf, and remembered:
 * created and known in one step, whoever else wants the key.
 *
 * The calls name an object by number, so continuing is safe: a number carries a sequence and is not
 * given out again soon. */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "core/util.h"
#include "features/features.h"
#include "features/ipc/known.h"
#include "features/kmem/kmem.h"
#include "supervisor/supervisor.h"

#define MODE 0777 /* of the flags */

struct state {
    sl_ipc_known segments;
    sl_ipc_known semaphores;
    sl_ipc_known queues;
};

static bool wanted(const sl_policy *policy)
{
    return policy->isolate_ipc;
}

static struct state *state_of(const sl_call *call)
{
    return sl_supervisor_state(call->sv, &sl_feature_ipc);
}

/* One of the three kinds: their calls differ by a size or a count. */
struct kind {
    int flags; /* that the kernel may see */
    int (*get)(key_t key, const sl_call *call, int flags);
    int (*remove)(int id);
    bool (*lives)(uint64_t id);
};

static int get_segment(key_t key, const sl_call *call, int flags)
{
    return shmget(key, call->args[1], flags);
}

static int remove_segment(int id)
{
    return shmctl(id, IPC_RMID, NULL);
}

static bool segment_lives(uint64_t id)
{
    struct shmid_ds segment;
    return shmctl((int)id, IPC_STAT, &segment) == 0 || errno == EACCES;
}

static int get_semaphores(key_t key, const sl_call *call, int flags)
{
    return semget(key, (int)call->args[1], flags);
}

static int remove_semaphores(int id)
{
    return semctl(id, 0, IPC_RMID);
}

static bool semaphores_live(uint64_t id)
{
    return semctl((int)id, 0, GETVAL) >= 0 || errno == EACCES;
}

static int get_queue(key_t key, const sl_call *call, int flags)
{
    (void)call;
    return msgget(key, flags);
}

static int remove_queue(int id)
{
    return msgctl(id, IPC_RMID, NULL);
}

static bool queue_lives(uint64_t id)
{
    struct msqid_ds queue;
    return msgctl((int)id, IPC_STAT, &queue) == 0 || errno == EACCES;
}

static const struct kind segments = {~(IPC_CREAT | IPC_EXCL), get_segment, remove_segment,
                                     segment_lives};
static const struct kind semaphores = {MODE, get_semaphores, remove_semaphores, semaphores_live};
static const struct kind queues = {MODE, get_queue, remove_queue, queue_lives};

/* Makes a new one, which is the tree's from its first moment: IPC_EXCL leaves no doubt who made
 * it. */
static int make(const sl_call *call, const struct kind *kind, sl_ipc_known *known, key_t key,
                int flags)
{
    int r = sl_ipc_known_reserve(known, kind->lives);
    if (r < 0) {
        return r;
    }
    int id = kind->get(key, call, (flags & kind->flags) | IPC_CREAT | IPC_EXCL);
    if (id < 0) {
        return -errno;
    }
    sl_ipc_known_drop(known, (uint64_t)id); /* a number that was somebody's long ago */
    sl_ipc_known_add(known, (uint64_t)id);
    return id;
}

static sl_answer get(const sl_call *call, const struct kind *kind, sl_ipc_known *known, int flags)
{
    key_t key = (key_t)call->args[0];
    if (!sl_call_valid(call)) {
        return SL_ANSWER_VALUE(-EPERM);
    }
    if (key == IPC_PRIVATE || (flags & IPC_CREAT) != 0) {
        int id = make(call, kind, known, key, flags);
        if (id != -EEXIST || (flags & IPC_EXCL) != 0) {
            return SL_ANSWER_VALUE(id);
        }
    }
    /* One that is there. Who has the key by now is told by the number, which is judged. */
    int id = kind->get(key, call, flags & kind->flags);
    int error = errno;
    if (id < 0) {
        bool others = error == EACCES || error == EINVAL; /* not even that much is told of theirs */
        int any = others ? kind->get(key, &(sl_call){.args = {0}}, 0) : -1;
        bool own = any >= 0 && sl_ipc_known_has(known, (uint64_t)any);
        return SL_ANSWER_VALUE(others && !own ? -EACCES : -error);
    }
    return SL_ANSWER_VALUE(sl_ipc_known_has(known, (uint64_t)id) ? id : -EACCES);
}

static sl_answer judge(const sl_call *call, const sl_ipc_known *known)
{
    bool own = sl_ipc_known_has(known, (uint64_t)(uint32_t)call->args[0]);
    return own ? SL_ANSWER_PASS : SL_ANSWER_VALUE((int)call->args[0] < 0 ? -EINVAL : -EACCES);
}

static sl_answer control(const sl_call *call, const struct kind *kind, sl_ipc_known *known,
                         int command, bool one)
{
    int id = (int)call->args[0];
    sl_answer answer = one ? judge(call, known) : SL_ANSWER_VALUE(-EPERM); /* lists of all */
    if (answer.kind == SL_PASS && command == IPC_RMID) {
        if (!sl_call_valid(call)) {
            return SL_ANSWER_VALUE(-EPERM);
        }
        int r = kind->remove(id) < 0 ? -errno : 0;
        if (r == 0 || r == -EINVAL || r == -EIDRM) {
            sl_ipc_known_drop(known, (uint64_t)id);
        }
        return SL_ANSWER_VALUE(r);
    }
    return answer;
}

static sl_answer handle_shmget(sl_call *call)
{
    return get(call, &segments, &state_of(call)->segments, (int)call->args[2]);
}

static sl_answer handle_shmat(sl_call *call)
{
    return judge(call, &state_of(call)->segments);
}

static sl_answer handle_shmctl(sl_call *call)
{
    int command = (int)call->args[1];
    bool one = command == IPC_RMID || command == IPC_SET || command == IPC_STAT ||
               command == SHM_LOCK || command == SHM_UNLOCK;
    return control(call, &segments, &state_of(call)->segments, command, one);
}

static sl_answer handle_semget(sl_call *call)
{
    sl_answer room = sl_kmem_handle_ipc(call);
    return room.kind != SL_PASS
               ? room
               : get(call, &semaphores, &state_of(call)->semaphores, (int)call->args[2]);
}

static sl_answer handle_semop(sl_call *call)
{
    return judge(call, &state_of(call)->semaphores);
}

static sl_answer handle_semctl(sl_call *call)
{
    int command = (int)call->args[2];
    bool one = command == IPC_RMID || command == IPC_SET || command == IPC_STAT ||
               (command >= GETPID && command <= SETALL);
    return control(call, &semaphores, &state_of(call)->semaphores, command, one);
}

static sl_answer handle_msgget(sl_call *call)
{
    sl_answer room = sl_kmem_handle_ipc(call);
    return room.kind != SL_PASS ? room
                                : get(call, &queues, &state_of(call)->queues, (int)call->args[1]);
}

static sl_answer handle_message(sl_call *call)
{
    return judge(call, &state_of(call)->queues);
}

static sl_answer handle_msgctl(sl_call *call)
{
    int command = (int)call->args[1];
    bool one = command == IPC_RMID || command == IPC_SET || command == IPC_STAT;
    return control(call, &queues, &state_of(call)->queues, command, one);
}

static void teardown(void *state)
{
    struct state *s = state;
    sl_ipc_known_done(&s->segments);
    sl_ipc_known_done(&s->semaphores);
    sl_ipc_known_done(&s->queues);
}

#define NUMBER(call, handler_)                                                                     \
    {                                                                                              \
        .nr = SYS_##call, .flags = SL_ROW_MAY_CONTINUE, .handler = (handler_)                      \
    }

static const sl_syscall_row rows[] = {
    {.nr = SYS_shmget, .handler = handle_shmget},
    NUMBER(shmat, handle_shmat),
    NUMBER(shmctl, handle_shmctl),
    {.nr = SYS_semget, .handler = handle_semget},
    NUMBER(semop, handle_semop),
    NUMBER(semtimedop, handle_semop),
    NUMBER(semctl, handle_semctl),
    {.nr = SYS_msgget, .handler = handle_msgget},
    NUMBER(msgsnd, handle_message),
    NUMBER(msgrcv, handle_message),
    NUMBER(msgctl, handle_msgctl),
};

const sl_feature sl_feature_ipc = {
    .name = "ipc",
    .wanted = wanted,
    .option = "--isolate-ipc",
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .state_size = sizeof(struct state),
    .teardown = teardown,
};
