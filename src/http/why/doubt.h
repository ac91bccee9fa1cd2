/* Clients that took the run's certificate and left without a request: those that pin another. */
#ifndef SANDLOCK_HTTP_WHY_DOUBT_H
#define SANDLOCK_HTTP_WHY_DOUBT_H

#include "http/gateway.h"

#define SL_DOUBTS_MAX 64   /* destinations and programs that are remembered */
#define SL_DOUBT_MS   2000 /* who looked at the certificate and refuses it leaves sooner */

typedef struct sl_doubts sl_doubts;

sl_doubts *sl_doubts_new(void); /* NULL: no memory, and nothing is doubted */
void sl_doubts_free(sl_doubts *doubts);

/* A flow ends. */
void sl_doubt_flow(sl_flow *flow);
/* A request came over TLS: this program believes what it is shown there. */
void sl_doubt_clear(const sl_flow *flow);
/* The run is over: what is still in doubt is told as denied. */
void sl_doubts_tell(sl_gateway *gw);

#endif
