/* HTTP/1 as a protocol of flows: all that the rest of the program sees of this room. */
#ifndef SANDLOCK_HTTP_H1_H1_H
#define SANDLOCK_HTTP_H1_H1_H

#include "http/flow.h"

extern const sl_protocol sl_h1_protocol;

/* Frees what its flows shared (sl_gateway.http1_room). NULL is accepted. */
void sl_h1_room_free(void *room);

#endif
