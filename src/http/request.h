/* One request, whatever protocol carried it: an HTTP/1 head or an HTTP/2 stream fills it in; judge,
 * answer and audit take it and know no protocol. */
#ifndef SANDLOCK_HTTP_REQUEST_H
#define SANDLOCK_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/buf.h"
#include "http/flow.h"
#include "policy/verdict.h"

typedef struct sl_slice {
    const char *text; /* NULL: there is none */
    size_t len;
} sl_slice;

/* What a request says, as it came: slices that are valid until it is judged. */
typedef struct sl_request_words {
    sl_slice authority; /* Host, or :authority */
    sl_slice again;     /* the authority once more, where it was said twice: an absolute target */
    sl_slice target;    /* whole */
    sl_slice path;      /* of the target, with the query; none: a form that is no target here */
} sl_request_words;

/* From a request's head to its line in the log. The room of `url` is kept for the next one. */
typedef struct sl_request {
    sl_flow *flow;
    bool open;          /* its line is still to be written */
    const char *method; /* constant text; NULL: it was not understood */
    sl_buf url;         /* what was judged, terminated; empty when it was not written down */
    const char *rule;   /* that allowed it, or NULL */
    sl_addr peer;       /* the address that was dialled for it */
    unsigned status;    /* of the response; 101 is a tunnel from then on */
    uint64_t started_ms;
} sl_request;

/* What was decided of it. */
typedef struct sl_judged {
    bool allow;
    unsigned status;    /* of our answer when not allowed */
    bool malformed;     /* the connection ends after it */
    const char *reason; /* constant text */
    const char *rule;
    const char *nearest;
    char allow_with[SL_SUGGESTION_MAX];
    char authority[SL_HOST_NAME_MAX + 8]; /* for Host, and for URLs */
    const char *path;                     /* normal form, in the gateway's scratch */
    bool path_unclear;                    /* of sl_http_path */
    const char *sent;                     /* the path that goes up; in the gateway's scratch */
    const char *query;                    /* raw, or NULL; in the gateway's scratch */
} sl_judged;

/* Allocates nothing. */
void sl_request_init(sl_request *r, sl_flow *flow);
void sl_request_done(sl_request *r);

/* Its head was read: one line of the log is owed for it. `method` is constant text. */
void sl_request_begin(sl_request *r, const char *method);
/* Its head could not be read: nothing is known of it. */
void sl_request_forget(sl_request *r);
/* "" when it is not known. */
const char *sl_request_url(const sl_request *r);

/* Writes the line of a request that was let through, once; `reason` NULL when it went well. */
void sl_request_log(sl_request *r, const char *reason, const char *detail, uint64_t bytes_out,
                    uint64_t bytes_in);
/* The same for a request that failed on its way; what helps goes into the summary. */
void sl_request_fail(sl_request *r, const sl_failure *failure, uint64_t bytes_out,
                     uint64_t bytes_in);
/* Writes and counts the denial: instead of the other line. */
void sl_request_deny(sl_request *r, const sl_judged *j);

/* May be sent a second time (RFC 9110 section 9.2.2). */
bool sl_request_is_idempotent(const char *method);
/* A body means something to it, so no server overlooks one (RFC 9110 section 9.3). */
bool sl_request_takes_body(const char *method);

#endif
