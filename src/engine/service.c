/* Owns the joining of the gateway with the sandbox and the report of a run. It does not end the
 * run: it tells the engine, which does. */
#include "engine/service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/util.h"
#include "engine/helper.h"
#include "engine/link.h"
#include "engine/start/environ.h"

#define CA_MAX 16384 /* bytes of one certificate */

struct sl_service {
    sl_prepared *prepared;
    sl_report *report;
    sl_link *link; /* NULL: no gateway */
    pid_t pid;
    sl_error unwritten; /* code 0: what http_ca_out asks for is done */
    sl_service_events events;
};

/* ---- what the sandbox asks ---- */

static int hook_flow(void *arg, const struct sl_link_flow *flow, int fd)
{
    return sl_link_send(arg, flow, sizeof(*flow), fd);
}

static int hook_dns(void *arg, const struct sl_link_dns *dns, int fd)
{
    return sl_link_send(arg, dns, sizeof(*dns), fd);
}

static int hook_resolve(void *arg, const struct sl_link_resolve *resolve)
{
    return sl_link_send(arg, resolve, sizeof(*resolve), -1);
}

static int hook_want_trust(void *arg)
{
    struct sl_link_header ask = {SL_LINK_TRUST, sizeof(ask)};
    return sl_link_send(arg, &ask, sizeof(ask), -1);
}

static void hook_decided(void *arg, pid_t pid, const sl_dest *dest, const sl_net_verdict *verdict,
                         bool allowed)
{
    sl_report_decided(arg, pid, dest, verdict, allowed);
}

static void hook_bound(void *arg, enum sl_proto proto, uint16_t inside, uint16_t real)
{
    sl_report_bound(arg, proto, inside, real);
}

static void hook_refused(void *arg, pid_t pid, const char *call, const char *allow_with)
{
    sl_report_refused(arg, pid, call, allow_with);
}

static void hook_unheard(void *arg, pid_t pid, const sl_dest *dest, const sl_net_verdict *verdict)
{
    sl_report_unheard(arg, pid, dest, verdict);
}

static void hook_listens(void *arg, uint16_t port)
{
    sl_report_listens(arg, port);
}

static void hook_file(void *arg, pid_t pid, const sl_file_denial *denial)
{
    sl_report_file(arg, pid, denial);
}

static void set_hooks(const sl_service *s)
{
    sl_supervisor_hooks hooks = {.report_arg = s->report,
                                 .decided = hook_decided,
                                 .file = hook_file,
                                 .refused = hook_refused,
                                 .unheard = hook_unheard,
                                 .listens = hook_listens,
                                 .bound = hook_bound};
    if (s->link != NULL) {
        hooks.flow_arg = s->link;
        hooks.flow = hook_flow;
        hooks.dns = hook_dns;
        hooks.resolve = hook_resolve;
        hooks.want_trust = hook_want_trust;
        sl_sandbox_set_synth(s->prepared->sandbox, sl_link_synth(s->link));
    }
    sl_sandbox_set_hooks(s->prepared->sandbox, &hooks);
}

/* ---- what the gateway tells ---- */

/* 0 or -errno; -EIO when there is nothing, or when not all of it is written. */
static int copy_ca(int ca_fd, const char *path)
{
    char text[CA_MAX];
    ssize_t n = pread(ca_fd, text, sizeof(text), 0);
    if (n <= 0) {
        return n < 0 ? -errno : -EIO;
    }
    sl_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
    if (fd < 0) {
        return -errno;
    }
    ssize_t written = write(fd, text, (size_t)n);
    return written < 0 ? -errno : written != n ? -EIO : 0;
}

static void write_ca(sl_service *s, const char *path, int ca_fd)
{
    int r = copy_ca(ca_fd, path);
    if (r < 0) {
        sl_error_set(&s->unwritten, -r, "cannot write the CA certificate to '%s': %s", path,
                     strerror(-r));
    }
}

static void on_ready(void *arg, const int fds[SL_ARTEFACTS])
{
    sl_service *s = arg;
    const char *out = s->prepared->policy->http_ca_out;
    if (out != NULL && fds[SL_ARTEFACT_CA] >= 0) {
        write_ca(s, out, fds[SL_ARTEFACT_CA]);
    }
    sl_sandbox_set_trust(s->prepared->sandbox, fds);
}

static void on_resolved(void *arg, const struct sl_link_resolved *resolved)
{
    sl_service *s = arg;
    sl_sandbox_resolved(s->prepared->sandbox, resolved);
}

static void on_denied(void *arg, const struct sl_link_denied *denied)
{
    sl_service *s = arg;
    sl_report_denied(s->report, denied);
}

static void on_bye(void *arg, const struct sl_link_bye *bye)
{
    sl_service *s = arg;
    sl_report_bye(s->report, bye);
    s->events.on_bye(s->events.arg);
}

static void on_failed(void *arg, const char *message)
{
    sl_service *s = arg;
    s->events.on_failed(s->events.arg, message);
}

/* ---- its life ---- */

void sl_service_free(sl_service *s)
{
    if (s != NULL) {
        sl_link_free(s->link);
        free(s);
    }
}

int sl_service_start(sl_service *s, sl_error *err)
{
    sl_prepared *p = s->prepared;
    if (s->link == NULL || s->pid != 0) {
        return 0;
    }
    int r = sl_environ_read_trust(&p->trusted, &p->files.bundle);
    if (r < 0) {
        return sl_error_set(err, -r, "not enough memory");
    }
    r = sl_link_hello(s->link, p->policy, &p->files, err);
    sl_files_wipe(&p->files);
    if (r < 0) {
        return r;
    }
    sl_autoclose int peer = sl_link_take_peer(s->link);
    return sl_helper_start(p->gateway_path, peer, p->sandbox, &s->pid, err);
}

static bool must_wait(const sl_policy *p)
{
    return p->http_ca != NULL || p->http_ca_out != NULL || p->http_upstream_ca.count > 0;
}

/* One's own certificates are checked before anything runs. */
static int wait_ready(sl_service *s, sl_error *err)
{
    const sl_policy *p = s->prepared->policy;
    sl_link_events events = {.arg = s, .on_ready = on_ready};
    int r = sl_service_start(s, err);
    if (r < 0) {
        return r;
    }
    r = sl_link_wait_ready(s->link, &events, err);
    if (r < 0 && p->http_ca != NULL) {
        sl_error_prefix(err, "cannot use CA '%s' with key '%s'", p->http_ca,
                        p->http_key != NULL ? p->http_key : "");
    }
    if (r == 0 && s->unwritten.code != 0) {
        *err = s->unwritten;
        r = -err->code;
    }
    return r;
}

int sl_service_begin(sl_prepared *prepared, sl_report *report, sl_service **ret_service,
                     sl_error *err)
{
    sl_service *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    s->prepared = prepared;
    s->report = report;
    *ret_service = s; /* also of a failure: a gateway that was started is killed through it */
    int r = prepared->gateway_path == NULL ? 0 : sl_link_new(&s->link, err);
    if (r < 0) {
        return r;
    }
    set_hooks(s);
    return s->link != NULL && must_wait(prepared->policy) ? wait_ready(s, err) : 0;
}

int sl_service_attach(sl_service *s, uv_loop_t *loop, const sl_service_events *events)
{
    s->events = *events;
    if (s->link == NULL) {
        return 0;
    }
    return sl_link_attach(s->link, loop,
                          &(sl_link_events){.arg = s,
                                            .on_ready = on_ready,
                                            .on_resolved = on_resolved,
                                            .on_denied = on_denied,
                                            .on_bye = on_bye,
                                            .on_failed = on_failed});
}

pid_t sl_service_pid(const sl_service *s)
{
    return s->pid;
}

void sl_service_counts(const sl_service *s, uint64_t *ret_allowed, uint64_t *ret_denied)
{
    *ret_allowed = 0;
    *ret_denied = 0;
    if (s->link != NULL) {
        sl_synth_counts(sl_link_synth(s->link), ret_allowed, ret_denied);
    }
}

bool sl_service_quit(sl_service *s)
{
    bool used = s->link != NULL && sl_link_was_used(s->link);
    if (used) {
        sl_link_quit(s->link);
    }
    return used;
}

void sl_service_kill(sl_service *s)
{
    if (s != NULL && s->pid > 0) {
        kill(s->pid, SIGKILL);
    }
}
