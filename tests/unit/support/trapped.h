/* One trapped call of a child of the test's own, in hand as a handler has it: what
 * supervisor/notify.h reads, pins and writes is that child's. After cmocka.h.
 *
 * The child is a fork of the test: what is in the test's memory is at the same place there, and
 * stays the child's own from then on. It calls getppid(2) with six arguments that mean what the
 * test says. */
#ifndef SANDLOCK_TESTS_TRAPPED_H
#define SANDLOCK_TESTS_TRAPPED_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "core/fd.h"
#include "supervisor/supervisor.h"

struct trapped {
    sl_supervisor sv;
    sl_call call;
    pid_t pid;
};

static inline int trapped_listener(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = SL_ARRAY_LEN(code), .filter = code};
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                        &program);
}

/* Starts a child that makes the call; then `after` (or NULL: 0) says its exit status. */
static inline struct trapped *trap(const uint64_t args[6], int (*after)(long result))
{
    static struct trapped t;
    struct seccomp_notif req;
    int pair[2];
    int fds[SL_FD_PASS_MAX];
    size_t nfds = 0;
    char byte;
    memset(&t, 0, sizeof(t));
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    t.pid = fork();
    if (t.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        int listener = trapped_listener();
        if (listener < 0 || sl_fd_send(pair[1], "x", 1, &listener, 1, 0) < 0) {
            _exit(99);
        }
        close(listener);
        errno = 0;
        long r = syscall(SYS_getppid, args[0], args[1], args[2], args[3], args[4], args[5]);
        _exit(after == NULL ? 0 : after(r < 0 ? -errno : r));
    }
    assert_int_equal(sl_fd_recv(pair[0], &byte, 1, fds, &nfds, 0), 1);
    assert_int_equal(nfds, 1);
    sl_close(pair[0]);
    sl_close(pair[1]);
    atomic_store(&t.sv.listener, fds[0]);
    memset(&req, 0, sizeof(req));
    assert_int_equal(ioctl(fds[0], SECCOMP_IOCTL_NOTIF_RECV, &req), 0);
    t.call = (sl_call){.sv = &t.sv, .id = req.id, .tid = (pid_t)req.pid, .nr = SYS_getppid};
    memcpy(t.call.args, req.data.args, sizeof(t.call.args));
    return &t;
}

/* Answers, and gives the child's exit status. */
static inline int trapped_answer(struct trapped *t, sl_answer answer)
{
    int status;
    sl_supervisor_answer(&t->call, &answer);
    assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
    assert_true(WIFEXITED(status));
    close(atomic_load(&t->sv.listener));
    for (size_t i = 0; i < SL_PIDFD_CACHE; i++) {
        if (t->sv.pidfds[i].tid != 0) {
            close(t->sv.pidfds[i].fd);
        }
    }
    return WEXITSTATUS(status);
}

#endif
