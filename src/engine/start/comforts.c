/* Owns what makes ordinary programs work in a run: a place for temporary files, a word to apt.
 * Never uses a directory that is not this user's, or not closed to others. */
#include "engine/start/comforts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/util.h"
#include "kernel/proc.h"
#include "policy/verdict.h"

#define APT_FILE  "apt.conf"
#define APT_PARTS "/etc/apt/apt.conf.d" /* where there is apt, and what it must read */

/* apt.conf(5): whom its methods become. Here they have no more rights than anybody else. */
static const char apt_text[] = "APT::Sandbox::User \"root\";\n";

static bool is_given(const sl_policy *policy, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < policy->env.count; i++) {
        const char *pair = policy->env.items[i];
        if (strncmp(pair, name, len) == 0 && pair[len] == '=') {
            return true;
        }
    }
    return false;
}

static bool may_write(const sl_sandbox *sandbox, const char *path)
{
    char real[PATH_MAX];
    return path != NULL && realpath(path, real) != NULL && sl_sandbox_may_write(sandbox, real);
}

/* As tmux and others have theirs: one for all runs of this user, and closed to other users. */
static int open_temporary(void)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof(path), "/tmp/sandlock-tmp-%u", (unsigned)geteuid());
    if (mkdir(path, 0700) < 0 && errno != EEXIST) {
        return -errno;
    }
    sl_autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        return -errno;
    }
    return st.st_uid == geteuid() && (st.st_mode & 077) == 0 ? sl_steal_fd(&fd) : -EPERM;
}

int sl_comforts_temporary(const sl_policy *policy, sl_sandbox *sandbox, sl_strv *env)
{
    char path[PATH_MAX];
    const char *before = sl_strv_env_get(env, "TMPDIR");
    if (!sl_policy_has_default_view(policy) || is_given(policy, "TMPDIR") ||
        may_write(sandbox, before)) {
        return 0;
    }
    if (may_write(sandbox, "/tmp")) {
        return before == NULL ? 0 : sl_strv_env_set(env, "TMPDIR", "/tmp");
    }
    sl_autoclose int fd = open_temporary();
    if (fd < 0 || sl_proc_fd_path(fd, path) < 0) {
        return 0;
    }
    int r = sl_sandbox_allow_temporary(sandbox, fd);
    if (r == 0) {
        r = sl_strv_env_set(env, "TMPDIR", path);
    }
    return r == -ENOMEM ? r : 0;
}

static bool is_root_to_itself(const sl_policy *policy)
{
    return policy->privileged || policy->uid == 0 ||
           (policy->uid == SL_POLICY_ID_NONE && geteuid() == 0);
}

/* Written beside, and then named: who finds the name finds all of it. */
static int make_apt(int base)
{
    char name[64];
    snprintf(name, sizeof(name), "%s.%d", APT_FILE, (int)getpid());
    sl_autoclose int fd =
        openat(base, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    size_t len = sizeof(apt_text) - 1;
    int r = fd < 0 || write(fd, apt_text, len) != (ssize_t)len ? -EIO : 0;
    if (r == 0 && linkat(base, name, base, APT_FILE, 0) < 0 && errno != EEXIST) {
        r = -errno;
    }
    unlinkat(base, name, 0);
    return r;
}

/* What is found is looked at: a run that may write the home was there, perhaps. */
static int find_apt(int at, const char *name)
{
    char text[sizeof(apt_text)];
    size_t len = sizeof(apt_text) - 1;
    sl_autoclose int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || pread(fd, text, sizeof(text), 0) != (ssize_t)len ||
        memcmp(text, apt_text, len) != 0) {
        return -ENOENT;
    }
    return sl_steal_fd(&fd);
}

static int open_apt(int base)
{
    int fd = find_apt(base, APT_FILE);
    if (fd < 0) {
        unlinkat(base, APT_FILE, 0);
        fd = make_apt(base) < 0 ? -EIO : find_apt(base, APT_FILE);
    }
    return fd;
}

int sl_comforts_apt(const sl_policy *policy, sl_sandbox *sandbox, const sl_rundir *dir,
                    sl_strv *env)
{
    char path[PATH_MAX];
    if (!is_root_to_itself(policy) || is_given(policy, "APT_CONFIG") ||
        access(APT_PARTS, F_OK) < 0 || !sl_sandbox_may_read(sandbox, APT_PARTS)) {
        return 0;
    }
    const char *before = sl_strv_env_get(env, "APT_CONFIG"); /* ours, of a run around this one? */
    sl_autoclose int fd = before != NULL ? find_apt(AT_FDCWD, before)
                          : dir != NULL  ? open_apt(dir->base_fd)
                                         : -1;
    if (fd < 0 || sl_proc_fd_path(fd, path) < 0) {
        return 0;
    }
    int r = sl_sandbox_allow_file(sandbox, fd);
    if (r == 0) {
        r = sl_strv_env_set(env, "APT_CONFIG", path);
    }
    return r == -ENOMEM ? r : 0;
}
