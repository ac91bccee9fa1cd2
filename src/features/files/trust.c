/* Owns what the child reads in place of a few files: the bundles of certificate authorities, which
 * must name the run's own, and /etc/hosts, which would answer before our resolver is asked. Every
 * other open goes on: Landlock judges it whatever the path says by then. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "core/clock.h"
#include "core/fd.h"
#include "core/util.h"
#include "features/features.h"
#include "features/files/trust.h"
#include "policy/artefact.h"
#include "policy/host.h"
#include "policy/verdict.h"
#include "supervisor/deferred.h"
#include "supervisor/supervisor.h"
#include "supervisor/vfile.h"

#define WAIT_MS   10000               /* for the gateway's certificate */
#define TRUST_KEY 0x7472757374000000u /* of deferred calls; flow ids never get that far */

#define HOSTS "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"

/* Which file is meant: the number of an artefact, or one of these. */
enum virtual_file { VIRTUAL_NONE = SL_ARTEFACTS, VIRTUAL_HOSTS };

struct sl_trust_state {
    pthread_mutex_t lock;
    int hosts_fd;
    bool expected; /* certificates will come */
    bool asked;    /* dispatcher thread only */
    bool arrived;
    int fds[SL_ARTEFACTS];
    char *paths[SL_ARTEFACTS]; /* of the run's private files */
};

static struct sl_trust_state *trust_of(const sl_supervisor *sv)
{
    return sl_supervisor_state(sv, &sl_feature_trust);
}

static bool wanted(const sl_policy *policy)
{
    return sl_policy_needs_names(policy) || sl_policy_needs_trust(policy);
}

static unsigned recognise(const struct sl_trust_state *t, const char *path)
{
    if (strcmp(path, "/etc/hosts") == 0) {
        return VIRTUAL_HOSTS;
    }
    if (!t->expected) {
        return VIRTUAL_NONE;
    }
    for (unsigned i = 0; i < SL_ARTEFACTS; i++) {
        if (strcmp(path, t->paths[i]) == 0) {
            return i;
        }
    }
    return sl_artefact_at(path);
}

/* Most opens are told apart by their last bytes alone. */
static bool may_be_virtual(const char *path)
{
    const char *name = strrchr(path, '/');
    name = name == NULL ? path : name + 1;
    return strcmp(name, "hosts") == 0 || sl_artefact_may_be(name);
}

/* Shared libraries of TLS. Who opens one will want certificates within milliseconds, and has more
 * to load until then: what the gateway makes meanwhile nobody waits for. */
static bool is_tls_library(const char *path)
{
    static const char *const names[] = {"libssl.so", "libssl3.so", "libgnutls.so", "libmbedtls.so",
                                        "libwolfssl.so"};
    const char *name = strrchr(path, '/');
    name = name == NULL ? path : name + 1;
    size_t i = 0;
    while (i < SL_ARRAY_LEN(names) && strncmp(name, names[i], strlen(names[i])) != 0) {
        i++;
    }
    return i < SL_ARRAY_LEN(names);
}

/* Once a run. */
static void want_certificates(struct sl_trust_state *t, const sl_call *call)
{
    if (!t->asked && call->sv->hooks.want_trust != NULL) {
        t->asked = true;
        (void)call->sv->hooks.want_trust(call->sv->hooks.flow_arg); /* else a deadline ends it */
    }
}

struct held {
    unsigned file;
    bool cloexec;
};

/* True when the file can be given now. */
static bool give(struct sl_trust_state *t, const struct held *h, sl_answer *ret_answer)
{
    pthread_mutex_lock(&t->lock);
    bool ready = h->file == VIRTUAL_HOSTS || t->arrived;
    int memfd = h->file == VIRTUAL_HOSTS ? t->hosts_fd : t->fds[h->file];
    if (ready) {
        *ret_answer = sl_vfile_inject(memfd, h->cloexec);
    }
    pthread_mutex_unlock(&t->lock);
    return ready;
}

static bool resume_open(sl_deferred *d, enum sl_wake why, sl_answer *ret_answer)
{
    if (give(trust_of(d->call.sv), d->data, ret_answer)) {
        return true;
    }
    *ret_answer = SL_ANSWER_VALUE(-EIO);
    return why == SL_WAKE_TIMEOUT;
}

static sl_answer handle_open(sl_call *call)
{
    struct sl_trust_state *t = trust_of(call->sv);
    const sl_vfile_open *open = sl_vfile_asked(call);
    if (open != NULL && t->expected && !t->asked && is_tls_library(open->given)) {
        want_certificates(t, call);
    }
    const char *path = open != NULL && may_be_virtual(open->given) ? sl_vfile_path(call) : NULL;
    if (path == NULL) {
        return SL_ANSWER_PASS;
    }
    struct held held = {.file = recognise(t, path), .cloexec = (open->flags & O_CLOEXEC) != 0};
    if (held.file == VIRTUAL_NONE) { /* over a link, perhaps */
        path = sl_vfile_meaning(call);
        held.file = path == NULL ? VIRTUAL_NONE : recognise(t, path);
    }
    sl_answer answer;
    if (held.file == VIRTUAL_NONE || sl_fsview_denied(call->sv->view, path) ||
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
    want_certificates(t, call);
    return sl_deferred_start(call, -1,
                             &(sl_wait){.resume = resume_open,
                                        .data = copy,
                                        .key = TRUST_KEY,
                                        .deadline_ms = sl_clock_now_ms() + WAIT_MS});
}

int sl_trust_expect(sl_supervisor *sv, const char *const paths[SL_ARTEFACTS])
{
    struct sl_trust_state *t = trust_of(sv);
    for (size_t i = 0; i < SL_ARTEFACTS; i++) {
        t->paths[i] = strdup(paths[i]);
        if (t->paths[i] == NULL) {
            return -ENOMEM;
        }
    }
    t->expected = true;
    return 0;
}

static bool are_there(const int fds[SL_ARTEFACTS])
{
    bool there = true;
    for (size_t i = 0; i < SL_ARTEFACTS; i++) {
        there = there && fds[i] >= 0;
    }
    return there;
}

void sl_trust_set(sl_supervisor *sv, const int fds[SL_ARTEFACTS])
{
    struct sl_trust_state *t = trust_of(sv);
    if (t == NULL || t->arrived || !are_there(fds)) {
        for (size_t i = 0; i < SL_ARTEFACTS; i++) {
            sl_close(fds[i]);
        }
        return;
    }
    pthread_mutex_lock(&t->lock);
    memcpy(t->fds, fds, sizeof(t->fds));
    t->arrived = true;
    pthread_mutex_unlock(&t->lock);
    sl_deferred_wake(sv, TRUST_KEY);
}

/* A machine knows its own name: programs ask for it at their start. Not so where a rule speaks of
 * that name: then it is asked for like any other. */
static const char *own_name(const sl_policy *policy, char name[SL_HOST_NAME_MAX])
{
    struct utsname names;
    const char *given = policy->hostname;
    if (given == NULL && uname(&names) == 0) {
        given = names.nodename;
    }
    if (given == NULL || sl_host_name_normalise(given, name) < 0 || sl_host_is_localhost(name) ||
        sl_policy_speaks_of(policy, name)) {
        return NULL;
    }
    return name;
}

static int make_hosts(const sl_policy *policy)
{
    char name[SL_HOST_NAME_MAX];
    char text[sizeof(HOSTS) + 32 + 2 * sizeof(name)] = HOSTS;
    if (own_name(policy, name) != NULL) { /* hosts(5): first the whole name, then the short */
        size_t len = strcspn(name, ".");
        snprintf(text + sizeof(HOSTS) - 1, sizeof(text) - sizeof(HOSTS), "127.0.1.1 %s%s%.*s\n",
                 name, name[len] == '.' ? " " : "", name[len] == '.' ? (int)len : 0, name);
    }
    return sl_fd_memfd("hosts", text, strlen(text));
}

static int setup(sl_supervisor *sv, void *state, sl_error *err)
{
    struct sl_trust_state *t = state;
    pthread_mutex_init(&t->lock, NULL);
    for (size_t i = 0; i < SL_ARTEFACTS; i++) {
        t->fds[i] = -1;
    }
    t->hosts_fd = make_hosts(sv->policy);
    if (t->hosts_fd < 0) {
        return sl_error_set(err, -t->hosts_fd, "cannot make a memory file: %s",
                            strerror(-t->hosts_fd));
    }
    return 0;
}

static void teardown(void *state)
{
    struct sl_trust_state *t = state;
    sl_close(t->hosts_fd);
    for (size_t i = 0; i < SL_ARTEFACTS; i++) {
        sl_close(t->fds[i]);
        free(t->paths[i]);
    }
    pthread_mutex_destroy(&t->lock);
}

static const sl_syscall_row rows[] = {SL_VFILE_ROWS(handle_open)};

const sl_feature sl_feature_trust = {
    .name = "trust",
    .wanted = wanted,
    .promised = sl_feature_promises_nothing, /* the network does */
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .state_size = sizeof(struct sl_trust_state),
    .setup = setup,
    .teardown = teardown,
};
