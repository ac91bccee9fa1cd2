/* Owns what a line of the audit log looks like. Never writes anywhere, and never half a line. */
#include "policy/told/audit.h"

#include "core/json.h"

/* A line in the making: the first failure stays. */
typedef struct line {
    sl_buf *out;
    int result;
} line;

static void note(line *l, int r)
{
    l->result = l->result < 0 ? l->result : r;
}

static void text(line *l, const char *key, const char *value)
{
    if (value != NULL && value[0] != '\0') {
        note(l, sl_json_member(l->out, key, value));
    }
}

static void number(line *l, const char *key, uint64_t value, bool always)
{
    if (value != 0 || always) {
        note(l, sl_json_number(l->out, key, value));
    }
}

int sl_audit_line(const sl_audit_event *e, sl_buf *out)
{
    char peer[SL_ADDR_STR_MAX];
    bool dialled = e->peer != NULL && e->peer->family != 0;
    line l = {.out = out};
    size_t before = out->len;
    note(&l, sl_buf_append_str(out, "{"));
    text(&l, "timestamp", e->when);
    text(&l, "sandlock.verdict", e->allow ? "allow" : "deny");
    text(&l, "sandlock.kind", e->kind);
    text(&l, "sandlock.rule", e->rule);
    text(&l, "sandlock.reason", e->reason);
    text(&l, "sandlock.nearest", e->nearest);
    text(&l, "error.message", e->detail);
    text(&l, "file.path", e->path);
    text(&l, "sandlock.access", e->access);
    text(&l, "network.transport", e->transport);
    text(&l, "http.request.method", e->method);
    text(&l, "url.full", e->url);
    text(&l, "server.address", e->host);
    number(&l, "server.port", e->port, e->ported);
    text(&l, "network.peer.address", dialled ? sl_addr_format(e->peer, peer) : NULL);
    number(&l, "http.response.status_code", e->status, false);
    number(&l, "process.pid", e->pid > 0 ? (uint64_t)e->pid : 0, false);
    text(&l, "process.executable.path", e->exe);
    number(&l, "sandlock.count", e->count > 1 ? e->count : 0, false);
    if (e->timed) {
        number(&l, "http.request.body.size", e->bytes_out, true);
        number(&l, "http.response.body.size", e->bytes_in, true);
        number(&l, "sandlock.duration_ms", e->duration_ms, true);
    }
    note(&l, sl_buf_append_str(out, "}\n"));
    if (l.result < 0) {
        out->len = before;
    }
    return l.result;
}
