/* The answers to the child's DNS questions and to the engine's RESOLVE. */
#ifndef SANDLOCK_HTTP_DNS_H
#define SANDLOCK_HTTP_DNS_H

#include "http/gateway.h"

enum sl_dns_answer sl_dns_on_question(void *gateway, void *tag, const char *name, bool addresses,
                                      sl_addr *ret_v4, sl_addr *ret_v6);
void sl_dns_resolve(sl_gateway *gw, const struct sl_link_resolve *msg);

#endif
