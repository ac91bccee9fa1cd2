/* Owns the meeting with every new program image of the tree: what the kernel mapped there at
 * execve(2) reads clock and randomness past every filter, and is written over before it is used.
 *
 * No call is sure to come first after execve, but each of glibc, musl and Go makes one of these
 * before it looks at clock or randomness, and hardly ever again: brk(NULL), arch_prctl,
 * set_tid_address. An image that was met bears a mark. A fork inherits it with the memory. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/util.h"
#include "features/features.h"
#include "features/repeat/image.h"
#include "features/repeat/random.h"
#include "kernel/proc.h"
#include "supervisor/supervisor.h"

#define AUXV_MAX 64 /* entries */
#define PAGE     4096

static bool wanted(const sl_policy *policy)
{
    return policy->time_start != NULL || policy->random_seed != NULL;
}

static int read_auxv(pid_t tid, sl_image *image)
{
    Elf64_auxv_t list[AUXV_MAX];
    sl_autoclose int fd = sl_proc_open(tid, "auxv", O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, list, sizeof(list));
    if (n < 0) {
        return -errno;
    }
    for (size_t i = 0; i < (size_t)n / sizeof(*list) && list[i].a_type != AT_NULL; i++) {
        if (list[i].a_type == AT_SYSINFO_EHDR) {
            image->vdso = list[i].a_un.a_val;
        } else if (list[i].a_type == AT_RANDOM) {
            image->at_random = list[i].a_un.a_val;
        }
    }
    return 0;
}

int sl_image_open(const sl_call *call, sl_image *ret_image)
{
    sl_image image = {.mem = -1};
    int r = read_auxv(call->tid, &image);
    if (r < 0) {
        return r;
    }
    image.mem = sl_proc_open(call->tid, "mem", O_RDWR);
    if (image.mem < 0 || !sl_call_valid(call)) {
        r = image.mem < 0 ? image.mem : -ESRCH;
        sl_close(image.mem);
        return r;
    }
    *ret_image = image;
    return 0;
}

const struct sl_image_state *sl_image_of(const struct sl_supervisor *sv)
{
    return sl_supervisor_state(sv, &sl_feature_image);
}

/* -ENOENT: the program has put something else there, which is its own affair. */
static int meet(const sl_call *call)
{
    sl_image image;
    int r = sl_image_open(call, &image);
    if (r < 0) {
        return r;
    }
    r = sl_vdso_apply(&sl_image_of(call->sv)->plan, image.mem, image.vdso);
    if (r == 1 && sl_supervisor_state(call->sv, &sl_feature_random) != NULL) {
        r = sl_random_meet(call, &image);
    }
    close(image.mem);
    return r == -ENOENT ? 0 : r;
}

/* A program whose memory is out of reach (an executable that its user may not read) would have the
 * real clock without anybody knowing: it does not run. */
static sl_answer handle_first(sl_call *call)
{
    if (meet(call) < 0 && sl_call_valid(call)) {
        kill(call->tid, SIGKILL);
        return SL_ANSWER_VALUE(-EPERM);
    }
    return SL_ANSWER_PASS;
}

/* Writing where the owner of the memory may not: some kernels reserve it to debuggers (proc(5),
 * proc_mem.force_override). */
static int may_overwrite(void)
{
    void *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sl_autoclose int mem = sl_proc_open(SL_PROC_SELF, "mem", O_RDWR);
    bool may = page != MAP_FAILED && mem >= 0 && pwrite(mem, "x", 1, (off_t)(uintptr_t)page) == 1;
    if (page != MAP_FAILED) {
        munmap(page, PAGE);
    }
    return may ? 0 : -EACCES;
}

/* To the next microsecond, for the calls that count in them. By the coarse clock, which is behind:
 * no clock of the tree shows a moment before the start. */
static int64_t clock_offset(int64_t start_ns)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    int64_t offset = start_ns - ((int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
    return offset >= 0 ? (offset + 999) / 1000 * 1000 : offset / 1000 * 1000;
}

static int setup(sl_supervisor *sv, void *state, sl_error *err)
{
    struct sl_image_state *s = state;
    const sl_policy *p = sv->policy;
    if (may_overwrite() < 0) {
        return sl_error_set(
            err, EACCES,
            "--time-start and --random-seed need to write over the vDSO of the "
            "command, which this kernel (proc_mem.force_override), or another sandbox "
            "around this one, refuses");
    }
    if (p->time_start != NULL) {
        s->offset_ns = clock_offset(p->time_start_ns);
    }
    return sl_vdso_make_plan(p->time_start != NULL, s->offset_ns, p->random_seed != NULL, &s->plan,
                             err);
}

static const sl_syscall_row rows[] = {
    {.nr = SYS_brk,
     .flags = SL_ROW_MAY_CONTINUE,
     .handler = handle_first,
     .conds = {SL_ARG_NULL(0)}},
#ifdef SYS_arch_prctl
    {.nr = SYS_arch_prctl, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_first},
#endif
    {.nr = SYS_set_tid_address, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_first},
};

const sl_feature sl_feature_image = {
    .name = "image",
    .wanted = wanted,
    .promised = sl_feature_promises_nothing, /* by itself: time and random do */
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .state_size = sizeof(struct sl_image_state),
    .setup = setup,
};
