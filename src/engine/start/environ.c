/* Owns the making of the child's environment. */
#include "engine/start/environ.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/util.h"
#include "engine/start/proxies.h"
#include "policy/verdict.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

static const char *const clean_names[] = {"PATH", "HOME", "USER", "TERM", "LANG"};

static int set_pair(sl_strv *env, const char *pair)
{
    const char *equals = strchr(pair, '=');
    if (equals == NULL) {
        return 0;
    }
    sl_autofree char *name = strndup(pair, (size_t)(equals - pair));
    return name == NULL ? -ENOMEM : sl_strv_env_set(env, name, equals + 1);
}

/* True for what a clean environment keeps. */
static bool is_kept(const char *pair)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(clean_names); i++) {
        size_t n = strlen(clean_names[i]);
        if (strncmp(pair, clean_names[i], n) == 0 && pair[n] == '=') {
            return true;
        }
    }
    return false;
}

/* For programs that count GPUs themselves: those that are granted. The boundary is the kernel's. */
static int set_gpus(const sl_policy *policy, sl_strv *env)
{
    static const char *const names[] = {"CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES",
                                        "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"};
    char value[SL_POLICY_GPUS_MAX * 3 + 1] = "";
    size_t len = 0;
    for (int i = 0; i < SL_POLICY_GPUS_MAX; i++) {
        if ((policy->gpu_mask >> i & 1) != 0) {
            len += (size_t)snprintf(value + len, sizeof(value) - len, len == 0 ? "%d" : ",%d", i);
        }
    }
    int r = 0;
    for (size_t i = 0; r == 0 && i < SL_ARRAY_LEN(names); i++) {
        r = sl_strv_env_set(env, names[i], value);
    }
    return r;
}

/* Requests are judged wherever they go, and a proxy would be asked for them in place of the hosts
 * that the rules name. */
static bool is_withheld(const sl_policy *policy, const char *pair)
{
    return sl_policy_has_http(policy) && sl_proxies_is_variable(pair);
}

static int note_removed(const sl_policy *policy, const char *pair, sl_strv *removed)
{
    size_t n = strcspn(pair, "=");
    if (policy->clean_env || !is_withheld(policy, pair) || pair[n] == '\0' || pair[n + 1] == '\0') {
        return 0; /* an empty one names nobody */
    }
    for (size_t i = 0; i < policy->env.count; i++) {
        if (strncmp(policy->env.items[i], pair, n + 1) == 0) {
            return 0; /* it has another value, and stays */
        }
    }
    return sl_strv_take(removed, strndup(pair, n));
}

int sl_environ_proxies(const sl_policy *policy, char *const *environ_in, sl_strv *ret_removed,
                       sl_strv *ret_proxies)
{
    int r = 0;
    for (char *const *e = environ_in; r == 0 && *e != NULL; e++) {
        r = sl_proxies_add(ret_proxies, *e);
        r = r < 0 ? r : note_removed(policy, *e, ret_removed);
    }
    for (size_t i = 0; r == 0 && i < policy->env.count; i++) {
        r = sl_proxies_add(ret_proxies, policy->env.items[i]);
    }
    return r;
}

int sl_environ_make(const sl_policy *policy, char *const *environ_in, sl_strv *ret_env)
{
    int r = 0;
    for (char *const *e = environ_in; r == 0 && *e != NULL; e++) {
        if ((!policy->clean_env || is_kept(*e)) && !is_withheld(policy, *e)) {
            r = sl_strv_add(ret_env, *e);
        }
    }
    if (r == 0 && policy->gpu_mask != 0 && !policy->gpu_all) {
        r = set_gpus(policy, ret_env);
    }
    for (size_t i = 0; r == 0 && i < policy->env.count; i++) {
        r = set_pair(ret_env, policy->env.items[i]);
    }
    return r;
}

int sl_environ_read_trust(const sl_strv *files, sl_buf *ret_pem)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < files->count; i++) {
        sl_autofree char *text = NULL;
        size_t len;
        if (sl_fd_read_file(files->items[i], SL_ENVIRON_BUNDLE_MAX, &text, &len) == 0) {
            r = sl_buf_append(ret_pem, text, len);
            r = r < 0 ? r : sl_buf_append(ret_pem, "\n", 1);
        }
    }
    return r == -ENOBUFS ? 0 : r;
}

int sl_environ_trust(sl_strv *env, const char *const files[SL_ARTEFACTS], sl_strv *ret_before)
{
    size_t count;
    const sl_artefact_variable *variables = sl_artefact_variables(&count);
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        const char *before = sl_strv_env_get(env, variables[i].name);
        if (before != NULL && before[0] == '/' && !sl_strv_has(ret_before, before)) {
            r = sl_strv_add(ret_before, before);
        }
        /* Beside the system's own roots the CA is enough, but what was added before must stay. */
        bool added = variables[i].artefact == SL_ARTEFACT_CA && before != NULL && before[0] == '/';
        if (r == 0) {
            r = sl_strv_env_set(env, variables[i].name,
                                files[added ? SL_ARTEFACT_BUNDLE : variables[i].artefact]);
        }
    }
    return r;
}

static bool is_program(const char *path, int *error)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        return false;
    }
    if (!S_ISREG(st.st_mode) || access(path, X_OK) < 0) {
        *error = S_ISDIR(st.st_mode) ? EISDIR : EACCES;
        return false;
    }
    return true;
}

int sl_environ_find(const char *name, const sl_strv *env, char **ret_path, sl_error *err)
{
    int error = ENOENT;
    if (strchr(name, '/') != NULL || name[0] == '\0') {
        if (is_program(name, &error)) {
            *ret_path = strdup(name);
            return *ret_path == NULL ? sl_error_set(err, ENOMEM, "not enough memory") : 0;
        }
    } else {
        const char *path = sl_strv_env_get(env, "PATH");
        sl_autofree char *copy = strdup(path != NULL ? path : DEFAULT_PATH);
        char *rest = copy;
        for (char *dir; rest != NULL && (dir = strsep(&rest, ":")) != NULL;) {
            sl_autofree char *full = NULL;
            if (asprintf(&full, "%s/%s", dir[0] == '\0' ? "." : dir, name) < 0) {
                full = NULL;
                return sl_error_set(err, ENOMEM, "not enough memory");
            }
            if (is_program(full, &error)) {
                *ret_path = sl_steal(&full);
                return 0;
            }
        }
    }
    if (error == ENOENT) {
        return sl_error_kind_set(err, SL_ERROR_NOT_FOUND, ENOENT, "cannot find command '%s'%s",
                                 name, strchr(name, '/') == NULL ? " in PATH" : "");
    }
    return sl_error_kind_set(err, SL_ERROR_NOT_EXEC, error, "cannot execute '%s': %s", name,
                             strerror(error));
}
