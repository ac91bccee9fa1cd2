/* Owns the per-user directory and the per-run ones in it: 0700, ours, reached through descriptors.
 */
#include "engine/runs/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/num.h"
#include "kernel/proc.h"

/* Opens (and makes) one directory that must be ours and closed to others. */
static int open_private(int at, const char *name)
{
    if (mkdirat(at, name, 0700) < 0 && errno != EEXIST) {
        return -errno;
    }
    sl_autoclose int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        return -errno;
    }
    if (st.st_uid != geteuid() || ((st.st_mode & 077) != 0 && fchmod(fd, 0700) < 0)) {
        return -EPERM;
    }
    return sl_steal_fd(&fd);
}

static int make_canary(int base)
{
    sl_autoclose int fd = openat(base, "canary", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : 0;
}

static int try_base(sl_rundir *dir, const char *top, const char *below, const char *name)
{
    char real[PATH_MAX];
    if (top == NULL || top[0] != '/') {
        return -ENOENT;
    }
    sl_autoclose int top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (top_fd < 0) {
        return -errno;
    }
    sl_autoclose int mid = -1;
    if (below != NULL) {
        if (mkdirat(top_fd, below, 0700) < 0 && errno != EEXIST) {
            return -errno;
        }
        mid = openat(top_fd, below, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (mid < 0) {
            return -errno;
        }
    }
    sl_autoclose int fd = open_private(below != NULL ? mid : top_fd, name);
    if (fd < 0) {
        return fd;
    }
    int r = sl_proc_fd_path(fd, real);
    if (r < 0) {
        return r;
    }
    int len = snprintf(dir->canary, sizeof(dir->canary), "%s/canary", real);
    if (len < 0 || (size_t)len >= sizeof(dir->canary)) {
        return -ENAMETOOLONG;
    }
    memcpy(dir->base, real, strlen(real) + 1);
    r = make_canary(fd);
    if (r < 0) {
        return r;
    }
    dir->base_fd = sl_steal_fd(&fd);
    return 0;
}

struct candidate {
    const char *top;
    const char *below;
    const char *name;
};

#define CANDIDATES 3

/* In the order of their being tried. `of_user` holds one of the names. */
static void list_candidates(struct candidate ret[CANDIDATES], char of_user[32])
{
    snprintf(of_user, 32, "sandlock-%u", (unsigned)geteuid());
    ret[0] = (struct candidate){getenv("XDG_RUNTIME_DIR"), NULL, "sandlock"};
    ret[1] = (struct candidate){getenv("HOME"), ".cache", "sandlock"};
    ret[2] = (struct candidate){"/var/tmp", NULL, of_user}; /* a home below /tmp, or none at all */
}

int sl_rundir_open(sl_rundir **ret_dir, bool (*usable)(void *arg, const char *path), void *arg,
                   sl_error *err)
{
    char of_user[32];
    struct candidate candidates[CANDIDATES];
    list_candidates(candidates, of_user);
    SL_AUTO(sl_rundir) dir = calloc(1, sizeof(*dir));
    if (dir == NULL) {
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    dir->run_fd = -1;
    dir->base_fd = -1;
    for (size_t i = 0; i < CANDIDATES; i++) {
        if (try_base(dir, candidates[i].top, candidates[i].below, candidates[i].name) == 0) {
            if (usable(arg, dir->base)) {
                *ret_dir = sl_steal(&dir);
                return 0;
            }
            close(dir->base_fd);
            dir->base_fd = -1;
        }
    }
    return sl_error_set(err, ENOENT,
                        "no place for private files: neither $XDG_RUNTIME_DIR nor ~/.cache nor "
                        "/var/tmp is there, ours, and outside every path given with -w");
}

/* Removes one run's directory by the names we make in it. */
static void remove_run(int base, const char *name)
{
    sl_autoclose int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    for (size_t i = 0; fd >= 0 && i < SL_ARTEFACTS; i++) {
        unlinkat(fd, sl_artefact_file(i), 0);
    }
    unlinkat(base, name, AT_REMOVEDIR);
}

/* Nobody holds the directory: its number may mean nothing here, in another pid namespace. */
static bool is_abandoned(int base, const char *name)
{
    sl_autoclose int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

/* What a guardian and engine that were both killed left behind. */
static void sweep(int base)
{
    int fd = openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL) {
        sl_close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strncmp(e->d_name, "run-", 4) == 0) {
            pid_t pid = sl_num_pid(e->d_name + 4);
            if (pid > 0 && kill(pid, 0) < 0 && errno == ESRCH && is_abandoned(base, e->d_name)) {
                remove_run(base, e->d_name);
            }
        }
    }
    closedir(d);
}

/* The empty file of one artefact. */
static int make_trust(sl_rundir *dir, enum sl_artefact artefact, sl_error *err)
{
    const char *name = sl_artefact_file(artefact);
    int len = snprintf(dir->trust[artefact], PATH_MAX, "%s/%s/%s", dir->base, dir->run_name, name);
    sl_autoclose int fd = openat(dir->run_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || len < 0 || len >= PATH_MAX) {
        int error = fd < 0 ? errno : ENAMETOOLONG;
        return sl_error_set(err, error, "cannot make '%s' in '%s': %s", name, dir->base,
                            strerror(error));
    }
    return 0;
}

int sl_rundir_begin(sl_rundir *dir, sl_error *err)
{
    unsigned char salt[8];
    sweep(dir->base_fd);
    if (getrandom(salt, sizeof(salt), 0) != sizeof(salt)) {
        return sl_error_set(err, errno, "no random numbers: %s", strerror(errno));
    }
    int n = snprintf(dir->run_name, sizeof(dir->run_name), "run-%d-", (int)getpid());
    for (size_t i = 0; i < sizeof(salt); i++) {
        n += snprintf(dir->run_name + n, sizeof(dir->run_name) - (size_t)n, "%02x", salt[i]);
    }
    if (mkdirat(dir->base_fd, dir->run_name, 0700) < 0) {
        return sl_error_set(err, errno, "cannot make '%s/%s': %s", dir->base, dir->run_name,
                            strerror(errno));
    }
    dir->run_fd =
        openat(dir->base_fd, dir->run_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    (void)flock(dir->run_fd, LOCK_SH | LOCK_NB); /* held as long as one of us lives */
    int r = 0;
    for (size_t i = 0; r == 0 && i < SL_ARTEFACTS; i++) {
        r = make_trust(dir, i, err);
    }
    if (r < 0) {
        sl_rundir_end(dir);
    }
    return r;
}

int sl_rundir_name_control(sl_rundir *dir)
{
    uint64_t salt;
    if (getrandom(&salt, sizeof(salt), 0) != sizeof(salt)) {
        return -errno;
    }
    snprintf(dir->control_name, sizeof(dir->control_name), "%d-%016llx", (int)getpid(),
             (unsigned long long)salt);
    return 0;
}

int sl_rundir_open_control(const sl_rundir *dir)
{
    return open_private(dir->base_fd, "control");
}

/* One that is there and ours; nothing is made or changed. */
static int find_control(const struct candidate *c)
{
    char path[PATH_MAX];
    struct stat st;
    int n = snprintf(path, sizeof(path), "%s/%s%s%s/control", c->top,
                     c->below != NULL ? c->below : "", c->below != NULL ? "/" : "", c->name);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        return -ENAMETOOLONG;
    }
    sl_autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        return -errno;
    }
    return st.st_uid == geteuid() ? sl_steal_fd(&fd) : -EPERM;
}

void sl_rundir_each_control(void (*each)(void *arg, int fd), void *arg)
{
    char of_user[32];
    char runtime[32];
    struct candidate candidates[CANDIDATES];
    struct stat seen[CANDIDATES];
    size_t count = 0;
    list_candidates(candidates, of_user);
    if (candidates[0].top == NULL) { /* what a login session has, from outside one */
        snprintf(runtime, sizeof(runtime), "/run/user/%u", (unsigned)geteuid());
        candidates[0].top = runtime;
    }
    for (size_t i = 0; i < CANDIDATES; i++) {
        struct stat st;
        bool again = false;
        sl_autoclose int fd = candidates[i].top == NULL ? -ENOENT : find_control(&candidates[i]);
        if (fd < 0 || fstat(fd, &st) < 0) {
            continue;
        }
        for (size_t k = 0; k < count; k++) {
            again = again || (seen[k].st_dev == st.st_dev && seen[k].st_ino == st.st_ino);
        }
        if (!again) {
            seen[count++] = st;
            each(arg, fd);
        }
    }
}

static void remove_control(const sl_rundir *dir)
{
    sl_autoclose int fd =
        openat(dir->base_fd, "control", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
        unlinkat(fd, dir->control_name, 0);
    }
}

void sl_rundir_end(sl_rundir *dir)
{
    if (dir == NULL) {
        return;
    }
    if (dir->run_name[0] != '\0') {
        remove_run(dir->base_fd, dir->run_name);
        dir->run_name[0] = '\0';
    }
    if (dir->control_name[0] != '\0') {
        remove_control(dir);
        dir->control_name[0] = '\0';
    }
}

void sl_rundir_free(sl_rundir *dir)
{
    if (dir != NULL) {
        sl_close(dir->run_fd);
        sl_close(dir->base_fd);
        free(dir);
    }
}
