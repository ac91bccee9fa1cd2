/* Hostile responses through the real state machine. The oracle stands where the child would: what
 * it gets begins with well-formed response heads, and no tunnel begins without its proof. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/http/rig.h"
#include "http/h1/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOST "Host: " RIG_NAME "\r\n"

static const char *const requests[] = {
    "GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST "\r\n",
    "HEAD /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST "\r\n",
    "GET /a HTTP/1.0\r\n" HOST "\r\n",
    "GET /ws HTTP/1.1\r\n" HOST RIG_WS_ASK "Sec-WebSocket-Protocol: a, b\r\n\r\n",
    "POST /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
};

static void check_first_head(const sl_buf *got)
{
    sl_head_scan scan = {0};
    const char *why = NULL;
    size_t head = 0;
    if (got->len == 0) {
        return;
    }
    enum sl_head_result r = sl_head_scan_next(&scan, sl_buf_head(got), got->len, true, &head);
    if (r != SL_HEAD_MORE &&
        (r != SL_HEAD_OK || sl_head_check_response(sl_buf_head(got), head, &why) != SL_HEAD_OK)) {
        abort();
    }
    /* A tunnel has its proof (HTTP-31), by a name in any case. */
    if (r == SL_HEAD_OK && memcmp(sl_buf_head(got), "HTTP/1.1 101", 12) == 0 &&
        memmem(sl_buf_head(got), head, RIG_WS_PROOF, strlen(RIG_WS_PROOF)) == NULL) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static rig r;
    static bool ready;
    if (!ready) {
        rig_init(&r);
        ready = true;
    }
    if (size < 2) {
        return 0;
    }
    const char *request = requests[data[0] % 5];
    size_t step = data[1] == 0 ? size : data[1];
    rig_flow(&r);
    rig_client_says(&r, request, strlen(request));
    rig_settle(&r);
    for (size_t at = 2; at < size; at += step) {
        rig_upstream_says(&r, data + at, at + step < size ? step : size - at);
    }
    rig_settle(&r);
    rig_upstream_ends(&r);
    rig_settle(&r);
    check_first_head(&r.from_gateway);
    sl_flow_expire_all(&r.gw, UINT64_MAX);
    rig_settle(&r);
    return 0;
}
