/* Owns what the child reads in place of a few files: the bundles of certificate authorities, which
 * must name the run's own, and /etc/hosts, which would answer before our resolver is asked. Every
 * other open goes on: Landlock judges it whatever the path says by then. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fd.h"
#include "core/util.h"
#include "policy/verdict.h"
#include "sandbox/deferred.h"
#include "sandbox/features.h"
#include "sandbox/sandbox_int.h"

#define WAIT_MS   10000               /* for the gateway's certificate */
#define TRUST_KEY 0x7472757374000000u /* of deferred calls; flow ids never get that far */

static const char hosts_text[] = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";

static const char *const bundles[] = {
#define SL_CA_BUNDLE(path) path,
#include "core/ca_bundles.inc"
#undef SL_CA_BUNDLE
};

enum virtual_file { VIRTUAL_NONE, VIRTUAL_HOSTS, VIRTUAL_CA, VIRTUAL_BUNDLE };

struct sl_trust_state {
    pthread_mutex_t lock;
    int hosts_fd;
    bool expected; /* certificates will come */
    bool asked;    /* dispatcher thread only */
    bool arrived;
    int ca_fd;
    int bundle_fd;
    char *ca_path;
    char *bundle_path;
};

static bool wanted(const sl_policy *policy)
{
    return sl_policy_needs_names(policy) || sl_policy_needs_trust(policy);
}

/* Takes "//", "/./" and "/../" out of an absolute path. What symlinks do is not followed: this is
 * convenience, not a border. */
static void tidy(char *path)
{
    char *out = path;
    for (const char *p = path; *p != '\0';) {
        const char *end = strchrnul(p + 1, '/');
        size_t n = (size_t)(end - p);
        if (n == 3 && memcmp(p, "/..", 3) == 0) {
            while (out > path && *--out != '/') {
            }
        } else if (n > 1 && !(n == 2 && p[1] == '.')) {
            memmove(out, p, n);
            out += n;
        }
        p = end;
    }
    *out = '\0';
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

static enum virtual_file recognise(const struct sl_trust_state *t, const char *path)
{
    if (strcmp(path, "/etc/hosts") == 0) {
        return VIRTUAL_HOSTS;
    }
    if (!t->expected) {
        return VIRTUAL_NONE;
    }
    if (strcmp(path, t->ca_path) == 0) {
        return VIRTUAL_CA;
    }
    if (strcmp(path, t->bundle_path) == 0 || ends_with(path, "/certifi/cacert.pem")) {
        return VIRTUAL_BUNDLE;
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(bundles); i++) {
        if (strcmp(path, bundles[i]) == 0) {
            return VIRTUAL_BUNDLE;
        }
    }
    return VIRTUAL_NONE;
}

/* Most opens are told apart by their last bytes alone. */
static bool may_be_virtual(const char *path)
{
    const char *name = strrchr(path, '/');
    name = name == NULL ? path : name + 1;
    return strcmp(name, "hosts") == 0 || ends_with(name, ".pem") || ends_with(name, ".crt");
}

/* A descriptor of its own for every reader: a shared offset would start the second in the middle.
 */
static sl_answer inject(int memfd, bool cloexec)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? SL_ANSWER_VALUE(-EACCES)
                  : (sl_answer){.kind = SL_INJECT, .fd = fd, .cloexec = cloexec};
}

struct held {
    enum virtual_file file;
    bool cloexec;
};

/* True when the file can be given now. */
static bool give(struct sl_trust_state *t, const struct held *h, sl_answer *ret_answer)
{
    pthread_mutex_lock(&t->lock);
    bool ready = h->file == VIRTUAL_HOSTS || t->arrived;
    int memfd = h->file == VIRTUAL_HOSTS ? t->hosts_fd
                : h->file == VIRTUAL_CA  ? t->ca_fd
                                         : t->bundle_fd;
    if (ready) {
        *ret_answer = inject(memfd, h->cloexec);
    }
    pthread_mutex_unlock(&t->lock);
    return ready;
}

static bool resume_open(sl_deferred *d, enum sl_wake why, sl_answer *ret_answer)
{
    if (give(d->call.sb->trust, d->data, ret_answer)) {
        return true;
    }
    *ret_answer = SL_ANSWER_VALUE(-EIO);
    return why == SL_WAKE_TIMEOUT;
}

/* The absolute path that was asked for. False when it is not one of ours for certain. */
static bool absolute(const sl_call *call, int dirfd, char path[PATH_MAX])
{
    char link[64];
    char full[PATH_MAX];
    if (path[0] != '/') {
        if (dirfd == AT_FDCWD) {
            snprintf(link, sizeof(link), "/proc/%d/cwd", (int)call->tid);
        } else {
            snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)call->tid, dirfd);
        }
        ssize_t n = readlink(link, full, sizeof(full) - 1);
        if (n <= 0 || full[0] != '/' ||
            (size_t)snprintf(full + n, sizeof(full) - (size_t)n, "/%s", path) >=
                sizeof(full) - (size_t)n) {
            return false;
        }
        memcpy(path, full, sizeof(full));
    }
    tidy(path);
    return true;
}

static sl_answer handle(sl_call *call, int dirfd, uint64_t path_at, uint64_t flags)
{
    struct sl_trust_state *t = call->sb->trust;
    char path[PATH_MAX];
    if ((flags & (O_ACCMODE | O_PATH | O_DIRECTORY)) != O_RDONLY ||
        sl_call_read_str(call, path_at, path, sizeof(path)) < 0 || !may_be_virtual(path) ||
        !absolute(call, dirfd, path)) {
        return SL_ANSWER_PASS;
    }
    struct held held = {.file = recognise(t, path), .cloexec = (flags & O_CLOEXEC) != 0};
    sl_answer answer;
    if (held.file == VIRTUAL_NONE || sl_fsview_denied(call->sb->view, path) ||
        !sl_call_valid(call)) {
        return SL_ANSWER_PASS;
    }
    if (give(t, &held, &answer)) {
        return answer;
    }
    struct held *copy = malloc(sizeof(*copy));
    if (copy != NULL) {
        *copy = held;
    }
    if (!t->asked && call->sb->hooks.want_trust != NULL) {
        t->asked = true;
        (void)call->sb->hooks.want_trust(call->sb->hooks.flow_arg); /* else the deadline ends it */
    }
    return sl_deferred_start(call, -1,
                             &(sl_wait){.resume = resume_open,
                                        .data = copy,
                                        .key = TRUST_KEY,
                                        .deadline_ms = sl_clock_now_ms() + WAIT_MS});
}

static sl_answer handle_openat(sl_call *call)
{
    return handle(call, (int)call->args[0], call->args[1], call->args[2]);
}

#ifdef SYS_open
static sl_answer handle_open(sl_call *call)
{
    return handle(call, AT_FDCWD, call->args[0], call->args[1]);
}
#endif

static sl_answer handle_openat2(sl_call *call)
{
    struct open_how how;
    if (call->args[3] < sizeof(how) || sl_call_read(call, call->args[2], &how, sizeof(how)) < 0 ||
        how.resolve != 0) {
        return SL_ANSWER_PASS;
    }
    return handle(call, (int)call->args[0], call->args[1], how.flags);
}

int sl_sandbox_expect_trust(sl_sandbox *sb, const char *ca_path, const char *bundle_path)
{
    struct sl_trust_state *t = sb->trust;
    t->ca_path = strdup(ca_path);
    t->bundle_path = strdup(bundle_path);
    if (t->ca_path == NULL || t->bundle_path == NULL) {
        return -ENOMEM;
    }
    t->expected = true;
    return 0;
}

void sl_sandbox_set_trust(sl_sandbox *sb, int ca_fd, int bundle_fd)
{
    struct sl_trust_state *t = sb->trust;
    if (t == NULL || ca_fd < 0 || bundle_fd < 0 || t->arrived) {
        sl_close(ca_fd);
        sl_close(bundle_fd);
        return;
    }
    pthread_mutex_lock(&t->lock);
    t->ca_fd = ca_fd;
    t->bundle_fd = bundle_fd;
    t->arrived = true;
    pthread_mutex_unlock(&t->lock);
    sl_deferred_wake(sb, TRUST_KEY);
}

static int setup(sl_sandbox *sb, sl_error *err)
{
    struct sl_trust_state *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    sb->trust = t;
    pthread_mutex_init(&t->lock, NULL);
    t->ca_fd = -1;
    t->bundle_fd = -1;
    t->hosts_fd = sl_fd_memfd("hosts", hosts_text, sizeof(hosts_text) - 1);
    if (t->hosts_fd < 0) {
        return sl_error_set(err, -t->hosts_fd, "cannot make a memory file: %s",
                            strerror(-t->hosts_fd));
    }
    return 0;
}

static void teardown(sl_sandbox *sb)
{
    struct sl_trust_state *t = sb->trust;
    if (t == NULL) {
        return;
    }
    sl_close(t->hosts_fd);
    sl_close(t->ca_fd);
    sl_close(t->bundle_fd);
    free(t->ca_path);
    free(t->bundle_path);
    pthread_mutex_destroy(&t->lock);
    free(t);
    sb->trust = NULL;
}

#define MAY_CONTINUE                                                                               \
    SL_ROW_MAY_CONTINUE /* Landlock judges the open, whatever the path says then                   \
                         */

static const sl_syscall_row rows[] = {
    {.nr = SYS_openat, .flags = MAY_CONTINUE, .handler = handle_openat},
    {.nr = SYS_openat2, .flags = MAY_CONTINUE, .handler = handle_openat2},
#ifdef SYS_open
    {.nr = SYS_open, .flags = MAY_CONTINUE, .handler = handle_open},
#endif
};

const sl_feature sl_feature_trust = {
    .name = "trust",
    .wanted = wanted,
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .setup = setup,
    .teardown = teardown,
};
