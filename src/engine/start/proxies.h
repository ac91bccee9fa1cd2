/* Proxies that an environment names. Beside HTTP rules the command gets none of these variables:
 * its requests are judged wherever they go, and who reaches a proxy reaches everything behind it.
 */
#ifndef SANDLOCK_ENGINE_START_PROXIES_H
#define SANDLOCK_ENGINE_START_PROXIES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/strv.h"

/* Is this "NAME=value" a variable that names a proxy, or who needs none: http_proxy, HTTPS_PROXY,
 * npm_config_proxy? Any case. */
bool sl_proxies_is_variable(const char *pair);

/* The proxies of these pairs, as a list of "host:port"; port 0 where none is said. 0 or -ENOMEM. */
int sl_proxies_add(sl_strv *proxies, const char *pair);
bool sl_proxies_have(const sl_strv *proxies, const char *host, uint16_t port);

#endif
