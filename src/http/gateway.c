/* Owns the gateway's life: the link to the engine, set-up, and the loop. Every message is checked
 * for type, length, ranges and termination before it is believed. */
#include "http/gateway.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "core/fd.h"
#include "core/trace.h"
#include "core/util.h"
#include "http/dns.h"
#include "http/gateway_int.h"
#include "http/why/doubt.h"
#include "net/spin.h"

#define POLICY_MAX      (16u << 20)
#define SWEEP_MS        250
#define PATIENCE_MS     3
#define MESSAGES_A_TURN 64
#define OTHER_FILES     64
#define LAST_TURNS      4 /* of the loop, after QUIT */

typedef struct hello {
    int policy;
    int synth;
    int audit;
    int ca_cert;
    int ca_key;
    int upstream_ca;
    int bundle;
    size_t policy_length;
} hello;

typedef struct service {
    sl_gateway gw; /* first: a gateway of ours is its service */
    uv_loop_t loop;
    uv_poll_t link_poll;
    uv_prepare_t reaper;
    uv_timer_t sweeper;
    uv_idle_t ahead;
    bool sweeping;
    uint64_t turn;      /* of the loop */
    uint64_t link_turn; /* when the link last had a message */
    uv_idle_t restless; /* once the run is over: no turn waits */
    unsigned last_turns;
    hello hello; /* what trust will be made of */
} service;

/* ---- leaving ---- */

static _Noreturn void leave(sl_gateway *gw, bool report)
{
    sl_flow_end_all(gw); /* each open exchange writes its line */
    if (report) {
        sl_doubts_tell(gw);
        (void)sl_fd_set_nonblock(gw->link, false);
        (void)sl_audit_report(gw->audit, gw->link);
    }
    _exit(0);
}

static void on_restless(uv_idle_t *handle)
{
    (void)handle;
}

/* Nobody of the run is left, but what they said last may not be read yet: an alert, say, of a
 * client that refuses our certificate and ends. It is all in the sockets, so a few turns that do
 * not wait read it. */
static void begin_leaving(service *s)
{
    uv_poll_stop(&s->link_poll);
    if (uv_idle_init(&s->loop, &s->restless) < 0 || uv_idle_start(&s->restless, on_restless) < 0) {
        leave(&s->gw, true);
    }
    s->last_turns = LAST_TURNS;
}

static int fail(int link, const sl_error *err)
{
    struct sl_link_failed m;
    memset(&m, 0, sizeof(m));
    m.header = (struct sl_link_header){SL_LINK_FAILED, sizeof(m)};
    snprintf(m.message, sizeof(m.message), "%s", err->message);
    (void)sl_fd_send(link, &m, sizeof(m), NULL, 0, 0);
    return 125;
}

/* ---- HELLO ---- */

static int read_hello(int link, hello *ret, sl_error *err)
{
    union {
        struct sl_link_hello m;
        char space[SL_LINK_MESSAGE_MAX];
    } in;
    int fds[SL_FD_PASS_MAX];
    size_t count = 0;
    ssize_t n = sl_fd_recv(link, &in, sizeof(in), fds, &count, 0);
    if (n != (ssize_t)sizeof(in.m) || in.m.header.type != SL_LINK_HELLO ||
        in.m.header.length != sizeof(in.m) || in.m.version != SL_LINK_VERSION ||
        (in.m.flags & ~(unsigned)SL_LINK_HELLO_FLAGS) != 0 || in.m.policy_length > POLICY_MAX) {
        return sl_error_set(err, EPROTO, "the gateway got no valid first message");
    }
    size_t at = 0;
    unsigned flags = in.m.flags;
    size_t expect = 2 + ((flags & SL_LINK_HAS_AUDIT) != 0) + 2 * ((flags & SL_LINK_HAS_CA) != 0) +
                    ((flags & SL_LINK_HAS_UPSTREAM_CA) != 0) + ((flags & SL_LINK_HAS_BUNDLE) != 0) +
                    ((flags & SL_LINK_HAS_TRACE) != 0);
    if (count != expect) {
        return sl_error_set(err, EPROTO, "the gateway got %zu descriptors instead of %zu", count,
                            expect);
    }
    ret->policy_length = in.m.policy_length;
    ret->policy = fds[at++];
    ret->synth = fds[at++];
    ret->audit = (flags & SL_LINK_HAS_AUDIT) != 0 ? fds[at++] : -1;
    ret->ca_cert = (flags & SL_LINK_HAS_CA) != 0 ? fds[at++] : -1;
    ret->ca_key = (flags & SL_LINK_HAS_CA) != 0 ? fds[at++] : -1;
    ret->upstream_ca = (flags & SL_LINK_HAS_UPSTREAM_CA) != 0 ? fds[at++] : -1;
    ret->bundle = (flags & SL_LINK_HAS_BUNDLE) != 0 ? fds[at++] : -1;
    if ((flags & SL_LINK_HAS_TRACE) != 0) {
        sl_trace_adopt(in.m.trace, fds[at++], "gateway");
    }
    return 0;
}

/* Reads a memfd whole and closes it; a NUL stands behind the content. */
static int read_content(int fd, size_t max, char **ret, size_t *ret_len, sl_error *err)
{
    struct stat st;
    if (fd < 0) {
        *ret = NULL;
        *ret_len = 0;
        return 0;
    }
    if (fstat(fd, &st) < 0 || st.st_size < 0 || (uint64_t)st.st_size > max) {
        close(fd);
        return sl_error_set(err, EFBIG, "the gateway got a file that is too large");
    }
    size_t size = (size_t)st.st_size;
    char *data = malloc(size + 1);
    ssize_t n = data != NULL ? pread(fd, data, size, 0) : -1;
    close(fd);
    if (n != (ssize_t)size) {
        free(data);
        return sl_error_set(err, EIO, "the gateway cannot read what it was given");
    }
    data[size] = '\0';
    *ret = data;
    *ret_len = size;
    return 0;
}

static int load_policy(sl_gateway *gw, const hello *h, sl_error *err)
{
    char *text = NULL;
    size_t len = 0;
    int r = read_content(h->policy, POLICY_MAX, &text, &len, err);
    if (r == 0 && h->policy_length > len) {
        r = sl_error_set(err, EPROTO, "the gateway got half a policy");
    }
    if (r == 0) {
        r = sl_policy_decode(text, h->policy_length, &gw->policy, err);
    }
    free(text);
    if (r < 0) {
        return r;
    }
    gw->synth = sl_synth_map_open(h->synth, true);
    if (gw->synth == NULL) {
        return sl_error_set(err, errno, "the gateway cannot map the name table");
    }
    close(h->synth);
    return read_content(h->upstream_ca, SL_LINK_PEM_MAX, &gw->upstream_pem, &gw->upstream_pem_len,
                        err);
}

/* ---- READY ---- */

static int send_ready(const sl_gateway *gw, const int *fds, size_t count, sl_error *err)
{
    struct sl_link_ready m = {.header = {SL_LINK_READY, sizeof(m)}, .count = (uint32_t)count};
    for (uint32_t i = 0; i < count; i++) {
        m.artefacts[i] = i;
    }
    int r = sl_fd_send(gw->link, &m, sizeof(m), fds, count, 0);
    return r < 0 ? sl_error_set(err, -r, "the gateway cannot answer the engine") : 0;
}

static int send_trust(sl_gateway *gw, int bundle_fd, sl_error *err)
{
    char *user = NULL;
    size_t user_len = 0;
    int fds[SL_ARTEFACTS];
    for (size_t i = 0; i < SL_ARTEFACTS; i++) {
        fds[i] = -1;
    }
    int r = read_content(bundle_fd, SL_LINK_PEM_MAX, &user, &user_len, err);
    r = r == 0 ? sl_trust_artefacts(gw, user, user_len, fds, err) : r;
    r = r == 0 ? send_ready(gw, fds, SL_ARTEFACTS, err) : r;
    for (size_t i = 0; i < SL_ARTEFACTS; i++) {
        sl_close(fds[i]);
    }
    free(user);
    return r;
}

static int make_trust(sl_gateway *gw, const hello *h, sl_error *err)
{
    char *cert = NULL;
    char *key = NULL;
    size_t cert_len = 0;
    size_t key_len = 0;
    if (!sl_policy_needs_trust(gw->policy)) {
        sl_close(h->ca_cert);
        sl_close(h->ca_key);
        sl_close(h->bundle);
        return send_ready(gw, NULL, 0, err);
    }
    int r = read_content(h->ca_cert, SL_LINK_PEM_MAX, &cert, &cert_len, err);
    r = r == 0 ? read_content(h->ca_key, SL_LINK_PEM_MAX, &key, &key_len, err) : r;
    r = r == 0 ? sl_trust_make(gw, cert, cert_len, key, key_len, err) : r;
    r = r == 0 ? send_trust(gw, h->bundle, err) : r;
    if (key != NULL) {
        explicit_bzero(key, key_len);
    }
    free(key);
    free(cert);
    return r;
}

/* The CA costs milliseconds and memory that many a run never needs: it is made when the child opens
 * a certificate file or says a TLS hello. */
static int ensure_trust(sl_gateway *gw)
{
    service *s = (service *)gw;
    sl_error err = {.message = "the gateway has no memory"};
    if (gw->ca != NULL || !sl_policy_needs_trust(gw->policy)) {
        return 0;
    }
    if (make_trust(gw, &s->hello, &err) < 0) {
        _exit(fail(gw->link, &err));
    }
    malloc_trim(0); /* bundles were read; little is needed from here on */
    return 0;
}

/* One piece a turn of the loop, so that what comes meanwhile is served between. */
static void work_ahead(uv_idle_t *idle)
{
    service *s = idle->data;
    sl_error err;
    if (s->gw.ca == NULL) {
        (void)ensure_trust(&s->gw);
        return;
    }
    (void)sl_trust_client_ctx(&s->gw, &err); /* without roots the flow itself tells it */
    uv_idle_stop(idle);
}

static void expect_tls(sl_gateway *gw)
{
    service *s = (service *)gw;
    if (gw->client_ctx == NULL && sl_policy_needs_trust(gw->policy)) {
        uv_idle_start(&s->ahead, work_ahead);
    }
}

/* What the user gave must be right before anything runs; the engine waits for the answer. */
static bool must_answer_now(const sl_gateway *gw, const hello *h)
{
    return !sl_policy_needs_trust(gw->policy) || h->ca_cert >= 0 || gw->upstream_pem != NULL ||
           gw->policy->http_ca_out != NULL;
}

/* ---- the link ---- */

static bool terminated(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static bool process_ok(const struct sl_link_process *p)
{
    return terminated(p->exe, sizeof(p->exe));
}

static void sweep_on(service *s);

static int take_flow(service *s, const struct sl_link_flow *m, int fd)
{
    bool named = m->name[0] != '\0';
    if (!terminated(m->name, sizeof(m->name)) || !process_ok(&m->process) || m->port == 0 ||
        (named && !sl_host_name_valid(m->name)) ||
        (!named && m->addr.family != 4 && m->addr.family != 6)) {
        sl_close(fd);
        return -EPROTO;
    }
    sweep_on(s);
    (void)sl_flow_new(&s->gw, fd, m); /* one that cannot be served is closed */
    return 0;
}

static int take_dns(service *s, const struct sl_link_dns *m, int fd)
{
    if (!process_ok(&m->process)) {
        sl_close(fd);
        return -EPROTO;
    }
    struct sl_link_process *tag = malloc(sizeof(*tag));
    if (tag == NULL) {
        sl_close(fd);
        return 0;
    }
    *tag = m->process;
    (void)sl_responder_add(s->gw.responder, fd, m->stream == 1, tag);
    return 0;
}

/* -EPROTO for the impossible: the link cannot be trusted any more. */
static int take_message(service *s, const void *data, size_t len, int fd)
{
    const struct sl_link_header *h = data;
    bool wants_fd = h->type == SL_LINK_FLOW || h->type == SL_LINK_DNS;
    if (wants_fd != (fd >= 0) || h->length != len) {
        sl_close(fd);
        return -EPROTO;
    }
    switch (h->type) {
    case SL_LINK_FLOW:
        if (len == sizeof(struct sl_link_flow)) {
            return take_flow(s, data, fd);
        }
        break;
    case SL_LINK_DNS:
        if (len == sizeof(struct sl_link_dns)) {
            return take_dns(s, data, fd);
        }
        break;
    case SL_LINK_RESOLVE: {
        const struct sl_link_resolve *m = data;
        if (len == sizeof(*m) && terminated(m->name, sizeof(m->name)) &&
            sl_host_name_valid(m->name)) {
            sl_dns_resolve(&s->gw, m);
            return 0;
        }
        break;
    }
    case SL_LINK_TRUST:
        (void)ensure_trust(&s->gw);
        expect_tls(&s->gw);
        return 0;
    case SL_LINK_QUIT:
        begin_leaving(s);
        return 0;
    default:
        break;
    }
    sl_close(fd);
    return -EPROTO;
}

static void on_link(uv_poll_t *poll_handle, int status, int events)
{
    service *s = poll_handle->data;
    union {
        struct sl_link_header header;
        uint64_t align;
        char space[SL_LINK_MESSAGE_MAX];
    } in;
    (void)status;
    (void)events;
    /* One alone needs no look for a second; where they come turn after turn, all are taken. */
    int most = s->turn - s->link_turn <= 1 ? MESSAGES_A_TURN : 1;
    s->link_turn = s->turn;
    for (int i = 0; i < most && s->last_turns == 0; i++) {
        int fds[SL_FD_PASS_MAX];
        size_t count = 0;
        ssize_t n = sl_fd_recv(s->gw.link, &in, sizeof(in), fds, &count, MSG_DONTWAIT);
        if (n == -EAGAIN) {
            return;
        }
        if (n == -EMSGSIZE) {
            continue; /* no descriptor was free for it: that flow is refused by its closing */
        }
        if (n <= 0) {
            leave(&s->gw, false); /* the engine is gone, and the run with it */
        }
        for (size_t k = 1; k < count; k++) {
            close(fds[k]);
        }
        int fd = count > 0 ? fds[0] : -1;
        if ((size_t)n < sizeof(in.header) || count > 1 || take_message(s, &in, (size_t)n, fd) < 0) {
            sl_error err = {.message = "the gateway got an impossible message"};
            _exit(fail(s->gw.link, &err));
        }
    }
}

/* ---- the loop ---- */

static void on_turn(uv_prepare_t *handle)
{
    service *s = handle->data;
    s->turn++;
    sl_flow_reap(&s->gw);
    if (s->last_turns > 0 && --s->last_turns == 0) {
        leave(&s->gw, true);
    }
}

static void on_sweep(uv_timer_t *timer)
{
    service *s = timer->data;
    uint64_t now = uv_now(&s->loop);
    sl_flow_expire_all(&s->gw, now);
    sl_pool_expire(s->gw.pool, now);
    if (s->gw.flow_count == 0 && !sl_pool_any(s->gw.pool)) {
        s->sweeping = false; /* an idle gateway does not wake */
        uv_timer_stop(timer);
    }
}

static void sweep_on(service *s)
{
    if (!s->sweeping) {
        s->sweeping = true;
        uv_timer_start(&s->sweeper, on_sweep, SWEEP_MS, SWEEP_MS);
    }
}

static int set_up(service *s, int link, sl_error *err)
{
    sl_gateway *gw = &s->gw;
    gw->link = link;
    gw->open = sl_upstream_open;
    gw->doubts = sl_doubts_new();
    gw->loop = &s->loop;
    if (uv_loop_init(&s->loop) < 0 || uv_poll_init(&s->loop, &s->link_poll, link) < 0 ||
        uv_prepare_init(&s->loop, &s->reaper) < 0 || uv_timer_init(&s->loop, &s->sweeper) < 0 ||
        uv_idle_init(&s->loop, &s->ahead) < 0) {
        return sl_error_set(err, EMFILE, "the gateway cannot make its event loop");
    }
    s->link_poll.data = s->reaper.data = s->sweeper.data = s->ahead.data = s;
    gw->scratch = malloc(SL_SCRATCH_SIZE);
    gw->pool = sl_pool_new();
    gw->resolver = sl_resolver_new(gw->loop);
    gw->responder = sl_responder_new(gw->loop, sl_dns_on_question, gw);
    if (gw->scratch == NULL || gw->pool == NULL || gw->resolver == NULL || gw->responder == NULL ||
        gw->audit == NULL) {
        return sl_error_set(err, ENOMEM, "the gateway has no memory");
    }
    return 0;
}

/* The processors belong to the child's own start first: what follows takes milliseconds, and many a
 * command never needs it. The first question, or a moment, ends the wait. */
static void let_child_start(int link)
{
    struct pollfd p = {.fd = link, .events = POLLIN};
    (void)poll(&p, 1, PATIENCE_MS);
}

/* Two descriptors a flow, and some for what all share; where few may be open flows end before
 * descriptors do. */
static size_t room_for_flows(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur / 2 > SL_FLOWS_MAX + OTHER_FILES) {
        return SL_FLOWS_MAX;
    }
    return files.rlim_cur > 4 * OTHER_FILES ? (size_t)files.rlim_cur / 2 - OTHER_FILES
                                            : OTHER_FILES;
}

int sl_gateway_run(int link, const sl_protocol *http1)
{
    service *s = calloc(1, sizeof(*s));
    hello h = {.policy = -1};
    sl_error err = {.message = "the gateway has no memory"};
    if (s == NULL) {
        return fail(link, &err);
    }
    (void)sl_fd_set_cloexec(link, true);
    int r = read_hello(link, &h, &err);
    if (r == 0 && h.ca_cert < 0 && h.upstream_ca < 0) {
        let_child_start(link);
    }
    if (r == 0) {
        s->gw.audit = sl_audit_new(h.audit);
        r = set_up(s, link, &err);
    }
    r = r == 0 ? load_policy(&s->gw, &h, &err) : r;
    if (r == 0) {
        sl_audit_share(s->gw.audit, s->gw.synth);
    }
    r = r == 0 ? sl_confine_self(&err) : r;
    s->hello = h;
    s->gw.trust = ensure_trust;
    s->gw.expect_tls = expect_tls;
    s->gw.http1 = http1;
    if (r == 0 && must_answer_now(&s->gw, &h)) {
        r = make_trust(&s->gw, &h, &err);
    }
    s->gw.flows_max = room_for_flows();
    malloc_trim(0);
    if (r < 0) {
        return fail(link, &err);
    }
    uv_prepare_start(&s->reaper, on_turn);
    uv_poll_start(&s->link_poll, UV_READABLE, on_link);
    sl_spin_run(&s->loop);
    return 125; /* the loop ends only by leaving */
}
