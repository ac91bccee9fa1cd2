/* One trapped system call in hand: the target's memory and descriptors, copied and pinned.
 *
 * A handler copies what it needs once, asks sl_call_valid, decides on the copies, acts on the
 * pinned object, and returns a verdict value. Only dispatch answers the kernel
 * (seccomp_unotify(2)). */
#ifndef SANDLOCK_SUPERVISOR_NOTIFY_H
#define SANDLOCK_SUPERVISOR_NOTIFY_H

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sl_supervisor;

enum sl_answer_kind {
    SL_PASS, /* the next handler of the chain; at its end: continue if the row permits, else deny */
    SL_RETURN, /* `value`: what the call returns, or -errno */
    SL_INJECT, /* `fd` (taken over) becomes the result, with O_CLOEXEC as `cloexec` says */
    SL_DEFER,  /* the handler keeps the call and will answer it with sl_supervisor_answer */
};

typedef struct sl_answer {
    enum sl_answer_kind kind;
    int64_t value;
    int fd;
    bool cloexec;
} sl_answer;

#define SL_ANSWER_PASS     ((sl_answer){.kind = SL_PASS})
#define SL_ANSWER_DEFER    ((sl_answer){.kind = SL_DEFER})
#define SL_ANSWER_VALUE(v) ((sl_answer){.kind = SL_RETURN, .value = (v)})

typedef struct sl_call {
    struct sl_supervisor *sv;
    uint64_t id;
    pid_t tid;
    int nr;
    uint64_t args[6];
} sl_call;

/* True while the caller still waits on this very call: what was read of it is its own. */
bool sl_call_valid(const sl_call *call);

/* Copies `len` bytes of the caller's memory. 0, or -EFAULT when not all of it can be read. */
int sl_call_read(const sl_call *call, uint64_t addr, void *to, size_t len);
/* Copies at most `len` bytes up to the first page that cannot be read. Returns how many. */
ssize_t sl_call_read_some(const sl_call *call, uint64_t addr, void *to, size_t len);
/* Copies a string; 0, -EFAULT, or -ENAMETOOLONG when no terminator is within `cap`. */
int sl_call_read_str(const sl_call *call, uint64_t addr, char *to, size_t cap);
int sl_call_write(const sl_call *call, uint64_t addr, const void *from, size_t len);

#define SL_CALL_FDS_LEFT 4 /* the part of our descriptors that nothing of the callers' takes */
/* Gives back a descriptor that was just opened for a caller; -EMFILE, and it is closed, when too
 * few are left. */
int sl_call_take(int fd);

/* Duplicates the caller's descriptor: the open file description is pinned from now on. Returns a
 * close-on-exec descriptor, or -EBADF, -EPERM, -EMFILE (few are left)... -EPERM always where none
 * can be fetched. */
int sl_call_pin(const sl_call *call, int fd);
/* The same where it can be had (sl_place_fetches); elsewhere O_PATH, which names the object alone:
 * for those who act on objects. */
int sl_call_reach(const sl_call *call, int fd);

/* What /proc says of one of the caller's descriptors: proc_pid_fdinfo(5). */
typedef struct sl_call_fd {
    unsigned flags; /* O_* */
    uint64_t pos;
    uint64_t mount;
    uint64_t inode;
} sl_call_fd;

/* 0, -EBADF or -EACCES. By the time it is read the number may be another's: whoever trusts it
 * compares what it says with a pinned object (sl_call_fd_is). */
int sl_call_fd_read(const sl_call *call, int fd, sl_call_fd *ret);
/* True if what was read is of a descriptor on the same object as `own`, one of ours; false also
 * where that cannot be told (file systems with subvolumes). */
bool sl_call_fd_is(const sl_call_fd *info, int own);
/* Puts a descriptor of ours, which stays ours, among the caller's. Its number there, or -errno. */
int sl_call_give(const sl_call *call, int fd, bool cloexec);
/* A pidfd by which the caller's descriptors are had, kept for later calls; owned by the sandbox: of
 * the calling thread, or where threads have none of its process. -errno on failure. */
int sl_call_pidfd(const sl_call *call);

/* The caller's process id (thread group). -ESRCH when it is gone. */
pid_t sl_call_tgid(const sl_call *call);

#endif
