/* One authority, one request, one verdict: what a request means under the flow it came on. */
#ifndef SANDLOCK_HTTP_JUDGE_H
#define SANDLOCK_HTTP_JUDGE_H

#include "http/request.h"

/* Judges what was said by the request's method, under its flow's target. The request's `url` gets
 * the whole URL of what was judged, where somebody will ask for it. */
void sl_judge_request(sl_request *request, const sl_request_words *words, sl_judged *ret);

/* "host[:port]" text as a request names it: name normalised, or address. 0 or -EINVAL. `port` 0
 * when none was written. */
int sl_judge_authority(const char *text, size_t len, char ret_host[SL_HOST_NAME_MAX],
                       sl_addr *ret_addr, uint16_t *ret_port);

/* May this name be used on this flow (as SNI, as Host)? */
bool sl_judge_names_flow(const sl_target *target, const char *host, const sl_addr *addr);

#endif
