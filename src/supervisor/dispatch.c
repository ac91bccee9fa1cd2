/* Owns the receiving of notifications and the only answers to them. Never blocks on anything that
 * the confined tree controls: such calls are deferred (deferred.c). (Giving a descriptor waits
 * until the caller's thread has taken it, which it does as soon as it gets a processor.) */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/sched.h"
#include "core/trace.h"
#include "core/util.h"
#include "kernel/caps.h"
#include "policy/text/sysnames.h"
#include "policy/verdict.h"
#include "supervisor/supervisor.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS      SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

static int wait_listener(sl_supervisor *sv)
{
    int fd;
    while ((fd = atomic_load(&sv->listener)) == -1) {
        syscall(SYS_futex, &sv->listener, FUTEX_WAIT_PRIVATE, -1, NULL, NULL, 0);
    }
    return fd;
}

static void answer_inject(int listener, uint64_t id, const sl_answer *answer)
{
    struct seccomp_notif_addfd add = {
        .id = id,
        .flags = SECCOMP_ADDFD_FLAG_SEND,
        .srcfd = (uint32_t)answer->fd,
        .newfd_flags = answer->cloexec ? O_CLOEXEC : 0,
    };
    int r = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
    int error = errno;
    close(answer->fd);
    if (r < 0 && error != ENOENT) {
        /* The caller has no room for a descriptor: a failed injection is a denial. */
        struct seccomp_notif_resp resp = {.id = id, .error = error == EMFILE ? -EMFILE : -EACCES};
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
    }
}

static void send_answer(const sl_call *call, const sl_answer *answer)
{
    int listener = atomic_load(&call->sv->listener);
    if (answer->kind == SL_INJECT) {
        answer_inject(listener, call->id, answer);
        return;
    }
    struct seccomp_notif_resp resp = {.id = call->id};
    if (answer->kind == SL_PASS) {
        resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    } else if (answer->value < 0) {
        resp.error = (int32_t)answer->value;
    } else {
        resp.val = answer->value;
    }
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

static void trace(const sl_call *call, const sl_answer *answer)
{
    static const char *const kinds[] = {
        [SL_PASS] = "continues",
        [SL_RETURN] = "",
        [SL_INJECT] = "gets a descriptor",
        [SL_DEFER] = "waits",
    };
    char value[64] = "";
    const char *name = sl_sysname_of(call->nr);
    if (answer->kind == SL_RETURN && answer->value < 0) {
        snprintf(value, sizeof(value), "%s", strerrorname_np((int)-answer->value));
    } else if (answer->kind == SL_RETURN) {
        snprintf(value, sizeof(value), "returns %lld", (long long)answer->value);
    }
    sl_trace_write(SL_TRACE_CALL, "thread %d %s(%llx, %llx, %llx, %llx, %llx, %llx): %s%s",
                   (int)call->tid, name != NULL ? name : "unknown",
                   (unsigned long long)call->args[0], (unsigned long long)call->args[1],
                   (unsigned long long)call->args[2], (unsigned long long)call->args[3],
                   (unsigned long long)call->args[4], (unsigned long long)call->args[5],
                   kinds[answer->kind], value);
}

void sl_supervisor_answer(const sl_call *call, const sl_answer *answer)
{
    if (sl_trace_is_on(SL_TRACE_CALL)) {
        trace(call, answer);
    }
    if (answer->kind != SL_DEFER) {
        send_answer(call, answer);
    }
}

sl_answer sl_dispatch_call(sl_call *call, unsigned *ret_flags)
{
    if (call->nr < 0 || call->nr >= SL_BPF_NR_MAX) {
        return SL_ANSWER_VALUE(-ENOSYS);
    }
    const sl_chain *chain = &call->sv->chains[call->sv->chain_of[call->nr]];
    unsigned flags = chain->count == 0 ? 0 : SL_ROW_MAY_CONTINUE;
    for (size_t i = 0; i < chain->count; i++) {
        sl_answer answer = chain->rows[i]->handler(call);
        if (answer.kind != SL_PASS) {
            return answer;
        }
        flags &= chain->rows[i]->flags;
    }
    *ret_flags = flags;
    return (flags & SL_ROW_MAY_CONTINUE) != 0 ? SL_ANSWER_PASS : SL_ANSWER_VALUE(-EPERM);
}

static void serve(sl_supervisor *sv, const struct seccomp_notif *req)
{
    sl_call call = {.sv = sv, .id = req->id, .tid = (pid_t)req->pid, .nr = req->data.nr};
    for (size_t i = 0; i < SL_ARRAY_LEN(call.args); i++) {
        call.args[i] = req->data.args[i];
    }
    unsigned flags = 0;
    sl_answer answer = atomic_load_explicit(&sv->ending, memory_order_relaxed)
                           ? SL_ANSWER_VALUE(-EPERM)
                           : sl_dispatch_call(&call, &flags);
    sl_supervisor_answer(&call, &answer);
}

void *sl_dispatch_thread(void *sandbox)
{
    sl_supervisor *sv = sandbox;
    prctl(PR_SET_NAME, "sandlock-calls");
    sl_sched_ask_for_short_slices(); /* a caller waits for this thread */
    int listener = wait_listener(sv);
    if (listener < 0) {
        return NULL;
    }
    /* Capabilities are a thread's own, and the one that starts the child may need one for its user
     * namespace until then. */
    if (sl_policy_wants_identity(sv->policy) && sl_caps_drop(SL_CAPS_NONE) < 0) {
        /* Nobody answers then, and the canary ends the start. */
        atomic_store(&sv->listener, -2);
        close(listener);
        return NULL;
    }
    /* Both sides on one CPU where the kernel can (6.6); a hint, so its failure is no matter. */
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    struct {
        struct seccomp_notif req;
        char room[256]; /* a newer kernel's struct may be larger (SECCOMP_GET_NOTIF_SIZES) */
    } buffer;
    for (;;) {
        memset(&buffer, 0, sizeof(buffer));
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &buffer.req) == 0) {
            serve(sv, &buffer.req);
            continue;
        }
        if (errno == ENOENT) {
            struct pollfd p = {.fd = listener, .events = POLLIN};
            if (poll(&p, 1, 0) > 0 && (p.revents & POLLHUP) != 0) {
                return NULL; /* nobody is left to ask */
            }
        } else if (errno != EINTR) {
            return NULL;
        }
    }
}
