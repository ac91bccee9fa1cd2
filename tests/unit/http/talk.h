/* What tests of whole exchanges say and hear, on top of the rig. Behind cmocka.h. */
#ifndef SANDLOCK_TESTS_HTTP_TALK_H
#define SANDLOCK_TESTS_HTTP_TALK_H

#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define HOST "Host: " RIG_NAME "\r\n"
#define OK   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static inline void client_says(rig *r, const char *text)
{
    rig_client_says(r, text, strlen(text));
    rig_settle(r);
}

static inline void upstream_says(rig *r, const char *text)
{
    rig_upstream_says(r, text, strlen(text));
    rig_settle(r);
}

/* What arrived since the last look must be exactly this. */
static inline void expect_text(sl_buf *got, const char *text)
{
    char seen[8192];
    size_t n = got->len < sizeof(seen) - 1 ? got->len : sizeof(seen) - 1;
    memcpy(seen, n > 0 ? (const char *)sl_buf_head(got) : "", n);
    seen[n] = '\0';
    sl_buf_consume(got, got->len);
    assert_string_equal(seen, text);
}

/* ... or begin like this. What is there is returned, for the caller to free. */
static inline char *expect_start(sl_buf *got, const char *text)
{
    char *seen = calloc(1, got->len + 1);
    assert_non_null(seen);
    memcpy(seen, got->len > 0 ? (const char *)sl_buf_head(got) : "", got->len);
    sl_buf_consume(got, got->len);
    if (strncmp(seen, text, strlen(text)) != 0) {
        fail_msg("'%s' does not begin with '%s'", seen, text);
    }
    return seen;
}

static inline void expect_status(rig *r, const char *line)
{
    free(expect_start(&r->from_gateway, line));
}

/* As if this much time had passed without a word. */
static inline void pass_time(rig *r, uint64_t ms)
{
    sl_flow_expire_all(&r->gw, uv_now(&r->loop) + ms);
    rig_settle(r);
}

#endif
