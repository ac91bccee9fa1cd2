/* Owns the rig. Nothing here knows HTTP. */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "core/fd.h"
#include "core/util.h"
#include "http/h1/h1.h"

#define KEPT_MAX (8u << 20)
#define TURNS    4096

static const char *rig_open(sl_gateway *gw, const sl_target *target, sl_upstream_cb cb, void *arg,
                            sl_upstream **ret)
{
    rig *r = (rig *)((char *)gw - offsetof(rig, gw));
    (void)target;
    if (r->refuse != NULL) {
        return r->refuse;
    }
    r->cb = cb;
    r->arg = arg;
    *ret = NULL;
    return NULL;
}

void rig_policy(rig *r, const rig_word *words, size_t count)
{
    sl_policy *policy = sl_policy_new();
    sl_error err;
    for (size_t i = 0; policy != NULL && i < count; i++) {
        if (sl_policy_set(policy, sl_field_by_name(words[i][0]), words[i][1], &err) < 0) {
            abort();
        }
    }
    if (policy == NULL || sl_policy_freeze(policy, &err) < 0) {
        abort();
    }
    sl_policy_free(r->gw.policy);
    r->gw.policy = policy;
}

void rig_keep_log(rig *r)
{
    r->log = memfd_create("log", MFD_CLOEXEC);
    sl_audit_free(r->gw.audit);
    r->gw.audit = sl_audit_new(fcntl(r->log, F_DUPFD_CLOEXEC, 0));
    if (r->log < 0 || r->gw.audit == NULL) {
        abort();
    }
}

char *rig_log(rig *r)
{
    off_t size = lseek(r->log, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    if (text == NULL || pread(r->log, text, (size_t)size, 0) != size || ftruncate(r->log, 0) < 0 ||
        lseek(r->log, 0, SEEK_SET) != 0) {
        abort();
    }
    return text;
}

void rig_init(rig *r)
{
    memset(r, 0, sizeof(*r));
    static const rig_word words[] = {
        {"http_allow", "* " RIG_NAME "/*"},
        {"http_deny", "* " RIG_NAME "/deny*"},
    };
    r->client = r->upstream = r->log = -1;
    r->name = RIG_NAME;
    r->port = RIG_PORT;
    sl_buf_init(&r->from_gateway, KEPT_MAX);
    sl_buf_init(&r->to_upstream, KEPT_MAX);
    sl_gateway *gw = &r->gw;
    if (uv_loop_init(&r->loop) < 0) {
        abort();
    }
    gw->loop = &r->loop;
    gw->link = -1;
    gw->open = rig_open;
    gw->http1 = &sl_h1_protocol;
    rig_policy(r, words, SL_ARRAY_LEN(words));
    gw->pool = sl_pool_new();
    gw->audit = sl_audit_new(-1);
    gw->scratch = malloc(SL_SCRATCH_SIZE);
    if (gw->pool == NULL || gw->audit == NULL || gw->scratch == NULL) {
        abort();
    }
}

static void end_flow(rig *r)
{
    sl_flow_end_all(&r->gw);
    r->cb = NULL;
    uv_run(&r->loop, UV_RUN_NOWAIT);
    sl_close(r->client);
    sl_close(r->upstream);
    r->client = r->upstream = -1;
    r->client_ended = false;
    r->opened = 0;
    sl_buf_consume(&r->from_gateway, r->from_gateway.len);
    sl_buf_consume(&r->to_upstream, r->to_upstream.len);
    sl_pool_free(r->gw.pool); /* each flow starts alone */
    r->gw.pool = sl_pool_new();
    uv_run(&r->loop, UV_RUN_NOWAIT);
}

void rig_done(rig *r)
{
    end_flow(r);
    sl_pool_free(r->gw.pool);
    sl_audit_free(r->gw.audit);
    sl_close(r->log);
    sl_policy_free(r->gw.policy);
    free(r->gw.scratch);
    sl_h1_room_free(r->gw.http1_room);
    sl_buf_done(&r->from_gateway);
    sl_buf_done(&r->to_upstream);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&r->loop);
}

static void pair(int *ret_ours, int *ret_theirs)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
        abort();
    }
    *ret_ours = fds[0];
    *ret_theirs = fds[1];
}

void rig_flow(rig *r)
{
    struct sl_link_flow msg;
    int theirs;
    end_flow(r);
    memset(&msg, 0, sizeof(msg));
    if (r->name != NULL) {
        strncpy(msg.name, r->name, sizeof(msg.name) - 1);
    }
    msg.addr = r->addr;
    msg.port = r->port;
    msg.process.pid = 7;
    memcpy(msg.process.exe, "/bin/client", sizeof("/bin/client"));
    pair(&r->client, &theirs);
    if (sl_flow_new(&r->gw, theirs, &msg) < 0) {
        abort();
    }
}

static void open_waiting(rig *r)
{
    sl_upstream_cb cb = r->cb;
    sl_conn *conn = NULL;
    sl_addr peer = {0};
    int theirs;
    r->cb = NULL;
    sl_close(r->upstream);
    pair(&r->upstream, &theirs);
    if (sl_conn_new(&r->loop, theirs, &conn) < 0) {
        abort();
    }
    r->opened++;
    cb(r->arg, conn, &peer, &(sl_failure){0});
}

static bool drain(int fd, sl_buf *into, bool *ret_ended)
{
    static char data[65536];
    ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
    if (n > 0) {
        (void)sl_buf_append(into, data, (size_t)n);
        return true;
    }
    *ret_ended |= n == 0;
    return false;
}

bool rig_turn(rig *r)
{
    bool ended = false;
    bool moved = false;
    uv_run(&r->loop, UV_RUN_NOWAIT);
    sl_flow_reap(&r->gw);
    if (r->gw.flow_count == 0) {
        r->cb = NULL; /* the exchange that waited is gone */
    }
    if (r->cb != NULL && !r->hold) {
        open_waiting(r);
        moved = true;
    }
    if (r->client >= 0) {
        moved |= drain(r->client, &r->from_gateway, &r->client_ended);
    }
    if (r->upstream >= 0 && !r->deaf) {
        moved |= drain(r->upstream, &r->to_upstream, &ended);
    }
    return moved;
}

void rig_settle(rig *r)
{
    int quiet = 0;
    for (int i = 0; i < TURNS && quiet < 4; i++) {
        quiet = rig_turn(r) ? 0 : quiet + 1;
    }
}

/* Until all is sent, or nobody is there any more. */
static void say(rig *r, const int *fd, const void *data, size_t len)
{
    size_t sent = 0;
    for (int i = 0; i < TURNS && sent < len && *fd >= 0; i++) {
        ssize_t n = send(*fd, (const char *)data + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN) {
            return;
        }
        sent += n > 0 ? (size_t)n : 0;
        (void)rig_turn(r);
    }
}

void rig_client_says(rig *r, const void *data, size_t len)
{
    say(r, &r->client, data, len);
}

void rig_upstream_says(rig *r, const void *data, size_t len)
{
    say(r, &r->upstream, data, len);
}

void rig_upstream_ends(rig *r)
{
    sl_close(r->upstream);
    r->upstream = -1;
}
