/* Owns random_seed: every process of the tree has a stream of bytes of its own, which follows from
 * the seed and from how the process came to be: the n-th child of its parent, the program after
 * that. Other processes and the time of day have no part in it.
 *
 * A stream's place is kept in the process's own memory (vdso.h), so that a fork takes it along, and
 * parent and child tell each other apart by their ids. A program can overwrite it: that hurts its
 * own repeatability, nothing else; whatever is read there is taken as plain bytes and counts. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/features.h"
#include "features/repeat/random.h"
#include "supervisor/supervisor.h"
#include "supervisor/vfile.h"

#define GIVEN_MAX (256u * 1024u) /* bytes of one getrandom; a longer one comes back short */
#define PIECE     4096
#define EXECS_MAX 512 /* between execve and the first call of what follows */

#define GRND_KNOWN (GRND_NONBLOCK | GRND_RANDOM | 4u /* GRND_INSECURE */)
#define UUID_PATH  "/proc/sys/kernel/random/uuid"

struct stream {
    uint8_t key[SL_STREAM_KEY];
    uint64_t pos;
    uint64_t births;
    uint64_t opens;
};

/* In the memory of a process. */
struct place {
    struct stream own;
    struct stream child; /* of the process that is being born */
    uint64_t pid;        /* whose `own` is: another one that reads this is the child */
    uint64_t shared;     /* the child has this very memory (vfork(2)) until its execve */
};

_Static_assert(sizeof(struct place) <= SL_VDSO_STATE, "no room");

struct sl_random_state {
    uint8_t root[SL_STREAM_KEY];
    struct stream lost; /* for those whose memory is not as the kernel made it */
    struct {
        pid_t pid;
        uint8_t key[SL_STREAM_KEY];
    } execs[EXECS_MAX];
    size_t next_exec;
    struct sl_random_pipes *pipes;
};

static struct sl_random_state *random_of(const sl_supervisor *sv)
{
    return sl_supervisor_state(sv, &sl_feature_random);
}

static bool wanted(const sl_policy *policy)
{
    return policy->random_seed != NULL;
}

/* The caller's stream in hand: change it, then put it back. */
struct hand {
    sl_image image; /* mem -1: the lost one */
    struct place place;
    struct stream *stream;
};

static void take(const sl_call *call, struct hand *h)
{
    struct sl_random_state *s = random_of(call->sv);
    pid_t pid = sl_call_tgid(call);
    h->image.mem = -1;
    h->stream = &s->lost;
    if (pid < 0 || sl_image_open(call, &h->image) < 0) {
        return;
    }
    if (sl_vdso_read_state(&sl_image_of(call->sv)->plan, h->image.mem, h->image.vdso, &h->place,
                           sizeof(h->place)) < 0) {
        close(h->image.mem);
        h->image.mem = -1;
        return;
    }
    if (h->place.pid == (uint64_t)pid) {
        h->stream = &h->place.own;
    } else if (h->place.shared != 0) {
        h->stream = &h->place.child;
    } else {
        h->place.own = h->place.child;
        h->place.pid = (uint64_t)pid;
        h->stream = &h->place.own;
    }
}

static void put(const sl_call *call, struct hand *h)
{
    if (h->image.mem >= 0) {
        (void)sl_vdso_write_state(&sl_image_of(call->sv)->plan, h->image.mem, h->image.vdso,
                                  &h->place, sizeof(h->place));
        close(h->image.mem);
    }
}

/* Threads have their process's stream; what else shares memory is told apart while it does. */
static sl_answer handle_fork(sl_call *call)
{
    struct hand h;
    take(call, &h);
    if (h.image.mem >= 0) {
        struct stream child = {.pos = 0};
        sl_stream_derive(h.stream->key, SL_STREAM_CHILD, h.stream->births++, child.key);
        h.place.child = child;
        h.place.shared = (call->nr == SYS_clone && (call->args[0] & CLONE_VM) != 0) ? 1 : 0;
#ifdef SYS_vfork
        h.place.shared = call->nr == SYS_vfork ? 1 : h.place.shared;
#endif
    }
    put(call, &h);
    return SL_ANSWER_PASS;
}

/* The memory goes; the key of what follows waits here for its first call. One that fails leaves
 * everything as it was. */
static sl_answer handle_exec(sl_call *call)
{
    struct sl_random_state *s = random_of(call->sv);
    struct hand h;
    take(call, &h);
    if (h.image.mem >= 0) {
        pid_t pid = sl_call_tgid(call);
        size_t slot = s->next_exec;
        for (size_t i = 0; i < EXECS_MAX; i++) {
            slot = s->execs[i].pid == pid ? i : slot;
        }
        if (slot == s->next_exec) {
            s->next_exec = (s->next_exec + 1) % EXECS_MAX;
        }
        s->execs[slot].pid = pid;
        sl_stream_derive(h.stream->key, SL_STREAM_EXEC, h.stream->pos, s->execs[slot].key);
        close(h.image.mem);
    }
    return SL_ANSWER_PASS;
}

int sl_random_meet(const sl_call *call, const sl_image *image)
{
    struct sl_random_state *s = random_of(call->sv);
    pid_t pid = sl_call_tgid(call);
    struct place place = {.pid = (uint64_t)pid};
    uint8_t block[SL_STREAM_BLOCK];
    memcpy(place.own.key, s->root, SL_STREAM_KEY); /* the first of the tree came from us */
    for (size_t i = 0; i < EXECS_MAX; i++) {
        if (pid > 0 && s->execs[i].pid == pid) {
            memcpy(place.own.key, s->execs[i].key, SL_STREAM_KEY);
            s->execs[i].pid = 0;
        }
    }
    sl_stream_block(place.own.key, SL_STREAM_AUXV, 0, block);
    if (image->at_random != 0 &&
        pwrite(image->mem, block, 16, (off_t)image->at_random) != 16) { /* getauxval(3) */
        return -EFAULT;
    }
    return sl_vdso_write_state(&sl_image_of(call->sv)->plan, image->mem, image->vdso, &place,
                               sizeof(place));
}

/* As much as can be written; -EFAULT when that is nothing. */
static int64_t give(const sl_call *call, struct hand *h, uint64_t to, size_t len)
{
    struct stream *stream = h->stream;
    uint8_t piece[PIECE];
    size_t given = 0;
    while (given < len) {
        size_t n = SL_MIN(len - given, sizeof(piece));
        sl_stream_read(stream->key, stream->pos, piece, n);
        ssize_t written = h->image.mem < 0
                              ? sl_call_write(call, to + given, piece, n) == 0 ? (ssize_t)n : -1
                              : pwrite(h->image.mem, piece, n, (off_t)(to + given));
        if (written != (ssize_t)n) {
            return given > 0 ? (int64_t)given : -EFAULT;
        }
        stream->pos += n;
        given += n;
    }
    return (int64_t)given;
}

static sl_answer handle_getrandom(sl_call *call)
{
    struct hand h;
    unsigned flags = (unsigned)call->args[2];
    if ((flags & ~GRND_KNOWN) != 0 || (flags & (GRND_RANDOM | 4u)) == (GRND_RANDOM | 4u)) {
        return SL_ANSWER_VALUE(-EINVAL);
    }
    take(call, &h);
    int64_t n = give(call, &h, call->args[0], (size_t)SL_MIN(call->args[1], GIVEN_MAX));
    put(call, &h);
    return SL_ANSWER_VALUE(n);
}

static sl_answer give_pipe(const sl_call *call)
{
    struct hand h;
    uint8_t key[SL_STREAM_KEY];
    const sl_vfile_open *asked = sl_vfile_asked(call);
    take(call, &h);
    sl_stream_derive(h.stream->key, SL_STREAM_OPEN, h.stream->opens++, key);
    put(call, &h);
    int fd = sl_random_pipe(&random_of(call->sv)->pipes, key);
    if (fd < 0) {
        return SL_ANSWER_VALUE(fd == -ENFILE ? -ENFILE : -ENOMEM);
    }
    if (asked == NULL || !sl_call_valid(call)) {
        close(fd);
        return SL_ANSWER_VALUE(-EACCES);
    }
    return (sl_answer){.kind = SL_INJECT, .fd = fd, .cloexec = (asked->flags & O_CLOEXEC) != 0};
}

/* RFC 9562 §5.4, as the kernel writes it. */
static sl_answer give_uuid(const sl_call *call)
{
    struct hand h;
    uint8_t u[16];
    char text[64];
    take(call, &h);
    sl_stream_read(h.stream->key, h.stream->pos, u, sizeof(u));
    h.stream->pos += sizeof(u);
    put(call, &h);
    u[6] = (uint8_t)((u[6] & 0x0f) | 0x40);
    u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
    int n = snprintf(text, sizeof(text),
                     "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x\n", u[0],
                     u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12],
                     u[13], u[14], u[15]);
    return sl_vfile_give_text(call, text, (size_t)n);
}

/* Most opens are told apart by their last bytes alone. */
static bool may_be_random(const char *path)
{
    const char *name = strrchr(path, '/');
    name = name == NULL ? path : name + 1;
    return strcmp(name, "random") == 0 || strcmp(name, "urandom") == 0 || strcmp(name, "uuid") == 0;
}

static sl_answer handle_open(sl_call *call)
{
    const sl_vfile_open *asked = sl_vfile_asked(call);
    if (asked == NULL || !may_be_random(asked->given)) {
        return SL_ANSWER_PASS;
    }
    if (sl_vfile_means(call, "/dev/urandom") || sl_vfile_means(call, "/dev/random")) {
        return give_pipe(call);
    }
    return sl_vfile_means(call, UUID_PATH) ? give_uuid(call) : SL_ANSWER_PASS;
}

static int setup(sl_supervisor *sv, void *state, sl_error *err)
{
    struct sl_random_state *s = state;
    (void)err;
    sl_stream_seed(sv->policy->random_seed, s->root);
    sl_stream_derive(s->root, SL_STREAM_LOST, 0, s->lost.key);
    return 0;
}

static void teardown(void *state)
{
    struct sl_random_state *s = state;
    sl_random_pipes_free(s->pipes);
}

static const sl_syscall_row rows[] = {
    {.nr = SYS_getrandom, .handler = handle_getrandom},
    {.nr = SYS_clone,
     .flags = SL_ROW_MAY_CONTINUE, /* plain numbers */
     .handler = handle_fork,
     .conds = {SL_ARG_MASK_EQ(0, CLONE_THREAD, 0)}},
#ifdef SYS_fork
    {.nr = SYS_fork, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_fork},
    {.nr = SYS_vfork, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_fork},
#endif
    /* Landlock judges what is executed. */
    {.nr = SYS_execve, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_exec},
    {.nr = SYS_execveat, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_exec},
    SL_VFILE_ROWS(handle_open)};

const sl_feature sl_feature_random = {
    .name = "random",
    .wanted = wanted,
    .writes = wanted,
    .option = "--random-seed",
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .state_size = sizeof(struct sl_random_state),
    .setup = setup,
    .teardown = teardown,
};
