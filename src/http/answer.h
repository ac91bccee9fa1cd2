/* Our own responses: denials, refusals of malformed requests, upstream failures. A value; the
 * protocol that has the request frames and sends it. */
#ifndef SANDLOCK_HTTP_ANSWER_H
#define SANDLOCK_HTTP_ANSWER_H

#include <stdbool.h>

#include "core/buf.h"
#include "http/request.h"

/* Fields of an answer that say it is ours, and what a 405 must say (RFC 9110 section 15.5.6). */
#define SL_ANSWER_TYPE    "application/json"
#define SL_ANSWER_VERDICT "deny"
#define SL_ANSWER_METHODS "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

typedef struct sl_http_answer {
    unsigned status;
    bool verdict; /* a denial of ours: Sandlock-Verdict says so */
    sl_buf body;  /* JSON, one line */
} sl_http_answer;

/* What each says is in docs; a body that memory does not suffice for is cut short. `done` after
 * each. */
void sl_http_answer_denied(const sl_request *r, const sl_judged *j, sl_http_answer *ret);
void sl_http_answer_refused(unsigned status, const char *why, sl_http_answer *ret);
void sl_http_answer_failed(const sl_request *r, const sl_failure *failure, sl_http_answer *ret);
void sl_http_answer_done(sl_http_answer *a);

/* The reason phrase of a status of ours. */
const char *sl_http_answer_phrase(unsigned status);

#endif
