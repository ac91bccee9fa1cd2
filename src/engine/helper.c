/* Owns the starting of the gateway's process. Between vfork(2) and execve(2) nothing is allocated,
 * and nothing is left to it but the link. */
#include "engine/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/strv.h"
#include "core/util.h"
#include "kernel/proc.h"
#include "policy/link.h"

static const char *const passed_env[] = {"SSL_CERT_FILE", "SSL_CERT_DIR",  "ASAN_OPTIONS",
                                         "LSAN_OPTIONS",  "UBSAN_OPTIONS", "RES_OPTIONS",
                                         "LOCALDOMAIN"};

int sl_helper_find(char **ret_path, sl_error *err)
{
    char self[PATH_MAX];
    ssize_t n = sl_proc_link(SL_PROC_SELF, "exe", self, sizeof(self));
    if (n < 0) {
        return sl_error_set(err, (int)-n, "cannot find our own program: %s", strerror((int)-n));
    }
    *strrchr(self, '/') = '\0';
    static const char *const places[] = {"sandlock-gateway",
                                         "../libexec/sandlock/sandlock-gateway"};
    for (size_t i = 0; i < SL_ARRAY_LEN(places); i++) {
        sl_autofree char *path = NULL;
        if (asprintf(&path, "%s/%s", self, places[i]) < 0) {
            path = NULL;
            return sl_error_set(err, ENOMEM, "not enough memory");
        }
        if (access(path, X_OK) == 0) {
            *ret_path = sl_steal(&path);
            return 0;
        }
    }
    return sl_error_set(err, ENOENT,
                        "cannot find 'sandlock-gateway' beside 'sandlock' or in "
                        "'../libexec/sandlock': rules that name hosts need it");
}

/* In the child of vfork: the link becomes SL_LINK_FD, input and output go nowhere. */
static void become_gateway(const char *path, int link, char *const *env)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || setpgid(0, 0) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) {
        _exit(125);
    }
    if (link == SL_LINK_FD ? fcntl(link, F_SETFD, 0) < 0 : dup2(link, SL_LINK_FD) < 0) {
        _exit(125);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    char *argv[] = {"sandlock-gateway", NULL};
    execve(path, argv, env);
    _exit(125);
}

static pid_t spawn(const char *path, int link, sl_sandbox *sb)
{
    sl_strv env = {0};
    for (size_t i = 0; i < SL_ARRAY_LEN(passed_env); i++) {
        const char *value = getenv(passed_env[i]);
        if (value != NULL && sl_strv_env_set(&env, passed_env[i], value) < 0) {
            sl_strv_done(&env);
            return -1;
        }
    }
    static char *no_env[] = {NULL};
    pid_t pid = vfork();
    if (pid == 0) {
        sl_sandbox_set_helper(sb, getpid()); /* vfork(2): the memory is the engine's */
        become_gateway(path, link, env.items != NULL ? env.items : no_env);
    }
    int saved = errno;
    sl_strv_done(&env);
    errno = saved;
    return pid;
}

int sl_helper_start(const char *path, int link, sl_sandbox *sb, pid_t *ret_pid, sl_error *err)
{
    pid_t pid = spawn(path, link, sb);
    if (pid < 0) {
        return sl_error_set(err, errno, "cannot start '%s': %s", path, strerror(errno));
    }
    *ret_pid = pid;
    return 0;
}
