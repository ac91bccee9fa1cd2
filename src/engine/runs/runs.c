/* Owns the asking of other runs. It believes neither a name in the directory nor an answer: each is
 * bounded in size and time, and nothing is removed but sockets that nobody serves any more. */
#include "engine/runs/runs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/num.h"

#define ASK_MS 3000 /* longer than the run takes to turn a slow peer away */

/* "GUARDIAN-RANDOM", and nothing else: the guardian's number, or 0. */
static int guardian_of(const char *file)
{
    size_t digits = strspn(file, "0123456789");
    const char *rest = file + digits;
    if (digits == 0 || digits > 9 || rest[0] != '-' || strspn(rest + 1, "0123456789abcdef") != 16 ||
        rest[17] != '\0') {
        return 0;
    }
    return (int)sl_num_pid(file);
}

static bool is_socket(int dir, const char *file)
{
    struct stat st;
    return fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode);
}

static int connect_to(const sl_runs_entry *run)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = ASK_MS / 1000};
    sl_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int n =
        snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%s", run->dir_fd, run->file);
    if (n < 0 || (size_t)n >= sizeof(sa.sun_path)) {
        return -ENAMETOOLONG;
    }
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
        connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
        return errno == EAGAIN ? -ETIMEDOUT : -errno; /* a full queue: nobody takes from it */
    }
    return sl_steal_fd(&fd);
}

/* To the end of the stream. A peer that was turned away gets no byte. */
static int receive(int fd, sl_buf *out)
{
    for (;;) {
        uint8_t *to = sl_buf_reserve(out, 4096);
        if (to == NULL) {
            return -EPROTO;
        }
        ssize_t n = recv(fd, to, 4096, 0);
        if (n == 0) {
            return out->len == 0 ? -EACCES : sl_buf_append(out, "", 1);
        }
        if (n < 0 && errno != EINTR) {
            return errno == EAGAIN ? -ETIMEDOUT : errno == ECONNRESET ? -EACCES : -errno;
        }
        sl_buf_commit(out, n < 0 ? 0 : (size_t)n);
    }
}

int sl_runs_ask(const sl_runs_entry *run, enum sl_control_what what, int sig, char **ret_json)
{
    struct sl_control_request request = {
        .magic = SL_CONTROL_MAGIC, .what = (uint32_t)what, .signal = (uint32_t)sig};
    sl_autoclose int fd = connect_to(run);
    if (fd < 0) {
        return fd;
    }
    if (send(fd, &request, sizeof(request), MSG_NOSIGNAL) != sizeof(request)) {
        return errno == EPIPE || errno == ECONNRESET ? -EACCES : -errno;
    }
    sl_buf answer;
    sl_buf_init(&answer, SL_CONTROL_ANSWER_MAX + 4096u);
    int r = receive(fd, &answer);
    if (r == 0) {
        *ret_json = strdup((const char *)sl_buf_head(&answer));
        r = *ret_json == NULL ? -ENOMEM : 0;
    }
    sl_buf_done(&answer);
    return r;
}

/* Nobody listens and the guardian is gone. Either alone may be a run that is just beginning, or one
 * in another pid namespace. */
static bool is_dead(const sl_runs_entry *run, int answer)
{
    return answer == -ECONNREFUSED && kill(run->guardian, 0) < 0 && errno == ESRCH;
}

static int add(sl_runs *runs, sl_runs_entry *run)
{
    int r = sl_runs_ask(run, SL_CONTROL_LIST, 0, &run->answer);
    run->error = r;
    if (is_dead(run, r)) {
        unlinkat(run->dir_fd, run->file, 0);
    }
    if (r == -ECONNREFUSED || r == -ENOENT) {
        return 0; /* over, or not there yet */
    }
    sl_runs_entry *more = realloc(runs->items, (runs->count + 1) * sizeof(*more));
    if (more == NULL) {
        free(run->answer);
        return -ENOMEM;
    }
    runs->items = more;
    runs->items[runs->count++] = *run;
    return 0;
}

struct listing {
    sl_runs *runs;
    int result;
};

static void list_directory(void *arg, int fd)
{
    struct listing *l = arg;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = again < 0 ? NULL : fdopendir(again);
    if (own < 0 || d == NULL) {
        sl_close(own);
        sl_close(d == NULL ? again : -1);
        return;
    }
    l->runs->dirs[l->runs->dir_count++] = own;
    for (struct dirent *e; l->result == 0 && (e = readdir(d)) != NULL;) {
        sl_runs_entry run = {.dir_fd = own, .guardian = guardian_of(e->d_name)};
        if (run.guardian > 0 && is_socket(own, e->d_name) && l->runs->count < SL_RUNS_MAX) {
            snprintf(run.file, sizeof(run.file), "%s", e->d_name);
            l->result = add(l->runs, &run);
        }
    }
    closedir(d);
}

static int by_guardian(const void *a, const void *b)
{
    const sl_runs_entry *x = a;
    const sl_runs_entry *y = b;
    return x->guardian != y->guardian ? (x->guardian < y->guardian ? -1 : 1)
                                      : strcmp(x->file, y->file);
}

int sl_runs_list(sl_runs *ret_runs)
{
    struct listing l = {.runs = ret_runs};
    *ret_runs = (sl_runs){0};
    sl_rundir_each_control(list_directory, &l);
    if (ret_runs->count > 0) {
        qsort(ret_runs->items, ret_runs->count, sizeof(*ret_runs->items), by_guardian);
    }
    return l.result;
}

void sl_runs_done(sl_runs *runs)
{
    for (size_t i = 0; i < runs->count; i++) {
        free(runs->items[i].answer);
    }
    for (size_t i = 0; i < runs->dir_count; i++) {
        sl_close(runs->dirs[i]);
    }
    free(runs->items);
    *runs = (sl_runs){0};
}
