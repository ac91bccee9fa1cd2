/* Hostile requests through the real state machine. The oracle stands where a server would: whatever
 * arrives there is a sequence of well-formed requests, none of them one that the policy denies. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../unit/http/rig.h"
#include "http/h1/chunk.h"
#include "http/h1/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes of a body at `at`; SIZE_MAX when it is not complete. */
static size_t body_length(const char *head, size_t head_len, const uint8_t *at, size_t left)
{
    char copy[SL_HEAD_MAX + 1];
    memcpy(copy, head, head_len);
    copy[head_len] = '\0';
    if (strcasestr(copy, "\r\nTransfer-Encoding: chunked\r\n") != NULL) {
        sl_h1_chunk d;
        size_t body = 0;
        size_t used = 0;
        uint8_t *space = malloc(left + 1);
        sl_h1_chunk_init(&d);
        memcpy(space, at, left);
        int r = sl_h1_chunk_feed(&d, space, left, &body, &used);
        bool whole = r == 0 && sl_h1_chunk_at_end(&d);
        if (r < 0) {
            abort(); /* our own chunks must be readable */
        }
        sl_h1_chunk_done(&d);
        free(space);
        return whole ? used : SIZE_MAX;
    }
    const char *field = strcasestr(copy, "\r\nContent-Length: ");
    size_t len = field != NULL ? strtoull(field + 18, NULL, 10) : 0;
    return len <= left ? len : SIZE_MAX;
}

static void check_upstream(const sl_buf *seen)
{
    const uint8_t *p = sl_buf_head(seen);
    size_t left = seen->len;
    while (left > 0) {
        sl_head_scan scan = {0};
        const char *why = NULL;
        size_t head = 0;
        enum sl_head_result r = sl_head_scan_next(&scan, p, left, false, &head);
        if (r == SL_HEAD_MORE) {
            return;
        }
        if (r != SL_HEAD_OK || sl_head_check_request(p, head, &why) != SL_HEAD_OK) {
            abort();
        }
        const uint8_t *space = memchr(p, ' ', head);
        if (space == NULL || (size_t)(p + head - space) < 8 || memcmp(space, " /deny", 6) == 0) {
            abort(); /* a denied path went up */
        }
        size_t body = body_length((const char *)p, head, p + head, left - head);
        if (body == SIZE_MAX) {
            return;
        }
        p += head + body;
        left -= head + body;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    static rig r;
    static bool ready;
    if (!ready) {
        rig_init(&r);
        ready = true;
    }
    if (size < 1) {
        return 0;
    }
    size_t step = data[0] == 0 ? size : data[0]; /* how the bytes are cut */
    rig_flow(&r);
    unsigned answered = 0;
    for (size_t at = 1; at < size; at += step) {
        rig_client_says(&r, data + at, at + step < size ? step : size - at);
        if (r.upstream >= 0 && r.to_upstream.len > 0 && answered < 64) {
            answered++;
            rig_upstream_says(&r, ok, sizeof(ok) - 1);
        }
    }
    (void)shutdown(r.client, SHUT_WR);
    rig_settle(&r);
    sl_flow_expire_all(&r.gw, UINT64_MAX);
    rig_settle(&r);
    if (r.opened <= 1) {
        check_upstream(&r.to_upstream);
    }
    return 0;
}
